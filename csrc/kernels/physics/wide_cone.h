// The cost of a contact with an elliptic cone or more than three dimensions.
//
// The pyramid of cone.h gets more edges, n + u and n - u of each scaled dimension u, and is
// softened alike. The elliptic cone has three zones: beyond it the cost is 0; near its axis it is
// quadratic in all dimensions; between them it is the square of the distance from the cone. It is
// softened in all dimensions: each R becomes R + s, and the residuals are shifted by s times the
// slopes until these stay. Source: MuJoCo, engine_solver.c; its documentation, "Computation", on
// contacts.
#pragma once

#include "cone.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Numbers of a contact's dimensions: normal and tangents as linear part, spin and roll as angular.
template <typename V>
using Dimensions = Spatial<V>;

// The dimensions of a wide contact's pyramid; 0 of an elliptic cone, whose cost tells by itself.
template <typename R>
RLGPU_HD int cone_dims(const Tables<R>& t, int wide) {
  return t.is_elliptic ? 0 : t.wide_dims[wide];
}

template <typename V>
struct WideCone {
  int dims;  // 0 of an elliptic cone
  V weight;
  // Elliptic: the zones, the unit vector across the axis, and the cost's slopes.
  Mask<V> beyond, inside;
  Dimensions<V> residual, unit;
  V size, across, between;  // of what is across the axis; its weight inside; the weight between
  // Pyramid: edges n + u and n - u of each dimension, and D softness.
  Mask<V> plus[5], minus[5];
  V ratio;
  bool is_soft;  // in any world of the group

  RLGPU_STAGE WideCone(const Cost<V>& c, const WideCost<V>& wide, int num_dims, Dimensions<V> r)
      : dims(num_dims), weight(c.weight), residual(r), ratio{}, is_soft(false) {
    using R = Real<V>;
    if (dims > 0) {
      begin_pyramid(c);
      return;
    }
    residual = residual + wide.shift;
    const Dimensions<V> u{residual.ang, {V{}, residual.lin.y, residual.lin.z}};
    size = square_root(dot(u, u));
    unit = reciprocal(maximum(size, splat<V>(R(1e-15)))) * u;
    beyond = residual.lin.x >= size;
    inside = !beyond & (residual.lin.x + size * wide.inverse_mu2 <= V{});
    across = weight * wide.inverse_mu2;
    between = weight * wide.inverse_mu2 / (R(1) + wide.inverse_mu2);
  }

  RLGPU_HD static V entry(const Dimensions<V>& r, int k) {
    return k == 0 ? r.lin.y : k == 1 ? r.lin.z : k == 2 ? r.ang.x : k == 3 ? r.ang.y : r.ang.z;
  }
  RLGPU_HD static Dimensions<V> from(V normal, const V (&u)[5]) {
    return {{u[2], u[3], u[4]}, {normal, u[0], u[1]}};
  }

  // The cost's derivatives by the residual. The cost grows with the square of a common factor of
  // all dimensions, so they are its second derivatives times the residual.
  RLGPU_STAGE Dimensions<V> gradient() const {
    if (!is_soft) return times(residual);
    V normal{}, u[5]{};
    for (int k = 0; k < dims - 1; ++k) {
      const V tangent = entry(residual, k);
      const V up = soft_slope(plus[k], tangent), down = soft_slope(minus[k], -tangent);
      normal += up + down, u[k] = up - down;
    }
    return from(normal, u);
  }

  // Of a pyramid, the sum of the slopes of a dimension's two edges.
  RLGPU_STAGE V slope_sum(int k) const {
    const V tangent = entry(residual, k), n = residual.lin.x;
    if (is_soft) return soft_slope(plus[k], tangent) + soft_slope(minus[k], -tangent);
    return weight * (keep<V>(plus[k], n + tangent) + keep<V>(minus[k], n - tangent));
  }

