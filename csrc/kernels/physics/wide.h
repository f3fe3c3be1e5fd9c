// Contacts with elliptic cones, and those that also resist spinning and rolling: their rows, and
// what they add to the solver's sums.
//
// A contact has up to six dimensions: its normal, two tangents, spin about the normal and roll
// about either tangent; the last five are scaled by their friction coefficients. The cost of their
// residuals is in wide_cone.h. Source: MuJoCo, engine_core_constraint.c and engine_solver.c; its
// documentation, "Computation", on contacts.
#pragma once

#include "pattern.h"
#include "wide_cone.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

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

// Sets the weights of a contact with an elliptic cone from its normal's R, and its softness from
// the inverse inertia.
template <typename V>
RLGPU_STAGE void set_elliptic_weights(const Tables<Real<V>>& t, Contact<V>& c, Wide<V>& wide,
                                      Mask<V> active, V normal, V inverse_weight) {
  using R = Real<V>;
  const V friction2 = c.friction * c.friction;
  const V mu2 = maximum(V(t.inverse_impratio[0] * friction2), splat<V>(R(1e-12)));
  const V across = normal * mu2, zero{};
  const V least = inverse_weight * (R(1) / kMostWeight<R>);
  const V least_across = friction2 * inverse_weight * (R(1) / kMostFrictionWeight<R>);
  c.softness = keep<V>(active, maximum(least - normal, zero));
  wide.softness = keep<V>(active, maximum(least_across - across, zero));
  c.shift = zero;
  wide.shift = Spatial<V>{};
  c.weight = keep<V>(active, reciprocal(normal + c.softness));
  wide.inverse_mu2 = reciprocal(mu2);
  if (any((c.softness > zero) | (wide.softness > zero)))
    wide.inverse_mu2 = (normal + c.softness) / (across + wide.softness);
}

// Sets the weight and friction of a contact, and its residuals but for the acceleration's part.
// edge: R of a pyramid's edges, or of an elliptic cone's normal.
template <typename V>
RLGPU_RARE void wide_rows(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int slot,
                          int number, V edge, V inverse_weight) {
  using R = Real<V>;
  Contact<V>& c = w.contacts[slot];
  Wide<V>& wide = w.wides[number];
  if (t.is_elliptic)
    set_elliptic_weights(t, c, wide, w.active[slot], edge, inverse_weight);
  else
    set_weight(c, w.active[slot], edge, inverse_weight, 2 * (t.wide_dims[number] - 1));
  wide.friction = Vec3<V>{};
  const int turning = t.wide_columns[number], first = t.slot_columns[slot];
  Vec3<V> velocity{};
  if (turning >= 0) {
    const int pair = t.pair_turning + 3 * t.slot_pair[slot];
    const Mask<V> rolls = V{} < splat<V>(R(t.wide_dims[number] > 4));
    wide.friction = Vec3<V>{p[pair], keep<V>(rolls, p[pair + 1]), keep<V>(rolls, p[pair + 2])};
    for (int k = 0; k < t.slot_num_columns[slot]; ++k) {
      const int dof = t.column_dof[first + k];
      Vec3<V>& column = w.turning_columns[turning + k];
      column = splat<V>(t.column_sign[first + k]) * (c.frame * w.cdof[dof].ang);
      velocity = velocity + w.qvel[dof] * column;
    }
  }
  const Vec3<V>& f = wide.friction;
  const R damping = t.pair_friction_damping[t.slot_pair[slot]];
  wide.residual =
      Vec3<V>{damping * f.x * velocity.x, damping * f.y * velocity.y, damping * f.z * velocity.z};
}

template <typename V>
RLGPU_HD Dimensions<V> residual_of(const Cost<V>& c, const WideCost<V>& wide) {
  return {wide.residual, c.residual};
}
template <typename V>
RLGPU_HD Dimensions<V> change_of(const Cost<V>& c, const WideCost<V>& wide) {
  return {wide.change, c.change};
}

// What becomes of an elliptic cone's softness in worlds that take long to harden, if its forces
// still change by more than a share.
template <typename R>
constexpr R kSofter = R(0.125);
template <typename R>
constexpr R kFar = R(0.01);

// Takes most of the softness out of an elliptic cone's weights, in some worlds. The forces approach
// their ends in steps of softness / compliance, so what gives way little takes long; it adds little
// to the solver's matrix with larger weights, too.
template <typename V>
RLGPU_RARE void soften_less(Cost<V>& c, Wide<V>& wide, Mask<V> worlds) {
  using R = Real<V>;
  const V factor = select<V>(worlds & (c.weight > V{}), splat<V>(kSofter<R>), splat<V>(1));
  const V along = c.softness * (R(1) - factor), across = wide.softness * (R(1) - factor);
  const V rigid = R(1) - c.weight * along;
  wide.inverse_mu2 = wide.inverse_mu2 * rigid / (R(1) - c.weight * wide.inverse_mu2 * across);
  c.weight = c.weight / rigid;
  c.softness = c.softness - along, wide.softness = wide.softness - across;
}

