// Constraint solver: Newton's method on the primal problem, for all worlds of a group at once.
//
// Minimises (a - a_s)^T M (a - a_s) / 2 + sum of D (J a - aref)^2 / 2 over the rows whose residual
// is negative. The minimum is unique, so any exact method returns MuJoCo's acceleration. If a full
// step leaves the set of active rows as it was, it ends at the minimum; only other worlds search
// along the step and go on. Every loop is bounded, and a world that has finished is frozen by
// select(), so neither a slow world nor a NaN changes its neighbours.
// Source: MuJoCo, engine_solver.c (mj_solNewton), and its documentation, "Computation".
#pragma once

#include "rows.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxIterations = 20;
constexpr int kMaxSearch = 12;

// Residuals of a contact's four edges, from those of the normal and the scaled tangents.
template <typename V>
struct Edges {
  V e[4];
  RLGPU_HD explicit Edges(Vec3<V> r) : e{r.x + r.y, r.x - r.y, r.x + r.z, r.x - r.z} {}
};

// Gradient of the cost by (normal, tangents) of a contact.
template <typename V>
RLGPU_HD Vec3<V> edge_forces(const Contact<V>& c) {
  const Edges<V> r(c.residual);
  V f[4];
  for (int k = 0; k < 4; ++k) f[k] = keep<V>(r.e[k] < V{}, c.weight * r.e[k]);
  return {f[0] + f[1] + f[2] + f[3], c.friction * (f[0] - f[1]), c.friction * (f[2] - f[3])};
}

// What a vector over the dofs adds to the residuals of a contact's normal and scaled tangents.
template <typename V>
RLGPU_HD Vec3<V> residual_of(const Tables<Real<V>>& t, const Work<V>& w, int slot, const V* x) {
  const Vec3<V> moved = jacobian_times(t, w, slot, x);
  const V friction = w.contacts[slot].friction;
  return {moved.x, friction * moved.y, friction * moved.z};
}

// Adds the acceleration's part to all residuals.
template <typename V, typename Team>
RLGPU_STAGE void begin_residuals(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    Limit<V>& row = w.limits[i];
    row.residual = row.sign * w.qacc[t.limit_dof[i]] - row.reference;
  }
  for (int i = team.first(); i < t.num_losses; i += team.step())
    w.losses[i].residual = w.qacc[t.loss_dof[i]] - w.losses[i].reference;
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    Contact<V>& c = w.contacts[w.live[i]];
    c.residual = c.residual + residual_of(t, w, w.live[i], w.qacc);
  }
}

