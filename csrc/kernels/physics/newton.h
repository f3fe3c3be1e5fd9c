// Constraint solver: Newton's method on the primal problem, for all worlds of a group at once.
//
// Minimises (a - a_s)^T M (a - a_s) / 2 + sum of D (J a - aref)^2 / 2 over the rows whose residual
// is negative. The minimum is unique, so any exact method returns MuJoCo's acceleration. If a full
// step leaves the set of active rows as it was, it ends at the minimum, to rounding (is_rough);
// only other worlds search along the step and go on. Every loop is bounded, and a world that has
// finished is frozen by select(), so neither a slow world nor a NaN changes its neighbours. Soft
// contacts are hardened at the minimum, and it is sought again; see cone.h.
//
// Source: MuJoCo, engine_solver.c (mj_solNewton), and its documentation, "Computation".
#pragma once

#include "assemble.h"
#include "search.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxIterations = 30, kSlowIterations = 11;
constexpr double kMostRough = 300;  // stiffness by the inertia's measure, times a change [m/s]

// Force of a contact on geom 2, in the frame's axes.
template <typename V>
RLGPU_HD Vec3<V> contact_force(const Work<V>& w, int slot) {
  const Contact<V>& c = w.contacts[slot];
  return -scaled(c, Cone<V>(c, c.residual).gradient());
}

// Adds the acceleration's part to all residuals.
template <typename V, typename Team>
RLGPU_STAGE void begin_residuals(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    Limit<V>& row = w.limits[i];
    row.residual = limit_times(t, w, i, w.qacc) - row.reference;
  }
  for (int i = team.first(); i < t.num_losses; i += team.step())
    w.losses[i].residual = w.qacc[t.loss_dof[i]] - w.losses[i].reference;
  for (int i = team.first(); i < t.num_rows; i += team.step())
    w.rows[i].residual += row_times(t, w, i, w.qacc);
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    Contact<V>& c = w.contacts[w.live[i]];
    if (const int wide = wide_of(t, w.live[i]); wide >= 0) {
      const Dimensions<V> more = residual_of(t, w, w.live[i], wide, w.qacc);
      c.residual = c.residual + more.lin;
      w.wides[wide].residual = w.wides[wide].residual + more.ang;
      continue;
    }
    c.residual = c.residual + residual_of(t, w, w.live[i], w.qacc);
  }
}

// Adds a ball joint's limit to the gradient and to the Hessian, whose rows of its dofs are
// adjacent.
template <typename V>
RLGPU_RARE void add_ball_limit(const Tables<Real<V>>& t, Work<V>& w, int i) {
  const Limit<V>& row = w.limits[i];
  const int dof = t.limit_dof[i];
  const Rows rows = solver_rows(t, w);
  const Vec3<V>& j = w.limit_axes[i - first_ball_limit(t)];
  const V columns[3] = {j.x, j.y, j.z}, weight = keep<V>(row.residual < V{}, row.weight);
  for (int k = 0; k < 3; ++k) {
    const V weighted = columns[k] * weight;
    w.gradient[dof + k] += weighted * row.residual;
    for (int n = 0; n <= k; ++n) w.h[rows.adr[dof + k] + k - n] += weighted * columns[n];
  }
}

template <typename V>
RLGPU_RARE void add_ball_limit_force(const Tables<Real<V>>& t, Work<V>& w, int i) {
  const Limit<V>& row = w.limits[i];
  V* const force = w.qfrc_constraint + t.limit_dof[i];
  const V size = keep<V>(row.residual < V{}, row.weight * row.residual);
  const Vec3<V> added = size * w.limit_axes[i - first_ball_limit(t)];
  force[0] -= added.x, force[1] -= added.y, force[2] -= added.z;
}