  // The cost's second derivatives times a vector of residuals.
  RLGPU_STAGE Dimensions<V> times(Dimensions<V> x) const {
    using R = Real<V>;
    if (dims > 0) {
      V normal{}, u[5]{}, active{}, total{};
      for (int k = 0; is_soft && k < dims - 1; ++k) {
        const V tangent = entry(x, k), one = splat<V>(1);
        active += keep<V>(plus[k], one) + keep<V>(minus[k], one);
        total += keep<V>(plus[k], tangent) - keep<V>(minus[k], tangent);
      }
      const V along = x.lin.x - ratio * total, scale = splat<V>(R(1)) + ratio * active;
      for (int k = 0; k < dims - 1; ++k) {
        const V tangent = is_soft ? V(scale * entry(x, k)) : entry(x, k);
        const V up = keep<V>(plus[k], weight * (along + tangent));
        const V down = keep<V>(minus[k], weight * (along - tangent));
        normal += up + down, u[k] = up - down;
      }
      return from(normal, u);
    }
    const Dimensions<V> xu{x.ang, {V{}, x.lin.y, x.lin.z}};
    Dimensions<V> g = select<V>(inside, across, V{}) * xu;
    g.lin.x = keep<V>(inside, weight * x.lin.x);
    const V along = dot(unit, xu);
    const V ratio = (size - residual.lin.x) / maximum(size, splat<V>(R(1e-15)));
    Dimensions<V> h =
        (between * ratio) * xu + (between * ((R(1) - ratio) * along - x.lin.x)) * unit;
    h.lin.x = between * (x.lin.x - along);
    const Mask<V> middle = !beyond & !inside;
    return {select(middle, h.ang, g.ang), select(middle, h.lin, g.lin)};
  }

  // The cost's second derivatives by the normal and the tangents.
  RLGPU_STAGE Sym3<V> hessian_of_three() const {
    const Vec3<V> none{}, x = times({none, unit_axis<V>(0)}).lin;
    const Vec3<V> y = times({none, unit_axis<V>(1)}).lin, z = times({none, unit_axis<V>(2)}).lin;
    return {x.x, y.y, z.z, x.y, x.z, y.z};
  }

  // Whether the cost between the two is not one quadratic function.
  RLGPU_STAGE Mask<V> differs(const WideCone& other) const {
    if (dims == 0) return !((beyond & other.beyond) | (inside & other.inside));
    Mask<V> found{};
    for (int k = 0; k < dims - 1; ++k)
      found = found | (plus[k] ^ other.plus[k]) | (minus[k] ^ other.minus[k]);
    return found;
  }

 private:
  // With the spring of cone.h the edges become active in the order of their tangents: an edge does
  // if it is negative while only those with smaller tangents are active.
  RLGPU_STAGE void begin_pyramid(const Cost<V>& c) {
    is_soft = any(c.softness > V{});
    if (is_soft) residual.lin.x += c.shift, ratio = c.softness * c.weight;
    const V one = splat<V>(1);
    V active = one - one;
    for (int k = 0; k < dims - 1; ++k) {
      const V tangent = entry(residual, k);
      V up = residual.lin.x + tangent, down = residual.lin.x - tangent;
      if (is_soft) up += ratio * beyond_others(tangent), down += ratio * beyond_others(-tangent);
      plus[k] = up < V{}, minus[k] = down < V{};
      active += keep<V>(plus[k], one) + keep<V>(minus[k], one);
    }
    if (is_soft) weight = c.weight / (one + ratio * active);
  }

  // How far a tangent is beyond all edges' smaller ones, in sum.
  RLGPU_STAGE V beyond_others(V tangent) const {
    V sum{};
    for (int k = 0; k < dims - 1; ++k) {
      const V other = entry(residual, k);
      sum += maximum(tangent - other, V{}) + maximum(tangent + other, V{});
    }
    return sum;
  }

  // The slope of an edge's cost with the spring, from differences of tangents, which lose no
  // digits.
  RLGPU_STAGE V soft_slope(Mask<V> is_active, V tangent) const {
    V sum{};
    for (int k = 0; k < dims - 1; ++k) {
      const V other = entry(residual, k);
      sum += keep<V>(plus[k], tangent - other) + keep<V>(minus[k], tangent + other);
    }
    return keep<V>(is_active, weight * (residual.lin.x + tangent + ratio * sum));
  }
};

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
