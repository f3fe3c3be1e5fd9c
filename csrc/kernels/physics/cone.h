// The cost of a contact: its friction pyramid, softened where single precision needs that.
//
// A contact's four edges have the residuals n + t1, n - t1, n + t2, n - t2, from those of the
// normal and of the tangents scaled by the friction coefficient; each charges D / 2 times the
// square of a negative residual.
//
// The one idea: D grows as 1 / mu^2, and added to numbers of that size the mass matrix loses its
// digits. Along the tangents mu^2 takes this back, but not along the normal. So the normal gets a
// spring of some softness in series with the edges: their n is the one that minimises the cost of
// edges and spring. The spring gives way to a force, so the solver shifts the residual by as much
// and solves again until the forces stay; the result is that of the rigid normal.
// Source: the method of multipliers; R. T. Rockafellar, Augmented Lagrangians and applications of
// the proximal point algorithm in convex programming, 1976.
#pragma once

#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The largest weight along a normal that the solver's matrix bears, relative to the inertia. It
// bears more where bodies hardly give way; see soften_less in wide.h.
template <typename R>
constexpr R kMostWeight = sizeof(R) == 4 ? R(400) : R(1e9);
// The same of friction with an elliptic cone.
template <typename R>
constexpr R kMostFrictionWeight = sizeof(R) == 4 ? R(2000) : R(1e9);
// By how much forces may change when a contact is hardened and count as settled.
template <typename R>
constexpr R kSettled = sizeof(R) == 4 ? R(1e-4) : R(1e-7);
// (normal, tangents) with the tangents scaled by the friction coefficient.
template <typename V>
RLGPU_HD Vec3<V> scaled(const Contact<V>& c, Vec3<V> v) {
  return {v.x, c.friction * v.y, c.friction * v.z};
}

// The edges of a contact at a residual: n + t1, n - t1, n + t2, n - t2.
template <typename V>
struct Cone {
  Mask<V> active[4];
  V slope[4];       // of each edge's cost, by its own residual
  V weight, ratio;  // of an active edge: D, or less with the spring; D softness
  bool is_soft;     // in any world of the group

  RLGPU_HD Cone(const Cost<V>& c, Vec3<V> residual) : weight(c.weight), ratio{} {
    const V n = residual.x,
            edges[4] = {n + residual.y, n - residual.y, n + residual.z, n - residual.z};
    is_soft = any(c.softness > V{});
    if (is_soft) {
      soften(c, residual);
      return;
    }
    for (int k = 0; k < 4; ++k) {
      active[k] = edges[k] < V{};
      slope[k] = keep<V>(active[k], weight * edges[k]);
    }
  }

  // Derivatives of the cost by the residual.
  RLGPU_HD Vec3<V> gradient() const {
    return {slope[0] + slope[1] + slope[2] + slope[3], slope[0] - slope[1], slope[2] - slope[3]};
  }
  RLGPU_HD Sym3<V> hessian() const {
    V a[4];
    for (int k = 0; k < 4; ++k) a[k] = keep<V>(active[k], weight);
    const V t1 = a[0] + a[1], t2 = a[2] + a[3], n1 = a[0] - a[1], n2 = a[2] - a[3], n = t1 + t2;
    if (!is_soft) return {n, t1, t2, n1, n2, V{}};
    V one[4];
    for (int k = 0; k < 4; ++k) one[k] = keep<V>(active[k], splat<V>(1));
    const V count1 = one[0] + one[1], count2 = one[2] + one[3], count = count1 + count2;
    const V sign1 = one[0] - one[1], sign2 = one[2] - one[3], scale = weight * ratio;
    return {n,
            t1 + scale * (count * count1 - sign1 * sign1),
            t2 + scale * (count * count2 - sign2 * sign2),
            n1,
            n2,
            V(-scale * sign1 * sign2)};
  }

