// The normal of a contact between curved shapes, to more digits than portals and simplices give.
//
// Their normals are those of small triangles, off by the triangles' size. Where the triangle's
// points are apart on a flat face or a straight edge, the normal is across that. In the directions
// that remain, depth is the least reach of the difference, so its derivatives vanish: two steps of
// Newton's method with differences of supports find where. A step is taken where the reach falls.
#pragma once

#include "portal.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Straight directions that a normal must be across: none, one, or two, which fix it.
template <typename V>
struct Straight {
  Mask<V> one, two;
  Vec3<V> along, across;     // the first direction; across both
  Mask<V> round_a, round_b;  // where only one point of a shape has the normal, and it is curved

  RLGPU_STAGE void add(Mask<V> valid, Vec3<V> direction) {
    const Vec3<V> d = unit(direction), n = cross(along, d);
    const V size = length(n);
    const Mask<V> second = valid & one & !two & (size > Real<V>(0.02));
    across = select(second, unit(n), across), two = two | second;
    along = select(valid & !one, d, along), one = one | valid;
  }

  // From the three points of one shape; turn: its axes. Returns where the shape is round there.
  RLGPU_STAGE Mask<V> add_shape(const Shape<V>& s, const V (&vertex)[3], const Vec3<V> (&at)[3],
                                const Mat3<V>& turn, Mask<V> live) {
    if (s.kind == kEllipsoid) return live;
    if (s.kind == kPoint) return Mask<V>{};
    const Mask<V> to1 = live & ((vertex[1] < vertex[0]) | (vertex[1] > vertex[0]));
    const Mask<V> to2 = live & ((vertex[2] < vertex[0]) | (vertex[2] > vertex[0]));
    if (s.kind >= kBlock) {
      add(to1, at[1] - at[0]), add(to2, at[2] - at[0]);
      return Mask<V>{};
    }
    add(to1 | to2, column(turn, 2));
    if (s.kind != kCylinder) return Mask<V>{};
    // Points far apart on a disc.
    const Vec3<V> d1 = at[1] - at[0], d2 = at[2] - at[0];
    const V far = splat<V>(Real<V>(0.04) * s.size[0] * s.size[0]);
    const Mask<V> disc = live & !to1 & !to2 & ((dot(d1, d1) > far) | (dot(d2, d2) > far));
    add(disc, column(turn, 0)), add(disc, column(turn, 1));
    return live & !to1 & !to2 & !disc;
  }
};

template <typename V>
RLGPU_STAGE Straight<V> straight_of(const ConvexPair<V>& pair, const Portal<V>& portal,
                                    Mask<V> live) {
  const Point<V>* const p = portal.p;
  const V vertices_a[3] = {p[0].vertex_a, p[1].vertex_a, p[2].vertex_a};
  const V vertices_b[3] = {p[0].vertex_b, p[1].vertex_b, p[2].vertex_b};
  const Vec3<V> on_a[3] = {p[0].a, p[1].a, p[2].a};
  const Vec3<V> on_b[3] = {p[0].a - p[0].w, p[1].a - p[1].w, p[2].a - p[2].w};
  Straight<V> s{};
  s.round_a = s.add_shape(pair.a, vertices_a, on_a, identity<V>(), live);
  s.round_b = s.add_shape(pair.b, vertices_b, on_b, pair.turn, live);
  return s;
}

template <typename V>
RLGPU_RARE void polish(const ConvexPair<V>& pair, const Portal<V>& portal, Mask<V> live,
                       Touch<V>& touch) {
  using R = Real<V>;
  const R turn = sizeof(R) == 4 ? R(3e-3) : R(1e-5), noise = sizeof(R) == 4 ? R(2e-7) : R(1e-14);
  const Straight<V> straight = straight_of(pair, portal, live);
  const Vec3<V> old = touch.normal;
  const Vec3<V> fixed = select(dot(straight.across, old) < V{}, -straight.across, straight.across);
  Vec3<V> n = select(straight.one, unit(old - dot(old, straight.along) * straight.along), old);
  n = select(straight.two, fixed, n);
  live = live & (dot(n, old) > R(0.999));
  n = select(live, n, old);
  Point<V> at = pair.support(n, live);
  V reach = dot(at.w, n);
  live = live & (reach + touch.distance < R(1e-5));
  Mask<V> moved = live, moving = live & !straight.two;
  for (int k = 0; k < 2 && any(moving); ++k) {
    // Two directions across the normal, the second one along what is straight.
    const Mask<V> is_x = magnitude(n.x) > R(0.7);
    const Vec3<V> other{keep<V>(!is_x, splat<V>(1)), keep<V>(is_x, splat<V>(1)), V{}};
    const Vec3<V> x = unit(cross(n, select(straight.one, straight.along, other))), y = cross(n, x);
    const Vec3<V> along_x = pair.support(n + splat<V>(turn) * x, moving).w - at.w;
    const Vec3<V> along_y = pair.support(n + splat<V>(turn) * y, moving).w - at.w;
    const V gx = dot(at.w, x), gy = dot(at.w, y), per = splat<V>(R(1) / turn);
    // The curvature of the reach over directions; the surface's own is the first part.
    const V xx = per * dot(along_x, x) - reach, yy = per * dot(along_y, y) - reach;
    const V xy = R(0.5) * per * (dot(along_x, y) + dot(along_y, x)), det = xx * yy - xy * xy;
    const Mask<V> convex = (xx > V{}) & (straight.one | (det > R(1e-12)));
    moving = moving & convex;
    const V inverse = reciprocal(select<V>(det > R(1e-12), det, splat<V>(1)));
    const V alone = -gx * reciprocal(select<V>(convex, xx, splat<V>(1)));
    const V sx = select<V>(straight.one, alone, -(yy * gx - xy * gy) * inverse);
    const V sy = select<V>(straight.one, V{}, -(xx * gy - xy * gx) * inverse);
    moving = moving & (sx * sx + sy * sy < R(0.01));
    const Vec3<V> next = select(moving, unit(n + sx * x + sy * y), n);
    const Point<V> there = pair.support(next, moving);
    const V now = dot(there.w, next);
    moving = moving & (now < reach + noise);
    n = select(moving, next, n), at = select<V>(moving, there, at);
    reach = select<V>(moving, now, reach);
  }
  touch.distance = select<V>(moved, -reach, touch.distance);
  touch.normal = select(moved, n, touch.normal);
  // On a round surface only one point has this normal; elsewhere the known point stays.
  const V half = R(0.5) * reach;
  const Mask<V> on_a = moved & straight.round_a, on_b = moved & straight.round_b & !on_a;
  touch.point = select(on_a, at.a - half * n, touch.point);
  touch.point = select(on_b, at.a - at.w + half * n, touch.point);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
