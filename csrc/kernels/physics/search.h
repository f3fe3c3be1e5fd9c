// A step along the solver's direction: how long it must be, and what it changes.
//
// Source: MuJoCo, engine_solver.c.
#pragma once

#include "couplings.h"
#include "packed.h"
#include "rows.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxSearch = 12;

// What a vector over the dofs adds to the residuals of a contact's normal and scaled tangents.
template <typename V>
RLGPU_HD Vec3<V> residual_of(const Tables<Real<V>>& t, const Work<V>& w, int slot, const V* x) {
  return scaled(w.contacts[slot], jacobian_times(t, w, slot, x));
}

// Changes of all residuals along the direction; returns where a full step alters the active set.
template <typename V, typename Team>
RLGPU_STAGE Mask<V> begin_search(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Mask<V> altered{};
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    Limit<V>& row = w.limits[i];
    row.change = limit_times(t, w, i, w.direction);
    const Mask<V> now = row.residual < V{}, then = row.residual + row.change < V{};
    altered = altered | ((row.weight > V{}) & (now ^ then));
  }
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    Loss<V>& row = w.losses[i];
    row.change = w.direction[t.loss_dof[i]];
    const V most = row.most;
    const V now = row.weight * row.residual, then = now + row.weight * row.change;
    altered = altered | ((now < -most) ^ (then < -most)) | ((now > most) ^ (then > most));
  }
  for (int i = team.first(); i < t.num_rows; i += team.step()) {
    Row<V>& row = w.rows[i];
    row.change = row_times(t, w, i, w.direction);
    Mask<V> now, then;
    const V before = row_slope(t, w, i, row.residual, now);
    const V after = row_slope(t, w, i, V(row.residual + row.change), then);
    altered = altered | (now ^ then) | (!now & (before != after));
  }
  for (int i = team.first(); i < w.num_open; i += team.step()) {
    Contact<V>& c = w.contacts[w.open[i]];
    if (const int number = wide_of(t, w.open[i]); number >= 0) {
      Wide<V>& wide = w.wides[number];
      const Dimensions<V> change = residual_of(t, w, w.open[i], number, w.direction);
      c.change = change.lin, wide.change = change.ang;
      const WideCone<V> now(c, wide, cone_dims(t, number), residual_of(c, wide));
      const WideCone<V> then(c, wide, cone_dims(t, number), residual_of(c, wide) + change);
      altered = altered | (w.active[w.open[i]] & now.differs(then));
      continue;
    }
    c.change = residual_of(t, w, w.open[i], w.direction);
    const Cone<V> now(c, c.residual), then(c, c.residual + c.change);
    altered = altered | (w.active[w.open[i]] & now.differs(then));
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
    const V force = row.weight * (row.residual + step * row.change);
    own_slope += clamp(force, -row.most, row.most) * row.change;
    own_curvature += keep<V>(magnitude(force) < row.most, row.weight * row.change * row.change);
  }
  for (int i = team.first(); i < t.num_rows; i += team.step()) {
    const Row<V>& row = w.rows[i];
    Mask<V> is_within;
    own_slope += row_slope(t, w, i, V(row.residual + step * row.change), is_within) * row.change;
    own_curvature += keep<V>(is_within, row.weight * row.change * row.change);
  }
  for (int i = team.first(); i < num_searched(w); i += team.step()) {
    const SearchedContact<V> contact = searched_at(t, w, i);
    const Cost<V>& c = *contact.cost;
    if (contact.dims != kNarrow) {
      const WideCost<V>& wide = *contact.wide;
      const Dimensions<V> change = change_of(c, wide);
      const WideCone<V> cone(c, wide, contact.dims, residual_of(c, wide) + step * change);
      own_slope += dot(cone.gradient(), change);
      own_curvature += dot(cone.times(change), change);
      continue;
    }
    const Cone<V> cone(c, c.residual + step * c.change);
    own_slope += dot(cone.gradient(), c.change);
    own_curvature += dot(cone.hessian() * c.change, c.change);
  }
  slope += team.sum(own_slope), curvature += team.sum(own_curvature);
}

// Step lengths of the worlds that search: a root of the slope, which is increasing and piecewise
// linear, by Newton's method inside a bracket.
template <typename V, typename Team>
RLGPU_STAGE V line_search(const Team& team, const Tables<Real<V>>& t, Work<V>& w, Mask<V> open) {
  using R = Real<V>;
  if constexpr (Lanes<V>::kWidth > 1) list_searched(t, w, open);
  // Along the direction, M's curvature is the Hessian's (the decrement) without the active rows'.
  V smooth_slope{}, decrement{}, unused{}, rows_curvature{};
  for (int i = team.first(); i < t.nv; i += team.step()) {
    smooth_slope += w.smooth_gradient[i] * w.direction[i];
    decrement -= w.gradient[i] * w.direction[i];
  }
  smooth_slope = team.sum(smooth_slope), decrement = team.sum(decrement);
  rows_along(team, t, w, V{}, unused, rows_curvature);
  const V smooth_curvature = decrement - rows_curvature;
  V low{}, high = splat<V>(R(1e9)), step = splat<V>(1);
  for (int k = 0; k < kMaxSearch; ++k) {
    V slope = smooth_slope + step * smooth_curvature, curvature = smooth_curvature;
    rows_along(team, t, w, step, slope, curvature);
    low = select<V>(slope < V{}, step, low), high = select<V>(slope < V{}, high, step);
    open = open & (magnitude(slope) > R(1e-2) * decrement);
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
  for (int i = team.first(); i < t.num_rows; i += team.step())
    move(w.rows[i].residual, w.rows[i].change);
  for (int i = team.first(); i < w.num_open; i += team.step()) {
    Contact<V>& c = w.contacts[w.open[i]];
    c.residual = select(moving, c.residual + step * c.change, c.residual);
    if (const int number = wide_of(t, w.open[i]); number >= 0) {
      Wide<V>& wide = w.wides[number];
      wide.residual = select(moving, wide.residual + step * wide.change, wide.residual);
    }
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
