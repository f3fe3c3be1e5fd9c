// Contacts between pairs of geoms: which exist, where, how deep, and their frames.
//
// The one idea: the possible contacts of a model are a fixed list of slots. Most are inactive; a
// slot that no world of the group has costs one distance. Source: MuJoCo,
// engine_collision_primitive.c and mju_makeFrame.
#pragma once

#include "ridges.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Centres and axes of the geoms that can collide.
template <typename V, typename Team>
RLGPU_STAGE void geom_poses(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int g = team.first(); g < t.num_geoms; g += team.step()) {
    const int b = t.geom_body[g];
    const Real<V>* m = t.geom_mat + 9 * g;
    w.geom_center[g] = w.xpos[b] + w.xmat[b] * splat3<V>(t.geom_pos + 3 * g);
    const Mat3<V> own{splat3<V>(m), splat3<V>(m + 3), splat3<V>(m + 6)};
    const Mat3<V>& body = w.xmat[b];
    w.geom_frame[g] = {transposed_times(own, body.x), transposed_times(own, body.y),
                       transposed_times(own, body.z)};
  }
}

template <typename V>
RLGPU_STAGE void plane_sphere(Work<V>& w, int slot, const Mat3<V>& plane, Vec3<V> plane_center,
                              Vec3<V> center, V radius, V margin, const Vec3<V>* hint) {
  const Vec3<V> normal = column(plane, 2);
  const V distance = dot(center - plane_center, normal) - radius;
  if (!begin_contact<V>(w, slot, distance < margin, distance)) return;
  Contact<V>& c = w.contacts[slot];
  c.point = center - (Real<V>(0.5) * distance + radius) * normal;
  if (hint == nullptr) {
    c.frame = frame_of(normal);
    return;
  }
  // A capsule that stands upright has no direction along the plane.
  const V along = dot(normal, *hint);
  const Mask<V> upright = Real<V>(1) - along * along < Real<V>(1e-12);
  const Mat3<V> towards = frame_towards(normal, *hint), other = frame_of(normal);
  c.frame = {normal, select(upright, other.y, towards.y), select(upright, other.z, towards.z)};
}

// The first four corners below the box's centre that touch, in MuJoCo's order.
template <typename V>
RLGPU_STAGE void plane_box(Work<V>& w, int slot, const Mat3<V>& plane, Vec3<V> plane_center,
                           const Mat3<V>& box, Vec3<V> center, const Real<V>* size, V margin) {
  const Vec3<V> normal = column(plane, 2);
  const V height = dot(center - plane_center, normal);
  V found = V{};
  for (int corner = 0; corner < 8; ++corner) {
    const Real<V> signed_size[3] = {corner & 1 ? size[0] : -size[0],
                                    corner & 2 ? size[1] : -size[1],
                                    corner & 4 ? size[2] : -size[2]};
    const Vec3<V> arm = box * splat3<V>(signed_size);
    const V drop = dot(normal, arm), distance = height + drop;
    const Mask<V> active = (distance < margin) & (drop <= V{}) & (found < Real<V>(3.5));
    found += keep<V>(active, splat<V>(1));
    if (!begin_contact<V>(w, slot + corner, active, distance)) continue;
    w.contacts[slot + corner].point = center + arm - Real<V>(0.5) * distance * normal;
    w.contacts[slot + corner].frame = frame_of(normal);
  }
}

template <typename V>
RLGPU_STAGE void sphere_sphere(Work<V>& w, int slot, Vec3<V> first, V radius, Vec3<V> second,
                               V second_radius, V margin) {
  const Vec3<V> apart = second - first;
  const V length = square_root(dot(apart, apart)), distance = length - radius - second_radius;
  if (!begin_contact<V>(w, slot, distance < margin, distance)) return;
  const Vec3<V> unit_x{splat<V>(1), V{}, V{}};
  const Vec3<V> normal = select(length > Real<V>(1e-15), reciprocal(length) * apart, unit_x);
  w.contacts[slot].point = first + (radius + Real<V>(0.5) * distance) * normal;
  w.contacts[slot].frame = frame_of(normal);
}

template <typename V>
RLGPU_STAGE void sphere_capsule(Work<V>& w, int slot, Vec3<V> sphere, V radius, Vec3<V> capsule,
                                Vec3<V> axis, const Real<V>* size, V margin) {
  const V half = splat<V>(size[1]);
  const V along = clamp(dot(axis, sphere - capsule), -half, half);
  sphere_sphere(w, slot, sphere, radius, capsule + along * axis, splat<V>(size[0]), margin);
}

