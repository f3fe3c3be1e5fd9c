// Friction without slip: after the solver, friction forces become those without regularisation,
// while the normal forces stay as they are.
//
// The one idea: the friction of one row or contact after the other minimises its part of the cost
// within its bounds, while all others stay, which is repeated some times (Gauss-Seidel). What the
// forces have changed so far is kept as a change of the acceleration, so that a row's residual is
// the solver's plus its Jacobian times that. The order is MuJoCo's: dry friction, then contacts.
// Source: MuJoCo, mj_solNoSlip in engine_solver.c and mju_QCQP in engine_util_solve.c.
#pragma once

#include "ball.h"
#include "grip.h"
#include "newton.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Where a sweep is: the worlds that are not done, and by how much it has reduced their costs.
template <typename V>
struct Sweep {
  V* moved;     // change of the acceleration
  V* response;  // scratch: what a force does to the acceleration
  Mask<V> busy;
  V gained;
};

// Turns forces on the dofs into accelerations, in place.
template <typename V, typename Team>
RLGPU_STAGE void respond(const Team& team, const Tables<Real<V>>& t, const Work<V>& w, V* forces) {
  team.sync();
  solve(team, mass_rows(t), w.h, w.h_inv, forces);
}

template <typename V, typename Team>
RLGPU_STAGE void clear(const Team& team, const Tables<Real<V>>& t, V* x) {
  team.sync();
  for (int i = team.first(); i < t.nv; i += team.step()) x[i] = V{};
  team.sync();
}

// Adds a multiple of the response to the change of the acceleration, in the worlds that are busy.
template <typename V, typename Team>
RLGPU_STAGE void move(const Team& team, const Tables<Real<V>>& t, const Sweep<V>& s, Mask<V> worlds,
                      V scale) {
  for (int i = team.first(); i < t.nv; i += team.step())
    s.moved[i] += keep<V>(worlds, scale * s.response[i]);
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
  clear(team, t, s.response);
  if (team.first() == 0) s.response[dof] = splat<V>(1);
  respond(team, t, w, s.response);
  const V most = splat<V>(t.loss_force[i]);
  const V before = row.change - clamp(V(row.weight * row.residual), -most, most);
  const V change = scalar_change<V>(s, before, row.residual + s.moved[dof], s.response[dof], most);
  team.sync();
  if (team.first() == 0) row.change += change;
  move(team, t, s, s.busy, change);
}

// Dry friction of a tendon.
template <typename V, typename Team>
RLGPU_STAGE void sweep_row(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int number,
                           Sweep<V>& s) {
  Row<V>& row = w.rows[number];
  clear(team, t, s.response);
  for (int k = t.row_columns[number] + team.first(); k < t.row_columns[number + 1];
       k += team.step())
    s.response[t.row_dof[k]] = w.row_columns[k];
  respond(team, t, w, s.response);
  Mask<V> within;
  const V before = row.change - row_slope(t, w, number, row.residual, within);
  const V residual = row.residual + row_times(t, w, number, s.moved);
  const V change = scalar_change<V>(s, before, residual, row_times(t, w, number, s.response),
                                    splat<V>(t.row_high[number]));
  team.sync();
  if (team.first() == 0) row.change += change;
  move(team, t, s, s.busy, change);
}

template <typename V>
RLGPU_STAGE Dimensions<V> residual_at(const Tables<Real<V>>& t, const Work<V>& w, int slot,
                                      int wide, const Sweep<V>& s) {
  const Dimensions<V> before{wide >= 0 ? w.wides[wide].residual : Vec3<V>{},
                             w.contacts[slot].residual};
  return before + felt(t, w, slot, wide, s.moved);
}

// A pyramid's dimensions, one after the other.
template <typename V, typename Team>
RLGPU_STAGE void sweep_pyramid(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               int wide, Sweep<V>& s) {
  using Wide = WideCone<V>;
  const Mask<V> busy = s.busy;
  s.busy = s.busy & w.active[slot];
  const Grip<V> grip(t, w, slot, wide);
  const int dims = wide >= 0 ? t.wide_dims[wide] : 3;
  for (int k = 0; k < dims - 1; ++k) {
    const Dimensions<V> unit = unit_of<V>(k);
    clear(team, t, s.response);
    push(team, t, w, slot, wide, unit, s.response);
    respond(team, t, w, s.response);
    const V before = Wide::entry(grip.force + noted_change(w, slot, wide), k);
    const V change =
        scalar_change<V>(s, before, Wide::entry(residual_at(t, w, slot, wide, s), k),
                         Wide::entry(felt(t, w, slot, wide, s.response), k), grip.most[k]);
    note_change(team, w, slot, wide, change * unit);
    move(team, t, s, s.busy, change);
  }
  s.busy = busy;
}

