// Constraint solver: Newton's method on the primal problem, for all worlds of a group at once.
//
// Minimises (a - a_s)^T M (a - a_s) / 2 + sum of D (J a - aref)^2 / 2 over the rows whose residual
// is negative. The minimum is unique, so any exact method returns MuJoCo's acceleration. If a full
// step leaves the set of active rows as it was, it ends at the minimum; only other worlds search
// along the step and go on. Every loop is bounded, and a world that has finished is frozen by
// select(), so neither a slow world nor a NaN changes its neighbours. Soft contacts are hardened at
// the minimum, and it is sought again; see cone.h.
// Source: MuJoCo, engine_solver.c (mj_solNewton), and its documentation, "Computation".
#pragma once

#include "search.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxIterations = 30;

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
  const Vec3<V>& j = w.limit_axes[i - first_ball_limit(t)];
  const V columns[3] = {j.x, j.y, j.z}, weight = keep<V>(row.residual < V{}, row.weight);
  for (int k = 0; k < 3; ++k) {
    const V weighted = columns[k] * weight;
    w.gradient[dof + k] += weighted * row.residual;
    for (int n = 0; n <= k; ++n) w.h[t.h_adr[dof + k] + k - n] += weighted * columns[n];
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

// Adds a contact's part to the gradient, and its J^T A J to the Hessian; both are given for the
// normal and the scaled tangents.
template <typename V, typename Team>
RLGPU_STAGE void add_contact(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                             Vec3<V> slopes, const Sym3<V>& hessian) {
  const Contact<V>& c = w.contacts[slot];
  const Vec3<V> gradient = scaled(c, slopes);
  const Vec3<V>* const columns = w.columns + t.slot_columns[slot];
  const Vec3<V>* const end = columns + t.slot_num_columns[slot];
  const int32_t* const dofs = t.column_dof + t.slot_columns[slot];
  // Each column owns a row of the Hessian.
  for (int k = team.first(); k < t.slot_num_columns[slot]; k += team.step()) {
    const int dof = dofs[k];
    const Vec3<V> j = columns[k];
    w.gradient[dof] += dot(j, gradient);
    const Vec3<V> aj = scaled(c, hessian * scaled(c, j));
    // Columns run from the leaves to the root, so every later one is an ancestor in the rows of h.
    V* const diagonal = w.h + t.h_adr[dof];
    V* const row = diagonal + t.h_depth[dof];
    diagonal[0] += dot(aj, j);
    const int32_t* other_dof = dofs + k + 1;
    for (const Vec3<V>* other = columns + k + 1; other < end; ++other, ++other_dof)
      *(row - t.h_depth[*other_dof]) += dot(aj, *other);
  }
}

// The same of a row over several joints.
template <typename V, typename Team>
RLGPU_RARE void add_row(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int row) {
  Mask<V> is_within;
  const V slope = row_slope(t, w, row, w.rows[row].residual, is_within);
  const V weight = keep<V>(is_within, w.rows[row].weight);
  const int end = t.row_columns[row + 1];
  for (int k = t.row_columns[row] + team.first(); k < end; k += team.step()) {
    const int dof = t.row_dof[k];
    const V j = w.row_columns[k], scaled = weight * j;
    w.gradient[dof] += slope * j;
    V* const diagonal = w.h + t.h_adr[dof];
    V* const tail = diagonal + t.h_depth[dof];
    diagonal[0] += scaled * j;
    for (int other = k + 1; other < end; ++other)
      *(tail - t.h_depth[t.row_dof[other]]) += scaled * w.row_columns[other];
  }
}

// The gradient at qacc and the Hessian; the gradient's smooth part is kept for the search.
template <typename V, typename Team>
RLGPU_STAGE void assemble(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  multiply_mass(team, t, w.m, w.qacc, w.gradient);
  for (int i = team.first(); i < t.nv; i += team.step())
    w.smooth_gradient[i] = w.gradient[i] = w.gradient[i] - w.qfrc_smooth[i];
  if (t.num_h > t.num_m) {
    for (int i = team.first(); i < t.num_h; i += team.step()) w.h[i] = V{};
    team.sync();
  }
  for (int i = team.first(); i < t.num_m; i += team.step()) w.h[t.m_in_h[i]] = w.m[i];
  team.sync();
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    if (i >= first_ball_limit(t)) {
      add_ball_limit(t, w, i);
      continue;
    }
    const Limit<V>& row = w.limits[i];
    const int dof = t.limit_dof[i];
    const V weight = keep<V>(row.residual < V{}, row.weight);
    w.gradient[dof] += row.sign * weight * row.residual;
    w.h[t.h_adr[dof]] += weight;
  }
  team.sync();
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    const Loss<V>& row = w.losses[i];
    const int dof = t.loss_dof[i];
    const V most = splat<V>(t.loss_force[i]), force = row.weight * row.residual;
    w.gradient[dof] += clamp(force, -most, most);
    w.h[t.h_adr[dof]] += keep<V>(magnitude(force) < most, row.weight);
  }
  for (int i = 0; i < t.num_rows; ++i) {
    team.sync();
    add_row(team, t, w, i);
  }
  for (int i = 0; i < w.num_open; ++i) {
    team.sync();
    const int slot = w.open[i], wide = wide_of(t, slot);
    const Contact<V>& c = w.contacts[slot];
    if (wide < 0) {
      const Cone<V> cone(c, c.residual);
      add_contact(team, t, w, slot, cone.gradient(), cone.hessian());
    } else if (t.wide_columns[wide] < 0) {
      const Wide<V>& more = w.wides[wide];
      const WideCone<V> cone(t, c, more, wide, residual_of(c, more));
      add_contact(team, t, w, slot, cone.gradient().lin, cone.hessian_of_three());
    } else {
      add_wide_contact(team, t, w, slot, wide);
    }
  }
  team.sync();
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
    const V most = splat<V>(t.loss_force[i]);
    const V force = clamp(w.losses[i].weight * w.losses[i].residual, -most, most);
    w.qfrc_constraint[t.loss_dof[i]] -= force;
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
RLGPU_STAGE Mask<V> harden(const Team& team, const Tables<Real<V>>& t, Work<V>& w, Mask<V> worlds) {
  Mask<V> changed{};
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    const int slot = w.live[i], wide = wide_of(t, slot);
    Contact<V>& c = w.contacts[slot];
    const Mask<V> here = worlds & w.active[slot];
    if (wide >= 0)
      changed = changed | shift_wide_residual(t, w, slot, wide, here);
    else
      changed = changed | shift_residual<V>(c, here, Cone<V>(c, c.residual).gradient().x);
  }
  return team.either(changed);
}

