// Contacts of a plane with spheres, capsules, boxes, cylinders, ellipsoids and hulls.
//
// Source: MuJoCo, engine_collision_primitive.c and mjc_PlaneConvex.
#pragma once

#include "contact.h"
#include "polygon.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// A contact of a plane with a point above or below it, midway between the two.
template <typename V>
RLGPU_STAGE void plane_point(Work<V>& w, int slot, Vec3<V> normal, Mask<V> active, V distance,
                             Vec3<V> at) {
  if (!begin_contact<V>(w, slot, active, distance)) return;
  w.contacts[slot].point = at - Real<V>(0.5) * distance * normal;
  w.contacts[slot].frame = frame_of(normal);
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
    plane_point(w, slot + corner, normal, active, distance, center + arm);
  }
}

// The lowest point of either disc, and two more of the lower disc's rim, a third of it apart.
template <typename V>
RLGPU_RARE void plane_cylinder(Work<V>& w, int slot, const Mat3<V>& plane, Vec3<V> plane_center,
                               const Mat3<V>& cylinder, Vec3<V> center, const Real<V>* size,
                               V margin) {
  using R = Real<V>;
  const Vec3<V> normal = column(plane, 2), z = column(cylinder, 2);
  // The axis that points to the plane, and the direction down a disc; x for a disc that lies flat.
  const Vec3<V> axis = select(dot(normal, z) > V{}, -z, z);
  const V along = dot(normal, axis), height = dot(center - plane_center, normal);
  const Vec3<V> down = along * axis - normal;
  const V square = dot(down, down);
  const R nothing = sizeof(R) == 4 ? R(1e-12) : R(1e-30);
  const V scale = size[0] / square_root(maximum(square, splat<V>(nothing)));
  const Vec3<V> rim =
      select(square >= nothing, scale * down, splat<V>(size[0]) * column(cylinder, 0));
  const V drop = dot(rim, normal), reach = along * size[1];
  const Vec3<V> end = splat<V>(size[1]) * axis;
  Vec3<V> side = cross(rim, end);
  side = splat<V>(size[0] * R(0.86602540378443865)) * unit(side);
  const V distance = height + reach + drop, around = height + reach - R(0.5) * drop;
  const Mask<V> lowest = distance <= margin;
  const auto put = [&](int k, Mask<V> active, V how_far, Vec3<V> arm) {
    plane_point(w, slot + k, normal, lowest & active, how_far, center + arm);
  };
  put(0, lowest, distance, rim + end);
  put(1, height - reach + drop <= margin, V(height - reach + drop), rim - end);
  const Vec3<V> back = end - splat<V>(R(0.5)) * rim;
  put(2, around <= margin, around, back + side);
  put(3, around <= margin, around, back - side);
}

template <typename V>
RLGPU_RARE void plane_ellipsoid(const Tables<Real<V>>& t, Work<V>& w, int slot, int geom,
                                const Mat3<V>& plane, Vec3<V> plane_center, Mask<V> near,
                                V margin) {
  const Vec3<V> normal = column(plane, 2), center = w.geom_center[geom];
  const Mat3<V>& frame = w.geom_frame[geom];
  const Shape<V> shape = shape_of<V>(t, geom);
  const Vec3<V> lowest =
      center + frame * farthest(shape, transposed_times(frame, -normal), near).at;
  const V distance = dot(lowest - plane_center, normal);
  plane_point<V>(w, slot, normal, near & (distance <= margin), distance, lowest);
}

// A hull's lowest vertex, and up to three more corners of the face around it that is most nearly
// parallel to the plane, unless they are above the hull's centre.
template <typename V>
RLGPU_RARE void plane_hull(const Tables<Real<V>>& t, Work<V>& w, int slot, int geom,
                           const Mat3<V>& plane, Vec3<V> plane_center, Mask<V> near, V margin) {
  using R = Real<V>;
  const Vec3<V> normal = column(plane, 2), center = w.geom_center[geom];
  const Mat3<V>& frame = w.geom_frame[geom];
  const Vec3<V> up = transposed_times(frame, normal);
  const V height = dot(center - plane_center, normal);
  const Corner<V> lowest = farthest(shape_of<V>(t, geom), -up, near);
  const Mask<V> touches = near & (height + dot(lowest.at, up) < margin);
  Vec3<V> at[4] = {lowest.at};
  Mask<V> active[4] = {touches};
  if (any(touches)) {
    const Polytope<R> hull = polytope_of(t, geom);
    V counts = keep<V>(touches, splat<V>(1));
    for (const int lane : lanes_in<V>(touches)) {
      const Vec3<R> own_up = lane_of(up, lane);
      const int v = static_cast<int>(lane_of(lowest.vertex, lane));
      int best = -1;
      R least = R(1);
      for (int i = hull.around_adr[v]; i < hull.around_adr[v + 1]; ++i) {
        const R rise = dot(hull.face_normal(hull.around_face[i]), own_up);
        if (rise < least) least = rise, best = hull.around_face[i];
      }
      if (best < 0) continue;
      Polygon<R> face;
      int first = 0;
      for (int i = hull.face_adr[best]; i < hull.face_adr[best + 1]; ++i) {
        if (hull.face_vertex[i] == v) first = face.count;
        face.add(hull.vertex(hull.face_vertex[i]));
      }
      keep_four_with(face, first);
      int count = 1;
      for (int k = 1; k < face.count && k < 4; ++k)
        if (dot(face.at[k], own_up) <= R(0)) set_lane(at[count++], lane, face.at[k]);
      lane_of(counts, lane) = R(count);
    }
    for (int k = 1; k < 4; ++k) active[k] = counts > R(k);
  }
  for (int k = 0; k < 4; ++k) {
    const V distance = height + dot(at[k], up);
    plane_point<V>(w, slot + k, normal, active[k] & (distance < margin), distance,
                   center + frame * at[k]);
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
