// The deepest contact of two convex shapes for which there is no formula: ellipsoids, cylinders,
// hulls, and boxes, capsules and spheres against them.
//
// Source: MuJoCo, mjc_Convex.
#pragma once

#include "polish.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The deepest contact of a pair, or the nearest one within the margin, in some worlds.
template <typename V>
struct Deepest {
  Mask<V> active;
  Touch<V> touch;
  Portal<V> portal;  // the points of the difference that it rests on
  Mask<V> apart;     // where the geoms are farther apart than the margin
  Vec3<V> axis;      // there, an axis that separates them
};

// deep: an overlap beyond which the shapes may part sooner along a direction far from the one that
// is found first.
template <typename V>
RLGPU_RARE Deepest<V> deepest_of(const ConvexPair<V>& pair, V margin, V deep, Mask<V> live) {
  using R = Real<V>;
  const V radius_a = core_radius(pair.a), radius_b = core_radius(pair.b);
  const V cutoff = margin + (radius_a + radius_b);
  // Centres that coincide leave no direction to start in.
  const Vec3<V> aside{splat<V>(R(1e-4)), V{}, V{}};
  const Mask<V> same = dot(pair.offset, pair.offset) < R(1e-12);
  const Distance<V> d = distance_of(pair, select(same, aside, -pair.offset), cutoff, live);
  live = live & !d.apart;
  const Mask<V> enclosed = live & d.enclosed;
  const Point<V>* const p = d.simplex.p;
  const Point<V> second = select<V>(d.simplex.has[1], p[1], p[0]);
  Deepest<V> out{live,
                 d.touch,
                 {{p[0], second, select<V>(d.simplex.has[2], p[2], second)}, d.touch.normal},
                 d.apart,
                 d.axis};
  if (any(enclosed)) {
    const Portal<V> portal = penetration(pair, d, enclosed, deep);
    out.touch = select<V>(enclosed, portal.touch(), out.touch);
    out.portal = select<V>(enclosed, portal, out.portal);
  }
  if (is_curved(pair.a) || is_curved(pair.b)) polish(pair, out.portal, live, out.touch);
  out.touch.distance = out.touch.distance - (radius_a + radius_b);
  out.touch.point = out.touch.point + R(0.5) * (radius_a - radius_b) * out.touch.normal;
  out.active = live & (out.touch.distance < margin);
  return out;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
