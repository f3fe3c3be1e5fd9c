// Contacts with elliptic cones, and those that also resist spinning and rolling.
//
// A contact has up to six dimensions: its normal, two tangents, spin about the normal and roll
// about either tangent; the last five are scaled by their friction coefficients. The pyramid of
// cone.h gets more edges, n + u and n - u of each scaled dimension u. The elliptic cone has three
// zones: beyond it the cost is 0; near its axis it is quadratic in all dimensions; between them it
// is the square of the distance from the cone. Source: MuJoCo, engine_core_constraint.c and
// engine_solver.c; its documentation, "Computation", on contacts.
#pragma once

#include "cone.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Numbers of a contact's dimensions: normal and tangents as linear part, spin and roll as angular.
template <typename V>
using Dimensions = Spatial<V>;

// The number of a slot among these contacts, or -1.
template <typename R>
RLGPU_HD int wide_of(const Tables<R>& t, int slot) {
  return t.num_wide == 0 ? -1 : t.slot_wide[slot];
}

template <typename V>
RLGPU_HD Dimensions<V> scaled(const Contact<V>& c, const Wide<V>& wide, Dimensions<V> v) {
  const Vec3<V>& f = wide.friction;
  return {{f.x * v.ang.x, f.y * v.ang.y, f.z * v.ang.z}, scaled(c, v.lin)};
}

// What a vector over the dofs adds to the residuals of a contact's scaled dimensions.
template <typename V>
RLGPU_RARE Dimensions<V> residual_of(const Tables<Real<V>>& t, const Work<V>& w, int slot,
                                     int number, const V* x) {
  const int first = t.slot_columns[slot], count = t.slot_num_columns[slot];
  const int turning = t.wide_columns[number];
  Dimensions<V> sum{};
  for (int k = 0; k < count; ++k) {
    const V along = x[t.column_dof[first + k]];
    sum.lin = sum.lin + along * w.columns[first + k];
    if (turning >= 0) sum.ang = sum.ang + along * w.turning_columns[turning + k];
  }
  return scaled(w.contacts[slot], w.wides[number], sum);
}

template <typename V>
struct WideCone {
  int dims;  // 0 of an elliptic cone
  V weight;
  // Elliptic: the zones, the unit vector across the axis, and the cost's slopes.
  Mask<V> beyond, inside;
  Dimensions<V> residual, unit;
  V size, across, between;  // of what is across the axis; its weight inside; the weight between
  // Pyramid: edges n + u and n - u of each dimension.
  Mask<V> plus[5], minus[5];