// Forces of the rows at qacc, into qfrc_constraint.
template <typename V, typename Team>
RLGPU_STAGE void constraint_forces(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.nv; i += team.step()) w.qfrc_constraint[i] = V{};
  team.sync();
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    if (i >= first_ball_limit(t)) {
      add_ball_limit_force(t, w, i);
      continue;
    }
    const Limit<V>& row = w.limits[i];
    w.qfrc_constraint[t.limit_dof[i]] -=
        row.sign * keep<V>(row.residual < V{}, row.weight * row.residual);
  }
  team.sync();
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    const Loss<V>& row = w.losses[i];
    w.qfrc_constraint[t.loss_dof[i]] -= clamp(V(row.weight * row.residual), -row.most, row.most);
  }
  for (int i = 0; i < t.num_rows; ++i) {
    team.sync();
    Mask<V> is_within;
    const V slope = row_slope(t, w, i, w.rows[i].residual, is_within);
    for (int k = t.row_columns[i] + team.first(); k < t.row_columns[i + 1]; k += team.step())
      w.qfrc_constraint[t.row_dof[k]] -= slope * w.row_columns[k];
  }
  for (int i = 0; i < w.num_live; ++i) {
    const int slot = w.live[i], first = t.slot_columns[slot];
    team.sync();
    if (const int wide = wide_of(t, slot); wide >= 0) {
      add_wide_force(team, t, w, slot, wide);
      continue;
    }
    const Vec3<V> force = contact_force(w, slot);
    for (int k = first + team.first(); k < first + t.slot_num_columns[slot]; k += team.step())
      w.qfrc_constraint[t.column_dof[k]] += dot(w.columns[k], force);
  }
  team.sync();
}

// Whether the contacts' weights are softened in any world of the group.
template <typename V, typename Team>
RLGPU_STAGE bool is_softened(const Team& team, const Tables<Real<V>>& t, const Work<V>& w) {
  Mask<V> found{};
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    const int slot = w.live[i], wide = wide_of(t, slot);
    Mask<V> soft = w.contacts[slot].softness > V{};
    if (wide >= 0 && t.is_elliptic) soft = soft | (w.wides[wide].softness > V{});
    found = found | (w.active[slot] & soft);
  }
  return any(team.either(found));
}

// Takes the softness out of some worlds' contacts, for the forces that they have; returns the
// worlds in which this changed anything.
template <typename V, typename Team>
RLGPU_STAGE Mask<V> harden(const Team& team, const Tables<Real<V>>& t, Work<V>& w, Mask<V> worlds,
                           Mask<V> slow) {
  Mask<V> changed{};
  for (int i = team.first(); i < w.num_open; i += team.step()) {
    const int slot = w.open[i], wide = wide_of(t, slot);
    Contact<V>& c = w.contacts[slot];
    const Mask<V> here = worlds & w.active[slot];
    if (wide >= 0)
      changed = changed | shift_wide_residual(t, w, slot, wide, here, slow);
    else
      changed = changed | shift_residual<V>(c, here, Cone<V>(c, c.residual).gradient().x);
  }
  return team.either(changed);
}

// Lists the contacts that are active in a busy world: for the others, nothing is left to solve.
template <typename V, typename Team>
RLGPU_STAGE void list_open(const Team& team, Work<V>& w, Mask<V> busy) {
  team.sync();
  int count = 0;
  for (int i = 0; i < w.num_live; ++i)
    if (any(w.active[w.live[i]] & busy)) w.open[count++] = w.live[i];
  w.num_open = count;
  team.sync();
}

// Where the forces are out of balance by more than rounding, in any dof by the measure of its own
// inertia: what is light counts as much as what is heavy.
template <typename V, typename Team>
RLGPU_STAGE Mask<V> is_unbalanced(const Team& team, const Tables<Real<V>>& t, const Work<V>& w) {
  using R = Real<V>;
  const R tolerance = sizeof(R) == 4 ? R(1e-3) : R(3e-8);
  Mask<V> found{};
  for (int i = team.first(); i < t.nv; i += team.step())
    found = found | (magnitude(w.gradient[i]) > tolerance * w.m[t.m_adr[i]]);
  return team.either(found);
}