// Adds a contact's J^T f to the gradient, and its J^T A J to the Hessian.
template <typename V, typename Team>
RLGPU_STAGE void add_contact(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot) {
  const Contact<V>& c = w.contacts[slot];
  const Edges<V> r(c.residual);
  V a[4];
  for (int k = 0; k < 4; ++k) a[k] = keep<V>(r.e[k] < V{}, c.weight);
  const V mu = c.friction, nn = a[0] + a[1] + a[2] + a[3];
  const V n1 = mu * (a[0] - a[1]), n2 = mu * (a[2] - a[3]);
  const V t1 = mu * mu * (a[0] + a[1]), t2 = mu * mu * (a[2] + a[3]);
  const Vec3<V> force = edge_forces(c);
  const Vec3<V>* const columns = w.columns + t.slot_columns[slot];
  const Vec3<V>* const end = columns + t.slot_num_columns[slot];
  const int32_t* const dofs = t.column_dof + t.slot_columns[slot];
  // Each column owns a row of the Hessian.
  for (int k = team.first(); k < t.slot_num_columns[slot]; k += team.step()) {
    const int dof = dofs[k];
    const Vec3<V> j = columns[k];
    w.gradient[dof] += dot(j, force);
    const Vec3<V> aj{nn * j.x + n1 * j.y + n2 * j.z, n1 * j.x + t1 * j.y, n2 * j.x + t2 * j.z};
    // Columns run from the leaves to the root, so every later one is an ancestor in the rows of h.
    V* const diagonal = w.h + t.h_adr[dof];
    V* const row = diagonal + t.h_depth[dof];
    diagonal[0] += dot(aj, j);
    const int32_t* other_dof = dofs + k + 1;
    for (const Vec3<V>* other = columns + k + 1; other < end; ++other, ++other_dof)
      *(row - t.h_depth[*other_dof]) += dot(aj, *other);
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
  for (int i = 0; i < w.num_live; ++i) {
    team.sync();
    add_contact(team, t, w, w.live[i]);
  }
  team.sync();
}

// Changes of all residuals along the direction; returns where a full step alters the active set.
template <typename V, typename Team>
RLGPU_STAGE Mask<V> begin_search(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Mask<V> altered{};
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    Limit<V>& row = w.limits[i];
    row.change = row.sign * w.direction[t.limit_dof[i]];
    const Mask<V> now = row.residual < V{}, then = row.residual + row.change < V{};
    altered = altered | ((row.weight > V{}) & (now ^ then));
  }
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    Loss<V>& row = w.losses[i];
    row.change = w.direction[t.loss_dof[i]];
    const V most = splat<V>(t.loss_force[i]);
    const V now = row.weight * row.residual, then = now + row.weight * row.change;
    altered = altered | ((now < -most) ^ (then < -most)) | ((now > most) ^ (then > most));
  }
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    Contact<V>& c = w.contacts[w.live[i]];
    c.change = residual_of(t, w, w.live[i], w.direction);
    const Edges<V> now(c.residual), then(c.residual + c.change);
    for (int k = 0; k < 4; ++k)
      altered = altered | (w.active[w.live[i]] & ((now.e[k] < V{}) ^ (then.e[k] < V{})));
  }
  return team.either(altered);
}

// Slope and curvature, along the direction, of the rows' cost at a step.
template <typename V, typename Team>
RLGPU_STAGE void rows_along(const Team& team, const Tables<Real<V>>& t, const Work<V>& w, V step,
                            V& slope, V& curvature) {
  V own_slope{}, own_curvature{};
  const auto add = [&](Mask<V> active, V weight, V residual, V change) {
    const V weighted = keep<V>(active, weight * change);
    own_slope += weighted * residual, own_curvature += weighted * change;
  };
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    const Limit<V>& row = w.limits[i];
    const V residual = row.residual + step * row.change;
    add(residual < V{}, row.weight, residual, row.change);
  }
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    const Loss<V>& row = w.losses[i];
    const V most = splat<V>(t.loss_force[i]);
    const V force = row.weight * (row.residual + step * row.change);
    own_slope += clamp(force, -most, most) * row.change;
    own_curvature += keep<V>(magnitude(force) < most, row.weight * row.change * row.change);
  }
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    const Contact<V>& c = w.contacts[w.live[i]];
    const Edges<V> residual(c.residual + step * c.change), change(c.change);
    for (int k = 0; k < 4; ++k) add(residual.e[k] < V{}, c.weight, residual.e[k], change.e[k]);
  }
  slope += team.sum(own_slope), curvature += team.sum(own_curvature);
}

