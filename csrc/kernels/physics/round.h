// Contacts of spheres, capsules and cylinders for which there are formulas.
//
// Source: MuJoCo, engine_collision_primitive.c.
#pragma once

#include "contact.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// A direction to another centre; x where the two coincide.
template <typename V>
RLGPU_HD Vec3<V> direction_of(Vec3<V> apart, V length) {
  return select(length > Real<V>(1e-15), reciprocal(length) * apart, unit_axis<V>(0));
}

template <typename V>
RLGPU_STAGE void sphere_sphere(Work<V>& w, int slot, Vec3<V> first, V radius, Vec3<V> second,
                               V second_radius, V margin) {
  const Vec3<V> apart = second - first;
  const V length = square_root(dot(apart, apart)), distance = length - radius - second_radius;
  if (!begin_contact<V>(w, slot, distance < margin, distance)) return;
  const Vec3<V> normal = direction_of(apart, length);
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

// The sphere touches the nearest of the cylinder's side, its discs and its rims. A centre inside
// leaves through the side or the disc that is nearer.
template <typename V>
RLGPU_RARE void sphere_cylinder(Work<V>& w, int slot, Vec3<V> sphere, V radius, Vec3<V> cylinder,
                                Vec3<V> axis, const Real<V>* size, V margin) {
  using R = Real<V>;
  const V none{}, wide = splat<V>(size[0]), half = splat<V>(size[1]);
  const Vec3<V> apart = sphere - cylinder;
  const V along = dot(axis, apart), beyond = magnitude(along);
  const Vec3<V> outwards = apart - along * axis;
  const V around = square_root(dot(outwards, outwards));
  const Mask<V> beside = beyond < half, over = around < wide, inside = beside & over;
  const Mask<V> to_disc = half - beyond < wide - around;
  const Mask<V> side = beside & !(inside & to_disc), disc = over & !(inside & !to_disc);
  const V sign = select<V>(along > none, splat<V>(1), splat<V>(R(-1)));
  const V to_rim = wide / maximum(around, splat<V>(R(1e-20)));
  const Vec3<V> rim = cylinder + sign * half * axis + to_rim * outwards;
  // A sphere against a sphere around the axis, or against a point of the rim.
  const Vec3<V> nearest = select(side, cylinder + along * axis, rim), way = nearest - sphere;
  const V size2 = select<V>(side, wide, none), length = square_root(dot(way, way));
  const Vec3<V> normal = select(disc, -(sign * axis), direction_of(way, length));
  V distance = length - radius - size2;
  distance = select<V>(disc, beyond - half - radius, distance);
  if (!begin_contact<V>(w, slot, distance < margin, distance)) return;
  w.contacts[slot].point = sphere + (radius + R(0.5) * distance) * normal;
  w.contacts[slot].frame = frame_of(normal);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
