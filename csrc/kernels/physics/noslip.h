// Friction without slip: after the solver, friction forces become those without regularisation,
// while the normal forces stay as they are.
//
// The one idea: the friction of one row or contact after the other minimises its part of the cost
// within its bounds, while all others stay, which is repeated some times (Gauss-Seidel). What the
// forces have changed so far is kept as L times the change of the acceleration, for M = L^T D L:
// L^-T of a force is only on the way from its bodies to their root, so little has to be computed
// for it. The order is MuJoCo's: dry friction, then contacts. Source: MuJoCo, mj_solNoSlip in
// engine_solver.c and mju_QCQP in engine_util_solve.c.
#pragma once

#include "friction_ball.h"
#include "grip.h"
#include "newton.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Where a sweep is: the worlds that are not done, and by how much it has reduced their costs.
template <typename V>
struct Sweep {
  V* moved;   // L times the change of the acceleration
  V* spread;  // scratch: L^-T of up to five forces on the dofs
  Mask<V> busy;
  V gained;
};

// The dofs of a force's columns and all their ancestors, leaves first: where its L^-T is not 0.
struct Path {
  const int32_t* dofs;
  int count;
};

template <typename R>
RLGPU_HD Path path_of(const Tables<R>& t, int number) {
  const int first = t.path_adr[number];
  return {t.path_dof + first, t.path_adr[number + 1] - first};
}

template <typename V, typename Team>
RLGPU_STAGE void clear(const Team& team, const Path& path, V* x) {
  team.sync();
  for (int i = team.first(); i < path.count; i += team.step()) x[path.dofs[i]] = V{};
  team.sync();
}

// Multiplies forces on the dofs of a path by L^-T.
template <typename V, typename Team>
RLGPU_STAGE void spread(const Team& team, const Tables<Real<V>>& t, const Work<V>& w,
                        const Path& path, V* x) {
  team.sync();
  for (int i = 0; i < path.count; ++i) {
    const int k = path.dofs[i], adr = t.m_adr[k];
    const V x_k = x[k];
    for (int y = 1 + team.first(); y < t.m_depth[k]; y += team.step())
      x[t.m_col[adr + y]] -= w.h[adr + y] * x_k;
    team.sync();
  }
}

// How far a force's residual is changed by what has moved.
template <typename V>
RLGPU_STAGE V residual_of(const Sweep<V>& s, const Path& path, const V* x) {
  V sum{};
  for (int i = 0; i < path.count; ++i) sum += x[path.dofs[i]] * s.moved[path.dofs[i]];
  return sum;
}

// By how much a unit of one force changes the residual of another one.
template <typename V>
RLGPU_STAGE V response(const Work<V>& w, const Path& path, const V* x, const V* y) {
  V sum{};
  for (int i = 0; i < path.count; ++i) {
    const int k = path.dofs[i];
    sum += x[k] * y[k] * w.h_inv[k];
  }
  return sum;
}

// Adds a force to what moves some worlds.
template <typename V, typename Team>
RLGPU_STAGE void move(const Team& team, const Work<V>& w, const Sweep<V>& s, const Path& path,
                      const V* x, Mask<V> worlds, V force) {
  team.sync();
  for (int i = team.first(); i < path.count; i += team.step()) {
    const int k = path.dofs[i];
    s.moved[k] += keep<V>(worlds, force * x[k] * w.h_inv[k]);
  }
  team.sync();
}

// The change that brings one force to its best within bounds, of which the gain is counted.
// inertia: what the force's residual changes by for a unit of it.
template <typename V>
RLGPU_STAGE V scalar_change(Sweep<V>& s, V before, V residual, V inertia, V most) {
  using R = Real<V>;
  const Mask<V> acts = inertia > R(1e-15);
  const V best = before - residual / select<V>(acts, inertia, splat<V>(1));
  const V change = keep<V>(s.busy, clamp(select<V>(acts, best, V{}), -most, most) - before);
  s.gained -= keep<V>(s.busy, change * (R(0.5) * inertia * change + residual));
  return change;
}