  // Whether other edges are active.
  RLGPU_HD Mask<V> differs(const Cone& other) const {
    Mask<V> found{};
    for (int k = 0; k < 4; ++k) found = found | (active[k] ^ other.active[k]);
    return found;
  }

 private:
  // The same with the spring. By their residuals the edges come in the order n - u, n - v, n + v,
  // n + u for the tangents' larger size u and smaller v, and become active in this order. With m of
  // them active, D e = w (x + s + D softness (sum of s - s' over the active)), where x is the given
  // residual of the normal, s and s' are an edge's and the others' tangents, and
  // w = D / (1 + m D softness). Differences of tangents lose no digits, where n would.
  RLGPU_HD void soften(const Cost<V>& c, Vec3<V> residual) {
    const V x = residual.x + c.shift, one = splat<V>(1);
    const V size1 = magnitude(residual.y), size2 = magnitude(residual.z);
    const V u = maximum(size1, size2), v = minimum(size1, size2), less = u - v, more = u + v;
    ratio = c.softness * c.weight;
    const Mask<V> is[4] = {x - u < V{}, x - v + ratio * less < V{},
                           x + v + ratio * (more + (v + v)) < V{},
                           x + u + ratio * (Real<V>(4) * u) < V{}};
    V m[4];
    for (int k = 0; k < 4; ++k) m[k] = keep<V>(is[k], one);
    weight = c.weight / (one + ratio * (m[0] + m[1] + m[2] + m[3]));
    const V twice_u = u + u, twice_v = v + v;
    const V e[4] = {x - u - ratio * (m[1] * less + m[2] * more + m[3] * twice_u),
                    x - v + ratio * (m[0] * less - m[2] * twice_v - m[3] * more),
                    x + v + ratio * (m[0] * more + m[1] * twice_v - m[3] * less),
                    x + u + ratio * (m[0] * twice_u + m[1] * more + m[2] * less)};
    const Mask<V> first = size1 > size2, second = size1 <= size2;
    for (int k = 0; k < 4; ++k) {
      // Edge k is n + t or n - t of its tangent, which is u or v.
      const V t = k == 0 ? residual.y : k == 1 ? -residual.y : k == 2 ? residual.z : -residual.z;
      const Mask<V> is_u = k < 2 ? first : second, is_low = t < V{}, is_high = t >= V{};
      active[k] = (is_u & ((is_low & is[0]) | (is_high & is[3]))) |
                  ((k < 2 ? second : first) & ((is_low & is[1]) | (is_high & is[2])));
      const V edge = select<V>(is_u, select<V>(is_low, e[0], e[3]), select<V>(is_low, e[1], e[2]));
      slope[k] = keep<V>(active[k], weight * edge);
    }
  }
};

// Sets the weight of an active contact from the regularisation R of its edges, and its softness
// from the inverse inertia: all its edges together may weigh at most kMostWeight.
template <typename V>
RLGPU_HD void set_weight(Cost<V>& c, Mask<V> active, V edge_r, V inverse_weight,
                         int num_edges = 4) {
  using R = Real<V>;
  const V least = inverse_weight * (R(1) / kMostWeight<R>);
  c.weight = keep<V>(active, reciprocal(edge_r));
  c.softness = keep<V>(active, maximum(least - (R(1) / static_cast<R>(num_edges)) * edge_r, V{}));
  c.shift = V{};
}

// Shifts the normal's residual by the force that it has, in some worlds, if this changes it by more
// than rounding; returns where it does. Smaller changes are not made, since only another solution
// would bring the forces back into balance. slope: of the cost, by the normal's residual.
template <typename V>
RLGPU_HD Mask<V> shift_residual(Cost<V>& c, Mask<V> worlds, V slope) {
  const V wanted = c.softness * slope;
  const Mask<V> changed = worlds & (magnitude(V(wanted - c.shift)) > kSettled<Real<V>> * -wanted);
  c.shift = select<V>(changed, wanted, c.shift);
  return changed;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