// The contact of two capsules nearest to a place x1 on the first one's axis, from -1 to 1: x1 stays
// unless the second axis ends before its nearest point.
template <typename V>
RLGPU_STAGE void capsule_contact(Work<V>& w, int slot, Vec3<V> center1, Vec3<V> axis1, V radius1,
                                 Vec3<V> center2, Vec3<V> axis2, V radius2, V x1, V margin) {
  const V one = splat<V>(1), both = dot(axis1, axis2);
  const V wanted = (dot(axis2, center1 - center2) + x1 * both) / dot(axis2, axis2);
  const V x2 = clamp(wanted, V(-one), one);
  const V back = (dot(axis1, center2 - center1) + x2 * both) / dot(axis1, axis1);
  x1 = select<V>(magnitude(wanted) > one, clamp(back, V(-one), one), x1);
  sphere_sphere(w, slot, center1 + x1 * axis1, radius1, center2 + x2 * axis2, radius2, margin);
}

// The nearest points of two segments, or both ends of the overlap if they are parallel (to 1e-4
// rad). The axes reach from the centres to the ends. Source: MuJoCo 4.0, mjc_segWeights.
template <typename V>
RLGPU_STAGE void capsule_capsule(Work<V>& w, int slot, Vec3<V> center1, Vec3<V> axis1, V radius1,
                                 Vec3<V> center2, Vec3<V> axis2, V radius2, V margin) {
  using R = Real<V>;
  const V one = splat<V>(1);
  const Vec3<V> normal = cross(axis1, axis2), apart = center2 - center1;
  const V det = dot(normal, normal);
  const Mask<V> parallel = !(det > R(1e-8) * dot(axis1, axis1) * dot(axis2, axis2));
  const V crossing = dot(normal, cross(apart, axis2)) / select<V>(parallel, one, det);
  const V first = select<V>(parallel, V(-one), clamp(crossing, V(-one), one));
  capsule_contact(w, slot, center1, axis1, radius1, center2, axis2, radius2, first, margin);
  w.active[slot + 1] = Mask<V>{};
  if (!any(parallel)) return;
  const V reach = select<V>(parallel, margin, splat<V>(R(-1e9)));
  capsule_contact(w, slot + 1, center1, axis1, radius1, center2, axis2, radius2, one, reach);
}

// Fills the slots of one pair.
template <typename V>
RLGPU_STAGE void collide_pair(const Tables<Real<V>>& t, Work<V>& w, int pair) {
  const int a = t.pair_geom1[pair], b = t.pair_geom2[pair], slot = t.pair_slot[pair];
  const Real<V>*size1 = t.geom_size + 3 * a, *size2 = t.geom_size + 3 * b;
  const Vec3<V> first = w.geom_center[a], second = w.geom_center[b];
  const Mat3<V>&frame1 = w.geom_frame[a], &frame2 = w.geom_frame[b];
  const V margin = splat<V>(t.pair_margin[pair]), radius2 = splat<V>(size2[0]);
  const Vec3<V> axis2 = column(frame2, 2), half2 = splat<V>(size2[1]) * axis2;
  switch (t.pair_kind[pair]) {
    case kPlaneSphere:
      plane_sphere<V>(w, slot, frame1, first, second, radius2, margin, nullptr);
      break;
    case kPlaneCapsule:
      plane_sphere(w, slot, frame1, first, second + half2, radius2, margin, &axis2);
      plane_sphere(w, slot + 1, frame1, first, second - half2, radius2, margin, &axis2);
      break;
    case kPlaneBox:
      plane_box(w, slot, frame1, first, frame2, second, size2, margin);
      break;
    case kTerrainSphere:
      terrain_sphere(t, w, slot, second, size2[0], t.pair_margin[pair]);
      break;
    case kTerrainCapsule:
      terrain_sphere(t, w, slot, second + half2, size2[0], t.pair_margin[pair]);
      terrain_sphere(t, w, slot + 1, second - half2, size2[0], t.pair_margin[pair]);
      capsule_ridges(t, w, slot + 2, second, half2, size2, t.pair_margin[pair]);
      break;
    case kTerrainBox:
      terrain_box(t, w, slot, frame2, second, size2, t.pair_margin[pair]);
      box_ridges(t, w, slot + 8, frame2, second, size2, t.pair_margin[pair]);
      break;
    case kSphereSphere:
      sphere_sphere(w, slot, first, splat<V>(size1[0]), second, radius2, margin);
      break;
    case kSphereCapsule:
      sphere_capsule(w, slot, first, splat<V>(size1[0]), second, axis2, size2, margin);
      break;
    case kCapsuleCapsule:
      capsule_capsule(w, slot, first, splat<V>(size1[1]) * column(frame1, 2), splat<V>(size1[0]),
                      second, half2, radius2, margin);
      break;
  }
}

// Finds the contacts of all pairs, and lists the slots that are active in any world.
template <typename V, typename Team>
RLGPU_STAGE void collide(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  geom_poses(team, t, w);
  team.sync();
  for (int pair = team.first(); pair < t.num_pairs; pair += team.step()) collide_pair(t, w, pair);
  team.sync();
  // Every thread of the team counts; all of them write the same list.
  w.num_live = 0;
  for (int slot = 0; slot < t.num_slots; ++slot)
    if (any(w.active[slot])) w.live[w.num_live++] = slot;
  team.sync();
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
