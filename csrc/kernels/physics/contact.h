// What contacts of all kinds of geoms share: their frames, and where they exist.
#pragma once

#include "lane_of.h"
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

// Adds one world's contact to a slot. If it is the slot's first, the other worlds get numbers, too:
// rows are computed for all of them, and what is not finite would spread.
template <typename V>
RLGPU_STAGE void put_contact(Work<V>& w, int slot, int lane, Real<V> distance, Vec3<Real<V>> point,
                             const Mat3<Real<V>>& frame) {
  Contact<V>& c = w.contacts[slot];
  if (!any(w.active[slot])) c.distance = V{}, c.point = Vec3<V>{}, c.frame = identity<V>();
  w.active[slot] = w.active[slot] | only<V>(lane);
  lane_of(c.distance, lane) = distance;
  set_lane(c.point, lane, point), set_lane(c.frame, lane, frame);
}

// Contacts that are found but do not push yet, as they are farther than the margin, have no rows.
template <typename V>
RLGPU_RARE void leave_gap(const Tables<Real<V>>& t, Work<V>& w, int pair) {
  const V margin = splat<V>(t.pair_margin[pair]);
  for (int slot = t.pair_slot[pair]; slot < t.pair_slot[pair + 1]; ++slot)
    w.active[slot] = w.active[slot] & (w.contacts[slot].distance < margin);
}

// What is left to do once all contacts of a pair are found.
template <typename V>
RLGPU_STAGE void end_pair(const Tables<Real<V>>& t, Work<V>& w, int pair) {
  for (int slot = t.pair_slot[pair]; t.num_adhesions > 0 && slot < t.pair_slot[pair + 1]; ++slot)
    w.found[slot] = w.active[slot];
  if (t.pair_detection[pair] > t.pair_margin[pair]) leave_gap(t, w, pair);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