// Dry friction of a joint.
template <typename V, typename Team>
RLGPU_STAGE void sweep_loss(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int i,
                            Sweep<V>& s) {
  Loss<V>& row = w.losses[i];
  const int dof = t.loss_dof[i];
  const Path path{t.m_col + t.m_adr[dof], t.m_depth[dof]};
  clear(team, path, s.spread);
  if (team.first() == 0) s.spread[dof] = splat<V>(1);
  spread(team, t, w, path, s.spread);
  const V before = row.change - clamp(V(row.weight * row.residual), -row.most, row.most);
  const V change = scalar_change<V>(s, before, row.residual + residual_of(s, path, s.spread),
                                    response(w, path, s.spread, s.spread), row.most);
  move(team, w, s, path, s.spread, s.busy, change);
  if (team.first() == 0) row.change += change;
}

// Dry friction of a tendon.
template <typename V, typename Team>
RLGPU_STAGE void sweep_tendon(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int i,
                              Sweep<V>& s) {
  const int number = t.tendon_loss_row[i];
  Row<V>& row = w.rows[number];
  const Path path = path_of(t, t.num_pairs + i);
  clear(team, path, s.spread);
  for (int k = t.row_columns[number] + team.first(); k < t.row_columns[number + 1];
       k += team.step())
    s.spread[t.row_dof[k]] = w.row_columns[k];
  spread(team, t, w, path, s.spread);
  Mask<V> within;
  const V before = row.change - row_slope(t, w, number, row.residual, within);
  const V change =
      scalar_change<V>(s, before, row.residual + residual_of(s, path, s.spread),
                       response(w, path, s.spread, s.spread), splat<V>(t.row_high[number]));
  move(team, w, s, path, s.spread, s.busy, change);
  if (team.first() == 0) row.change += change;
}

// A pyramid's dimensions, one after the other.
template <typename V, typename Team>
RLGPU_STAGE void sweep_pyramid(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               int wide, Sweep<V>& s) {
  using Wide = WideCone<V>;
  const Path path = path_of(t, t.slot_pair[slot]);
  const Mask<V> busy = s.busy;
  s.busy = s.busy & w.active[slot];
  const Grip<V> grip(t, w, slot, wide);
  const int dims = wide >= 0 ? t.wide_dims[wide] : 3;
  for (int k = 0; k < dims - 1; ++k) {
    const Dimensions<V> unit = unit_of<V>(k);
    clear(team, path, s.spread);
    push(team, t, w, slot, wide, unit, s.spread);
    spread(team, t, w, path, s.spread);
    const V before = Wide::entry(grip.force + noted_change(w, slot, wide), k);
    const V residual = Wide::entry(grip.residual, k) + residual_of(s, path, s.spread);
    const V change =
        scalar_change<V>(s, before, residual, response(w, path, s.spread, s.spread), grip.most[k]);
    move(team, w, s, path, s.spread, s.busy, change);
    note_change(team, w, slot, wide, change * unit);
  }
  s.busy = busy;
}

// An elliptic cone's dimensions at once, within a ball.
template <typename V, typename Team>
RLGPU_STAGE void sweep_ellipse(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               int wide, Sweep<V>& s) {
  using Wide = WideCone<V>;
  const Path path = path_of(t, t.slot_pair[slot]);
  const int count = t.wide_dims[wide] - 1;
  const Grip<V> grip(t, w, slot, wide);
  const Dimensions<V> before = grip.force + noted_change(w, slot, wide);
  FrictionBall<V> ball{};
  for (int k = 0; k < count; ++k) {
    V* const x = s.spread + k * t.nv;
    clear(team, path, x);
    push(team, t, w, slot, wide, unit_of<V>(k), x);
    spread(team, t, w, path, x);
    for (int j = 0; j <= k; ++j)
      ball.a[k][j] = ball.a[j][k] = response(w, path, x, s.spread + j * t.nv);
    const V own = Wide::entry(grip.scale, k);  // MuJoCo's least inertia, before it scales
    ball.a[k][k] = maximum(ball.a[k][k], V(Real<V>(1e-10) * own * own));
    ball.start[k] = Wide::entry(before, k);
    ball.slope[k] = Wide::entry(grip.residual, k) + residual_of(s, path, x);
  }
  const Mask<V> busy = s.busy & w.active[slot];
  s.gained += keep<V>(busy, ball.minimise(count, grip.force.lin.x));
  for (int k = 0; k < count; ++k) {
    ball.change[k] = keep<V>(busy, ball.change[k]);
    move(team, w, s, path, s.spread + k * t.nv, busy, ball.change[k]);
  }
  note_change(team, w, slot, wide, Wide::from(V{}, ball.change));
}