// Takes the softness out of a contact, as shift_residual() does; less of it comes back in worlds
// that are slow.
template <typename V>
RLGPU_RARE Mask<V> shift_wide_residual(const Tables<Real<V>>& t, Work<V>& w, int slot, int number,
                                       Mask<V> worlds, Mask<V> slow) {
  Contact<V>& c = w.contacts[slot];
  Wide<V>& wide = w.wides[number];
  const Dimensions<V> slope =
      WideCone<V>(c, wide, cone_dims(t, number), residual_of(c, wide)).gradient();
  const V before = c.shift;
  Mask<V> changed = shift_residual<V>(c, worlds, slope.lin.x);
  if (!t.is_elliptic) return changed;
  Dimensions<V> wanted = wide.softness * slope;
  wanted.lin.x = c.shift;
  const V size = wide.softness * -slope.lin.x;
  const Dimensions<V> apart = wanted + splat<V>(Real<V>(-1)) * wide.shift;
  const V tangents[] = {apart.lin.y, apart.lin.z, apart.ang.x, apart.ang.y, apart.ang.z};
  Mask<V> far = magnitude(V(c.shift - before)) > kFar<Real<V>> * -c.shift;
  for (const V& tangent : tangents) {
    changed = changed | (worlds & (magnitude(tangent) > kSettled<Real<V>> * size));
    far = far | (magnitude(tangent) > kFar<Real<V>> * size);
  }
  slow = slow & worlds & far;
  if (any(slow)) {
    soften_less(c, wide, slow);
    wanted = select<V>(slow, splat<V>(kSofter<Real<V>>), splat<V>(1)) * wanted;
    c.shift = wanted.lin.x;
  }
  wide.shift = {select(changed, wanted.ang, wide.shift.ang),
                select(changed, wanted.lin, wide.shift.lin)};
  return changed;
}

// Force and torque of a contact on geom 2, in the frame's axes.
template <typename V>
RLGPU_RARE Dimensions<V> wide_force(const Tables<Real<V>>& t, const Work<V>& w, int slot,
                                    int number) {
  const Contact<V>& c = w.contacts[slot];
  const Wide<V>& wide = w.wides[number];
  const WideCone<V> cone(c, wide, cone_dims(t, number), residual_of(c, wide));
  return splat<V>(Real<V>(-1)) * scaled(c, wide, cone.gradient());
}

// Forces on the dofs of a force along a contact's scaled dimensions, added to x.
template <typename V, typename Team>
RLGPU_STAGE void push(const Team& team, const Tables<Real<V>>& t, const Work<V>& w, int slot,
                      int wide, Dimensions<V> force, V* x) {
  const Contact<V>& c = w.contacts[slot];
  const int first = t.slot_columns[slot], turning = wide >= 0 ? t.wide_columns[wide] : -1;
  const Dimensions<V> along =
      wide >= 0 ? scaled(c, w.wides[wide], force) : Dimensions<V>{Vec3<V>{}, scaled(c, force.lin)};
  for (int k = team.first(); k < t.slot_num_columns[slot]; k += team.step()) {
    V sum = dot(w.columns[first + k], along.lin);
    if (turning >= 0) sum += dot(w.turning_columns[turning + k], along.ang);
    x[t.column_dof[first + k]] += sum;
  }
}

template <typename V, typename Team>
RLGPU_RARE void add_wide_force(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                               int number) {
  const Contact<V>& c = w.contacts[slot];
  const Wide<V>& wide = w.wides[number];
  const WideCone<V> cone(c, wide, cone_dims(t, number), residual_of(c, wide));
  push(team, t, w, slot, number, splat<V>(Real<V>(-1)) * cone.gradient(), w.qfrc_constraint);
}

// Adds a contact's part to the gradient, and its J^T A J to the Hessian.
template <typename V, typename Team>
RLGPU_RARE void add_wide_contact(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                                 int number) {
  const Contact<V>& c = w.contacts[slot];
  const Wide<V>& wide = w.wides[number];
  const WideCone<V> cone(c, wide, cone_dims(t, number), residual_of(c, wide));
  const Dimensions<V> gradient = scaled(c, wide, cone.gradient());
  const int first = t.slot_columns[slot], count = t.slot_num_columns[slot];
  const int turning = t.wide_columns[number];
  const Rows rows = solver_rows(t, w);
  const auto column = [&](int k) {
    return Dimensions<V>{turning >= 0 ? w.turning_columns[turning + k] : Vec3<V>{},
                         w.columns[first + k]};
  };
  for (int k = team.first(); k < count; k += team.step()) {
    const int dof = t.column_dof[first + k];
    const Dimensions<V> j = column(k);
    w.gradient[dof] += dot(j, gradient);
    const Dimensions<V> aj = scaled(c, wide, cone.times(scaled(c, wide, j)));
    V* const row = w.h + rows.adr[dof] + rows.depth[dof];
    w.h[rows.adr[dof]] += dot(aj, j);
    for (int other = k + 1; other < count; ++other)
      *(row - rows.depth[t.column_dof[first + other]]) += dot(aj, column(other));
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