// Step lengths of the worlds that search: a root of the slope, which is increasing and piecewise
// linear, by Newton's method inside a bracket. decrement is minus the slope at zero.
template <typename V, typename Team>
RLGPU_STAGE V line_search(const Team& team, const Tables<Real<V>>& t, const Work<V>& w,
                          Mask<V> open, V decrement) {
  using R = Real<V>;
  // Along the direction, M's curvature is the Hessian's (the decrement) without the active rows'.
  V smooth_slope{}, unused{}, rows_curvature{};
  for (int i = team.first(); i < t.nv; i += team.step())
    smooth_slope += w.smooth_gradient[i] * w.direction[i];
  smooth_slope = team.sum(smooth_slope);
  rows_along(team, t, w, V{}, unused, rows_curvature);
  const V smooth_curvature = decrement - rows_curvature;
  V low{}, high = splat<V>(R(1e9)), step = splat<V>(1);
  for (int k = 0; k < kMaxSearch; ++k) {
    V slope = smooth_slope + step * smooth_curvature, curvature = smooth_curvature;
    rows_along(team, t, w, step, slope, curvature);
    low = select<V>(slope < V{}, step, low), high = select<V>(slope < V{}, high, step);
    open = open & (magnitude(slope) > R(1e-4) * decrement);
    if (!any(open)) break;
    const V newton = step - slope / curvature;
    const V bisection = R(0.5) * (low + minimum(high, R(2) * low + R(1)));
    const Mask<V> inside = (newton > low) & (newton < high);
    step = select<V>(open, select<V>(inside, newton, bisection), step);
  }
  return step;
}

// Moves the moving worlds by their steps.
template <typename V, typename Team>
RLGPU_STAGE void advance(const Team& team, const Tables<Real<V>>& t, Work<V>& w, Mask<V> moving,
                         V step) {
  const auto move = [&](V& x, V change) { x = select<V>(moving, x + step * change, x); };
  for (int i = team.first(); i < t.nv; i += team.step()) move(w.qacc[i], w.direction[i]);
  for (int i = team.first(); i < t.num_limits; i += team.step())
    move(w.limits[i].residual, w.limits[i].change);
  for (int i = team.first(); i < t.num_losses; i += team.step())
    move(w.losses[i].residual, w.losses[i].change);
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    Contact<V>& c = w.contacts[w.live[i]];
    c.residual = select(moving, c.residual + step * c.change, c.residual);
  }
}

// Forces of the rows at qacc, into qfrc_constraint and the contacts.
template <typename V, typename Team>
RLGPU_STAGE void constraint_forces(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.nv; i += team.step()) w.qfrc_constraint[i] = V{};
  team.sync();
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
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
  for (int i = 0; i < w.num_live; ++i) {
    const int slot = w.live[i], first = t.slot_columns[slot];
    team.sync();
    const Vec3<V> force = -edge_forces(w.contacts[slot]);
    w.contacts[slot].force = force;  // the same from every thread of the team
    for (int k = first + team.first(); k < first + t.slot_num_columns[slot]; k += team.step())
      w.qfrc_constraint[t.column_dof[k]] += dot(w.columns[k], force);
  }
  team.sync();
}

// Solves for qacc, starting from the qacc of the last step.
template <typename V, typename Team>
RLGPU_STAGE void solve_constraints(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  using R = Real<V>;
  const R tolerance = sizeof(R) == 4 ? R(1e-6) : R(1e-15);
  begin_residuals(team, t, w);
  V trace{};
  for (int i = team.first(); i < t.nv; i += team.step()) trace += w.m[t.m_adr[i]];
  trace = team.sum(trace);
  Mask<V> busy = trace > V{};
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    team.sync();
    assemble(team, t, w);
    factor(team, solver_rows(t), w.h, w.h_inv);
    for (int i = team.first(); i < t.nv; i += team.step()) w.direction[i] = -w.gradient[i];
    team.sync();
    solve(team, solver_rows(t), w.h, w.h_inv, w.direction);
    V decrement{};
    for (int i = team.first(); i < t.nv; i += team.step())
      decrement -= w.gradient[i] * w.direction[i];
    decrement = team.sum(decrement);
    const Mask<V> moving = busy & (R(0.5) * decrement > tolerance * trace);
    busy = moving & begin_search(team, t, w);
    const bool searching = any(busy);
    V step = splat<V>(1);
    if (searching) step = select<V>(busy, line_search(team, t, w, busy, decrement), step);
    advance(team, t, w, moving, step);
    if (!searching) break;
  }
  team.sync();
  constraint_forces(team, t, w);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