  RLGPU_STAGE WideCone(const Tables<Real<V>>& t, const Contact<V>& c, const Wide<V>& wide,
                       int number, Dimensions<V> r)
      : dims(t.is_elliptic ? 0 : t.wide_dims[number]), weight(c.weight), residual(r) {
    using R = Real<V>;
    if (dims > 0) {
      for (int k = 0; k < dims - 1; ++k) {
        plus[k] = r.lin.x + entry(r, k) < V{};
        minus[k] = r.lin.x - entry(r, k) < V{};
      }
      return;
    }
    const Dimensions<V> u{r.ang, {V{}, r.lin.y, r.lin.z}};
    size = square_root(dot(u, u));
    unit = reciprocal(maximum(size, splat<V>(R(1e-15)))) * u;
    beyond = r.lin.x >= size;
    inside = !beyond & (r.lin.x + size * wide.inverse_mu2 <= V{});
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
  RLGPU_STAGE Dimensions<V> gradient() const { return times(residual); }

  // The cost's second derivatives times a vector of residuals.
  RLGPU_STAGE Dimensions<V> times(Dimensions<V> x) const {
    using R = Real<V>;
    if (dims > 0) {
      V normal{}, u[5]{};
      for (int k = 0; k < dims - 1; ++k) {
        const V up = keep<V>(plus[k], weight * (x.lin.x + entry(x, k)));
        const V down = keep<V>(minus[k], weight * (x.lin.x - entry(x, k)));
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

  // Whether the cost between the two is not one quadratic function.
  RLGPU_STAGE Mask<V> differs(const WideCone& other) const {
    if (dims == 0) return !((beyond & other.beyond) | (inside & other.inside));
    Mask<V> found{};
    for (int k = 0; k < dims - 1; ++k)
      found = found | (plus[k] ^ other.plus[k]) | (minus[k] ^ other.minus[k]);
    return found;
  }
};

// Sets the weight and friction of a contact, and its residuals but for the acceleration's part.
// edge: R of a pyramid's edges, or of an elliptic cone's normal.
template <typename V>
RLGPU_RARE void wide_rows(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int slot,
                          int number, V edge, Real<V> damping) {
  using R = Real<V>;
  Contact<V>& c = w.contacts[slot];
  Wide<V>& wide = w.wides[number];
  c.weight = keep<V>(w.active[slot], reciprocal(edge));
  c.softness = c.shift = V{};
  const V mu2 = t.inverse_impratio[0] * c.friction * c.friction;
  wide.inverse_mu2 = reciprocal(maximum(mu2, splat<V>(R(1e-12))));
  wide.friction = Vec3<V>{};
  const int turning = t.wide_columns[number], first = t.slot_columns[slot];
  Vec3<V> velocity{};
  if (turning >= 0) {
    const int pair = t.pair_turning + 2 * t.slot_pair[slot];
    const V roll = keep<V>(V{} < splat<V>(R(t.wide_dims[number] > 4)), p[pair + 1]);
    wide.friction = Vec3<V>{p[pair], roll, roll};
    for (int k = 0; k < t.slot_num_columns[slot]; ++k) {
      const int dof = t.column_dof[first + k];
      Vec3<V>& column = w.turning_columns[turning + k];
      column = splat<V>(t.column_sign[first + k]) * (c.frame * w.cdof[dof].ang);
      velocity = velocity + w.qvel[dof] * column;
    }
  }
  const Vec3<V>& f = wide.friction;
  wide.residual =
      Vec3<V>{damping * f.x * velocity.x, damping * f.y * velocity.y, damping * f.z * velocity.z};
}

template <typename V>
RLGPU_HD Dimensions<V> residual_of(const Contact<V>& c, const Wide<V>& wide) {
  return {wide.residual, c.residual};
}
template <typename V>
RLGPU_HD Dimensions<V> change_of(const Contact<V>& c, const Wide<V>& wide) {
  return {wide.change, c.change};
}

// Force and torque of a contact on geom 2, in the frame's axes.
template <typename V>
RLGPU_RARE Dimensions<V> wide_force(const Tables<Real<V>>& t, const Work<V>& w, int slot,
                                    int number) {
  const Contact<V>& c = w.contacts[slot];
  const Wide<V>& wide = w.wides[number];
  const WideCone<V> cone(t, c, wide, number, residual_of(c, wide));
  return splat<V>(Real<V>(-1)) * scaled(c, wide, cone.gradient());
}

template <typename V, typename Team>
RLGPU_RARE void add_wide_force(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               int number) {
  const Dimensions<V> force = wide_force(t, w, slot, number);
  const int first = t.slot_columns[slot], turning = t.wide_columns[number];
  for (int k = team.first(); k < t.slot_num_columns[slot]; k += team.step()) {
    V along = dot(w.columns[first + k], force.lin);
    if (turning >= 0) along += dot(w.turning_columns[turning + k], force.ang);
    w.qfrc_constraint[t.column_dof[first + k]] += along;
  }
}

// Adds a contact's part to the gradient, and its J^T A J to the Hessian.
template <typename V, typename Team>
RLGPU_RARE void add_wide_contact(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                                 int number) {
  const Contact<V>& c = w.contacts[slot];
  const Wide<V>& wide = w.wides[number];
  const WideCone<V> cone(t, c, wide, number, residual_of(c, wide));
  const Dimensions<V> gradient = scaled(c, wide, cone.gradient());
  const int first = t.slot_columns[slot], count = t.slot_num_columns[slot];
  const int turning = t.wide_columns[number];
  const auto column = [&](int k) {
    return Dimensions<V>{turning >= 0 ? w.turning_columns[turning + k] : Vec3<V>{},
                         w.columns[first + k]};
  };
  for (int k = team.first(); k < count; k += team.step()) {
    const int dof = t.column_dof[first + k];
    const Dimensions<V> j = column(k);
    w.gradient[dof] += dot(j, gradient);
    const Dimensions<V> aj = scaled(c, wide, cone.times(scaled(c, wide, j)));
    V* const row = w.h + t.h_adr[dof] + t.h_depth[dof];
    w.h[t.h_adr[dof]] += dot(aj, j);
    for (int other = k + 1; other < count; ++other)
      *(row - t.h_depth[t.column_dof[first + other]]) += dot(aj, column(other));
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