// Where the step changes a velocity by more than single precision is worth. A search that ends in a
// smaller one is done: Newton's method would square what is left.
template <typename V, typename Team>
RLGPU_STAGE Mask<V> is_long(const Team& team, const Tables<Real<V>>& t, const Work<V>& w, V step) {
  using R = Real<V>;
  const R most = sizeof(R) == 4 ? R(1e-5) / t.timestep[0] : R(0);
  Mask<V> found{};
  for (int i = team.first(); i < t.nv; i += team.step())
    found = found | (magnitude(V(step * w.direction[i])) > most);
  return team.either(found);
}

// Where a full step may have lost digits: it was so long, in a matrix so much stiffer than the
// inertia, that single precision leaves an error of a velocity. Another step removes that.
template <typename V>
RLGPU_STAGE Mask<V> is_rough(const Tables<Real<V>>& t, const Work<V>& w) {
  using R = Real<V>;
  if (sizeof(R) == 8) return Mask<V>{};
  V stiffness{}, length{};
  for (int i = 0; i < t.nv; ++i) {
    stiffness = maximum(stiffness, reciprocal(V(w.h_inv[i] * w.m[t.m_adr[i]])));
    length = maximum(length, magnitude(w.direction[i]));
  }
  return stiffness * length > R(kMostRough) / t.timestep[0];
}

// How far the solver is with the worlds of a group.
template <typename V>
struct Progress {
  Mask<V> busy, searched;  // not finished; moved by a search in the last iteration
  V iterations;
  bool is_softened;  // contacts of any world
};

template <typename V, typename Team>
RLGPU_STAGE Progress<V> begin_solving(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  begin_residuals(team, t, w);
  find_pattern(t, w);
  team.sync();
  return {V{} < splat<V>(1), Mask<V>{}, V{}, is_softened(team, t, w)};
}

// One of Newton's iterations of the busy worlds.
template <typename V, typename Team>
RLGPU_STAGE void iterate(const Team& team, const Tables<Real<V>>& t, Work<V>& w, Progress<V>& p) {
  list_open(team, w, p.busy);
  assemble(team, t, w);
  factor(team, solver_rows(t, w), w.h, w.h_inv);
  for (int i = team.first(); i < t.nv; i += team.step()) w.direction[i] = -w.gradient[i];
  team.sync();
  solve(team, solver_rows(t, w), w.h, w.h_inv, w.direction);
  const Mask<V> moving = p.busy & is_unbalanced(team, t, w), altered = begin_search(team, t, w);
  Mask<V> searching = moving & altered;
  V step = splat<V>(1);
  if (any(searching)) {
    step = select<V>(searching, line_search(team, t, w, searching), step);
    searching = searching & is_long(team, t, w, step);
  }
  // What is in balance to rounding takes the step as well, if it costs no search.
  advance(team, t, w, moving | (p.busy & !altered), step);
  // Once hardening leaves the balance as it was, it only moves forces between contacts. A search
  // may also have ended in balance, so that nothing moves now.
  const Mask<V> first = p.busy & (p.iterations < splat<V>(1));
  const Mask<V> settled = (first | moving | p.searched) ^ searching;
  p.busy = searching | (moving & is_rough<V>(t, w)), p.searched = searching;
  // Forces that change after the last iteration would not be in balance with qacc.
  p.iterations += splat<V>(1);
  const Mask<V> more = p.iterations < splat<V>(kMaxIterations);
  const Mask<V> slow = settled & (p.iterations > splat<V>(kSlowIterations));
  if (p.is_softened) p.busy = p.busy | harden(team, t, w, settled & more, slow);
  p.busy = p.busy & more;
}

// Solves for qacc, starting from the qacc of the last step.
template <typename V, typename Team>
RLGPU_STAGE void solve_constraints(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Progress<V> progress = begin_solving(team, t, w);
  do iterate(team, t, w, progress);
  while (any(progress.busy));
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
