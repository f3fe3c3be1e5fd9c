// What contacts of all kinds of geoms share: their frames, and where they exist.
#pragma once

#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The frame with the given unit normal; the first tangent is as near to a hint as it can be.
template <typename V>
RLGPU_HD Mat3<V> frame_towards(Vec3<V> normal, Vec3<V> hint) {
  Vec3<V> tangent = hint - dot(normal, hint) * normal;
  tangent = reciprocal(square_root(dot(tangent, tangent))) * tangent;
  return {normal, tangent, cross(normal, tangent)};
}

// Without a hint the first tangent is near world y, or near z where the normal is near y.
template <typename V>
RLGPU_HD Mat3<V> frame_of(Vec3<V> normal) {
  const V one = splat<V>(1);
  const Mask<V> use_y = (normal.y < Real<V>(0.5)) & (normal.y > Real<V>(-0.5));
  return frame_towards(normal, Vec3<V>{V{}, keep<V>(use_y, one), select<V>(use_y, V{}, one)});
}

// Notes where a slot's contact exists; returns whether it does in any world of the group. distance
// is negative in penetration.
template <typename V>
RLGPU_STAGE bool begin_contact(Work<V>& w, int slot, Mask<V> active, V distance) {
  w.active[slot] = active;
  if (!any(active)) return false;
  w.contacts[slot].distance = distance;
  return true;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