template <typename V, typename Team>
RLGPU_STAGE void sweep_contact(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               Sweep<V>& s) {
  if (t.pair_frictionless[t.slot_pair[slot]]) return;
  const int wide = wide_of(t, slot);
  if (t.is_elliptic)
    sweep_ellipse(team, t, w, slot, wide, s);
  else
    sweep_pyramid(team, t, w, slot, wide, s);
}

// Sets all changes to none, and factors the mass matrix, M = L^T D L, where the solver's was.
template <typename V, typename Team>
RLGPU_STAGE void begin_sweeps(const Team& team, const Tables<Real<V>>& t, Work<V>& w,
                              const Sweep<V>& s) {
  for (int i = team.first(); i < t.nv; i += team.step()) s.moved[i] = V{};
  for (int i = team.first(); i < t.num_losses; i += team.step()) w.losses[i].change = V{};
  for (int i = team.first(); i < t.num_rows; i += team.step()) w.rows[i].change = V{};
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    const int wide = wide_of(t, w.live[i]);
    w.contacts[w.live[i]].change = Vec3<V>{};
    if (wide >= 0) w.wides[wide].change = Vec3<V>{};
  }
  for (int i = team.first(); i < t.num_m; i += team.step()) w.h[i] = w.m[i];
  team.sync();
  factor(team, mass_rows(t), w.h, w.h_inv);
}

// Adds the changes to the forces and to the acceleration.
template <typename V, typename Team>
RLGPU_STAGE void end_sweeps(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  V* const forces = w.direction;
  team.sync();
  for (int i = team.first(); i < t.nv; i += team.step()) forces[i] = V{};
  team.sync();
  for (int i = team.first(); i < t.num_losses; i += team.step())
    forces[t.loss_dof[i]] += w.losses[i].change;
  for (int i = 0; i < t.num_tendon_losses; ++i) {
    team.sync();
    const int row = t.tendon_loss_row[i];
    for (int k = t.row_columns[row] + team.first(); k < t.row_columns[row + 1]; k += team.step())
      forces[t.row_dof[k]] += w.rows[row].change * w.row_columns[k];
  }
  for (int i = 0; i < w.num_live; ++i) {
    team.sync();
    const int slot = w.live[i], wide = wide_of(t, slot);
    push(team, t, w, slot, wide, noted_change(w, slot, wide), forces);
  }
  team.sync();
  for (int i = team.first(); i < t.nv; i += team.step()) w.qfrc_constraint[i] += forces[i];
  team.sync();
  solve(team, mass_rows(t), w.h, w.h_inv, forces);
  for (int i = team.first(); i < t.nv; i += team.step()) w.qacc[i] += forces[i];
  team.sync();
}

template <typename V, typename Team>
RLGPU_RARE void remove_slip(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Sweep<V> s{w.gradient, w.spread, V{} < splat<V>(1), V{}};
  begin_sweeps(team, t, w, s);
  for (int iteration = 0; iteration < t.noslip_iterations && any(s.busy); ++iteration) {
    s.gained = V{};
    for (int i = 0; i < t.num_losses; ++i) sweep_loss(team, t, w, i, s);
    for (int i = 0; i < t.num_tendon_losses; ++i) sweep_tendon(team, t, w, i, s);
    for (int i = 0; i < w.num_live; ++i) sweep_contact(team, t, w, w.live[i], s);
    if (iteration > 0) s.busy = s.busy & (s.gained >= t.noslip_gain[0]);
  }
  end_sweeps(team, t, w);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
