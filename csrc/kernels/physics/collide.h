// Contacts between pairs of geoms: which exist, where, how deep, and their frames.
//
// The one idea: the possible contacts of a model are a fixed list of slots. Most are inactive; a
// slot that no world of the group has costs one distance. Source: MuJoCo,
// engine_collision_primitive.c and mju_makeFrame.
#pragma once

#include "batch.h"
#include "box_box.h"
#include "planes.h"
#include "prisms.h"
#include "ridges.h"
#include "round.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Fills the slots of one pair, whose geoms are near each other in some worlds.
template <typename V>
RLGPU_STAGE void collide_pair(const Tables<Real<V>>& t, Work<V>& w, int pair, Mask<V> near) {
  const int a = t.pair_geom1[pair], b = t.pair_geom2[pair], slot = t.pair_slot[pair];
  const Real<V>*size1 = t.geom_size + 3 * a, *size2 = t.geom_size + 3 * b;
  const Vec3<V> first = w.geom_center[a], second = w.geom_center[b];
  const Mat3<V>&frame1 = w.geom_frame[a], &frame2 = w.geom_frame[b];
  const V margin = splat<V>(t.pair_detection[pair]), radius2 = splat<V>(size2[0]);
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
      terrain_sphere(t, w, slot, second, size2[0], t.pair_detection[pair]);
      break;
    case kTerrainCapsule:
      terrain_sphere(t, w, slot, second + half2, size2[0], t.pair_detection[pair]);
      terrain_sphere(t, w, slot + 1, second - half2, size2[0], t.pair_detection[pair]);
      capsule_ridges(t, w, slot + 2, second, half2, size2, t.pair_detection[pair]);
      break;
    case kTerrainBox:
      terrain_box(t, w, slot, frame2, second, size2, t.pair_detection[pair]);
      box_ridges(t, w, slot + 8, frame2, second, size2, t.pair_detection[pair]);
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
    case kPlaneCylinder:
      plane_cylinder(w, slot, frame1, first, frame2, second, size2, margin);
      break;
    case kPlaneEllipsoid:
      plane_ellipsoid(t, w, slot, b, frame1, first, near, margin);
      break;
    case kPlaneHull:
      plane_hull(t, w, slot, b, frame1, first, near, margin);
      break;
    case kSphereCylinder:
      sphere_cylinder(w, slot, first, splat<V>(size1[0]), second, axis2, size2, margin);
      break;
    case kSphereBox:
      sphere_box(w, slot, transposed_times(frame2, first - second), splat<V>(size1[0]), frame2,
                 second, size2, near, margin);
      break;
    case kCapsuleBox:
      capsule_box(w, slot, first, column(frame1, 2), size1, frame2, second, size2, near, margin);
      break;
    case kBoxBox:
      box_box(w, slot, frame1, first, size1, frame2, second, size2, near, margin);
      break;
    case kConvex:
      break;  // see batch.h
    case kTerrainConvex:
      terrain_convex(t, w, pair, near);
      break;
  }
}

// Finds the contacts of all pairs, and lists the slots that are active in any world.
template <typename V, typename Team>
RLGPU_STAGE void collide(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  geom_poses(team, t, w);
  team.sync();
  for (int pair = team.first(); pair < t.num_pairs; pair += team.step()) {
    if (t.pair_kind[pair] == kConvex) continue;
    const Mask<V> near = may_touch(t, w, pair);
    w.near[pair] = any(near);
    if (!w.near[pair]) continue;
    collide_pair(t, w, pair, near);
    end_pair(t, w, pair);
  }
  if (t.num_convex > 0) collide_convex(team, t, w);
  team.sync();
  // Every thread of the team counts; all of them write the same list.
  w.num_live = 0;
  for (int pair = 0; pair < t.num_pairs; ++pair)
    for (int slot = t.pair_slot[pair]; w.near[pair] && slot < t.pair_slot[pair + 1]; ++slot)
      if (any(w.active[slot])) w.live[w.num_live++] = slot;
  team.sync();
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
