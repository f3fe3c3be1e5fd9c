// A contact's friction as noslip.h changes it: what it acts on, what bounds it, and the change.
//
// The change is kept where the solver's line search had that of the residuals.
#pragma once

#include "search.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// A contact's dimensions of friction, as wide.h scales them: k is 0 for the first tangent.
template <typename V>
RLGPU_STAGE Dimensions<V> unit_of(int k) {
  V u[5]{};
  u[k] = splat<V>(1);
  return WideCone<V>::from(V{}, u);
}

// What the solver leaves of a contact: its forces and residuals along the scaled dimensions, their
// scales and, for each dimension of a pyramid, the sum of its two edges', which is not exceeded.
template <typename V>
struct Grip {
  Dimensions<V> force, residual, scale;
  V most[5];

  RLGPU_STAGE Grip(const Tables<Real<V>>& t, const Work<V>& w, int slot, int wide) : most{} {
    const V minus = splat<V>(Real<V>(-1));
    const Contact<V>& c = w.contacts[slot];
    if (wide < 0) {
      const Cone<V> cone(c, c.residual);
      force = {Vec3<V>{}, -cone.gradient()}, residual = {Vec3<V>{}, c.residual};
      most[0] = -(cone.slope[0] + cone.slope[1]), most[1] = -(cone.slope[2] + cone.slope[3]);
      return;
    }
    const Wide<V>& more = w.wides[wide];
    const WideCone<V> cone(c, more, cone_dims(t, wide), residual_of(c, more));
    force = minus * cone.gradient(), residual = residual_of(c, more);
    scale = {more.friction, {V{}, c.friction, c.friction}};
    for (int k = 0; k < cone.dims - 1; ++k) most[k] = -cone.slope_sum(k);
  }
};

// Notes the change of a contact's friction.
template <typename V, typename Team>
RLGPU_STAGE void note_change(const Team& team, Work<V>& w, int slot, int wide,
                             Dimensions<V> change) {
  team.sync();
  if (team.first() != 0) return;
  w.contacts[slot].change = w.contacts[slot].change + change.lin;
  if (wide >= 0) w.wides[wide].change = w.wides[wide].change + change.ang;
}

template <typename V>
RLGPU_STAGE Dimensions<V> noted_change(const Work<V>& w, int slot, int wide) {
  return {wide >= 0 ? w.wides[wide].change : Vec3<V>{}, w.contacts[slot].change};
}

// What noslip.h has added to a contact's force on geom 2, in the frame's axes.
template <typename V>
RLGPU_RARE Dimensions<V> slip_force(const Tables<Real<V>>& t, const Work<V>& w, int slot,
                                    int wide) {
  const Dimensions<V> change = noted_change(w, slot, wide);
  const Contact<V>& c = w.contacts[slot];
  if (wide >= 0) return scaled(c, w.wides[wide], change);
  return {Vec3<V>{}, scaled(c, change.lin)};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