// Lists the contacts that are active in a busy world: for the others, nothing is left to solve.
template <typename V, typename Team>
RLGPU_STAGE void list_open(const Team& team, Work<V>& w, Mask<V> busy, bool all) {
  team.sync();
  int count = 0;
  for (int i = 0; i < w.num_live; ++i)
    if (all || any(w.active[w.live[i]] & busy)) w.open[count++] = w.live[i];
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

// Solves for qacc, starting from the qacc of the last step.
template <typename V, typename Team>
RLGPU_STAGE void solve_constraints(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  begin_residuals(team, t, w);
  team.sync();
  const bool softened = is_softened(team, t, w);
  Mask<V> busy = V{} < splat<V>(1), searched{};
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    list_open(team, w, busy, iteration == 0);
    assemble(team, t, w);
    factor(team, solver_rows(t), w.h, w.h_inv);
    for (int i = team.first(); i < t.nv; i += team.step()) w.direction[i] = -w.gradient[i];
    team.sync();
    solve(team, solver_rows(t), w.h, w.h_inv, w.direction);
    const Mask<V> moving = busy & is_unbalanced(team, t, w);
    Mask<V> searching = moving & begin_search(team, t, w);
    V step = splat<V>(1);
    if (any(searching)) {
      step = select<V>(searching, line_search(team, t, w, searching), step);
      searching = searching & is_long(team, t, w, step);
    }
    advance(team, t, w, moving, step);
    // Once hardening leaves the balance as it was, it only moves forces between contacts. A search
    // may also have ended in balance, so that nothing moves now.
    const Mask<V> settled = ((iteration == 0 ? busy : moving) | searched) ^ searching;
    busy = searched = searching;
    if (softened) busy = busy | harden(team, t, w, settled);
    if (!any(busy)) break;
  }
  team.sync();
  constraint_forces(team, t, w);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