// An elliptic cone's dimensions at once, within a ball.
template <typename V, typename Team>
RLGPU_STAGE void sweep_ellipse(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               int wide, Sweep<V>& s) {
  using Wide = WideCone<V>;
  const int count = t.wide_dims[wide] - 1;
  const Contact<V>& c = w.contacts[slot];
  const Vec3<V>& f = w.wides[wide].friction;
  const Dimensions<V> scale{f, {V{}, c.friction, c.friction}};
  Ball<V> ball{};
  for (int k = 0; k < count; ++k) {
    clear(team, t, s.response);
    push(team, t, w, slot, wide, unit_of<V>(k), s.response);
    respond(team, t, w, s.response);
    const Dimensions<V> row = felt(t, w, slot, wide, s.response);
    for (int j = 0; j < count; ++j) ball.a[k][j] = Wide::entry(row, j);
    const V own = Wide::entry(scale, k);  // MuJoCo's least inertia, before it scales
    ball.a[k][k] = maximum(ball.a[k][k], V(Real<V>(1e-10) * own * own));
  }
  const Grip<V> grip(t, w, slot, wide);
  const Dimensions<V> before = grip.force + noted_change(w, slot, wide);
  const Dimensions<V> residual = residual_at(t, w, slot, wide, s);
  for (int k = 0; k < count; ++k) {
    ball.start[k] = Wide::entry(before, k);
    ball.slope[k] = Wide::entry(residual, k);
  }
  const Mask<V> busy = s.busy & w.active[slot];
  s.gained += keep<V>(busy, ball.minimise(count, grip.force.lin.x));
  for (int k = 0; k < count; ++k) ball.change[k] = keep<V>(busy, ball.change[k]);
  const Dimensions<V> change = Wide::from(V{}, ball.change);
  clear(team, t, s.response);
  push(team, t, w, slot, wide, change, s.response);
  respond(team, t, w, s.response);
  note_change(team, w, slot, wide, change);
  move(team, t, s, busy, splat<V>(1));
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

// Sets all changes to none, and factors the mass matrix where the solver's was.
template <typename V, typename Team>
RLGPU_STAGE void begin_sweeps(const Team& team, const Tables<Real<V>>& t, Work<V>& w,
                              const Sweep<V>& s) {
  clear(team, t, s.moved);
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
RLGPU_STAGE void end_sweeps(const Team& team, const Tables<Real<V>>& t, Work<V>& w,
                            const Sweep<V>& s) {
  for (int i = team.first(); i < t.nv; i += team.step()) w.qacc[i] += s.moved[i];
  for (int i = team.first(); i < t.num_losses; i += team.step())
    w.qfrc_constraint[t.loss_dof[i]] += w.losses[i].change;
  for (int i = 0; i < t.num_tendon_losses; ++i) {
    team.sync();
    const int row = t.tendon_loss_row[i];
    for (int k = t.row_columns[row] + team.first(); k < t.row_columns[row + 1]; k += team.step())
      w.qfrc_constraint[t.row_dof[k]] += w.rows[row].change * w.row_columns[k];
  }
  for (int i = 0; i < w.num_live; ++i) {
    team.sync();
    const int slot = w.live[i], wide = wide_of(t, slot);
    push(team, t, w, slot, wide, noted_change(w, slot, wide), w.qfrc_constraint);
  }
  team.sync();
}

template <typename V, typename Team>
RLGPU_RARE void remove_slip(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Sweep<V> s{w.gradient, w.direction, V{} < splat<V>(1), V{}};
  begin_sweeps(team, t, w, s);
  for (int iteration = 0; iteration < t.noslip_iterations && any(s.busy); ++iteration) {
    s.gained = V{};
    for (int i = 0; i < t.num_losses; ++i) sweep_loss(team, t, w, i, s);
    for (int i = 0; i < t.num_tendon_losses; ++i) sweep_row(team, t, w, t.tendon_loss_row[i], s);
    for (int i = 0; i < w.num_live; ++i) sweep_contact(team, t, w, w.live[i], s);
    if (iteration > 0) s.busy = s.busy & (s.gained >= t.noslip_gain[0]);
  }
  end_sweeps(team, t, w, s);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
