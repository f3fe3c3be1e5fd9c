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
  // What of a shape has the normal: a single point, or a line.
  struct Part {
    Mask<V> point, line;
  };
  Mask<V> one, two;
  Vec3<V> along, other, across;  // the directions; across both
  Part a, b;

  RLGPU_STAGE void add(Mask<V> valid, Vec3<V> direction) {
    const Vec3<V> d = unit(direction), n = cross(along, d);
    const V size = length(n);
    const Mask<V> second = valid & one & !two & (size > Real<V>(0.02));
    across = select(second, unit(n), across), other = select(second, d, other);
    two = two | second;
    along = select(valid & !one, d, along), one = one | valid;
  }

  // From the three points of one shape, and a normal near the right one; turn: the shape's axes.
  RLGPU_STAGE Part add_shape(const Shape<V>& s, const V (&vertex)[3], const Vec3<V> (&at)[3],
                             const Mat3<V>& turn, Vec3<V> normal, Mask<V> live) {
    const auto differ = [&](int i, int k) {
      return live & ((vertex[k] < vertex[i]) | (vertex[k] > vertex[i]));
    };
    const Mask<V> to1 = differ(0, 1), to2 = differ(0, 2), some = to1 | to2;
    if (s.kind >= kBlock) {
      add(to1, at[1] - at[0]), add(to2, at[2] - at[0]);
      return {Mask<V>(live & !some), Mask<V>(some & !(to1 & to2 & differ(1, 2)))};
    }
    if (s.kind == kPoint || s.kind == kEllipsoid) return {live, Mask<V>{}};
    add(some, column(turn, 2));
    if (s.kind == kSegment) return {Mask<V>(live & !some), some};
    // Points far apart on a disc.
    const Vec3<V> d1 = at[1] - at[0], d2 = at[2] - at[0];
    const V far = Real<V>(0.04) * s.size.x * s.size.x;
    const Mask<V> disc = live & !some & ((dot(d1, d1) > far) | (dot(d2, d2) > far));
    add(disc, column(turn, 0)), add(disc, column(turn, 1));
    // A normal along the axis does not tell which point of the rim it is.
    const Vec3<V> aside = cross(normal, column(turn, 2));
    return {Mask<V>(live & !some & !disc & (dot(aside, aside) > Real<V>(1e-6))), some};
  }
};

template <typename V>
RLGPU_STAGE Straight<V> straight_of(const ConvexPair<V>& pair, const Portal<V>& portal,
                                    Vec3<V> normal, Mask<V> live) {
  const Point<V>* const p = portal.p;
  const V vertices_a[3] = {p[0].vertex_a, p[1].vertex_a, p[2].vertex_a};
  const V vertices_b[3] = {p[0].vertex_b, p[1].vertex_b, p[2].vertex_b};
  const Vec3<V> on_a[3] = {p[0].a, p[1].a, p[2].a};
  const Vec3<V> on_b[3] = {p[0].a - p[0].w, p[1].a - p[1].w, p[2].a - p[2].w};
  Straight<V> s{};
  s.a = s.add_shape(pair.a, vertices_a, on_a, identity<V>(), normal, live);
  s.b = s.add_shape(pair.b, vertices_b, on_b, pair.turn, normal, live);
  return s;
}

// The point of a contact where the normal leaves no choice: at a point of a shape that alone has
// it, or where a line of one shape crosses a line of the other. Elsewhere the known point stays.
// at: the support along the normal n; reach: along n.
template <typename V>
RLGPU_STAGE void place(const ConvexPair<V>& pair, const Straight<V>& straight, const Point<V>& at,
                       Vec3<V> n, V reach, Mask<V> live, Touch<V>& touch) {
  using R = Real<V>;
  const V half = R(0.5) * reach;
  const Mask<V> cross_over = live & straight.a.line & straight.b.line & straight.two;
  const Mask<V> on_a = live & straight.a.point, on_b = live & straight.b.point;
  if (any(cross_over)) {
    // Along the lines, the point of the difference that is nearest to the normal.
    const Vec3<V> u = straight.along, v = straight.other;
    const V uv = dot(u, v), det = splat<V>(1) - uv * uv, wu = dot(at.w, u), wv = dot(at.w, v);
    const V s = (uv * wv - wu) / select<V>(cross_over, det, splat<V>(1));
    touch.point = select(cross_over, at.a + s * u - half * n, touch.point);
  }
  // A vertex is exact where a point of a curved surface depends on the normal.
  const Vec3<V> from_a = at.a - half * n, from_b = at.a - at.w + half * n;
  const Vec3<V> first = is_curved(pair.b) ? from_b : from_a;
  const Vec3<V> last = is_curved(pair.b) ? from_a : from_b;
  touch.point = select(is_curved(pair.b) ? on_b : on_a, first, touch.point);
  touch.point = select(is_curved(pair.b) ? on_a : on_b, last, touch.point);
}

template <typename V>
RLGPU_RARE void polish(const ConvexPair<V>& pair, const Portal<V>& portal, Mask<V> live,
                       Touch<V>& touch) {
  using R = Real<V>;
  const R turn = sizeof(R) == 4 ? R(3e-3) : R(1e-5), noise = sizeof(R) == 4 ? R(2e-7) : R(1e-14);
  const Straight<V> straight = straight_of(pair, portal, touch.normal, live);
  const Vec3<V> old = touch.normal;
  const Vec3<V> fixed = select(dot(straight.across, old) < V{}, -straight.across, straight.across);
  Vec3<V> n = select(straight.one, unit(old - dot(old, straight.along) * straight.along), old);
  n = select(straight.two, fixed, n);
  live = live & (dot(n, old) > R(0.999));
  n = select(live, n, old);
  Point<V> at = pair.support(n, live);
  V reach = dot(at.w, n);
  live = live & (reach + touch.distance < R(1e-5));
  const Mask<V> fits = live;
  Mask<V> moving = live & !straight.two;
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
  touch.distance = select<V>(fits, -reach, touch.distance);
  touch.normal = select(fits, n, touch.normal);
  place(pair, straight, at, n, reach, fits, touch);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
