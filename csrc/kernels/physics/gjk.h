// The distance of two convex shapes, for all worlds of a group at once.
//
// The simplex is the newest point and up to three old ones. The nearest feature always holds the
// newest point, so seven candidates (point, three edges, three faces) are computed without a branch
// and the nearest one wins: no case analysis, and the distance never grows by rounding.
// Source: E. Gilbert, D. Johnson, S. Keerthi, A fast procedure for computing the distance between
// complex objects in three-dimensional space, 1988.
#pragma once

#include "shapes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxDistanceSteps = 40;

template <typename V>
struct Simplex {
  Point<V> p[4];  // the last one is only set where the origin is enclosed
  Mask<V> has[3];
};

template <typename V>
struct Distance {
  Touch<V> touch;           // where neither apart nor enclosed
  Mask<V> apart, enclosed;  // farther than the cutoff; the origin inside the difference
  Vec3<V> axis;             // where apart: an axis that separates, from b to a
  Vec3<V> shallow;          // the direction with the smallest overlap seen: where to look for the
  V overlap;                // depth, which cannot be more than this
  Simplex<V> simplex;
};

// The nearest point to the origin so far: its squared distance, the weights of the old points, of
// which the newest has the rest, and the point. On a face that is found by its normal, which stays
// exact as it nears the origin.
template <typename V>
struct Nearest {
  V square, l0, l1, l2;
  Vec3<V> q;

  RLGPU_HD void take(Mask<V> better, V other, V m0, V m1, V m2, Vec3<V> point) {
    square = select<V>(better, other, square), q = select(better, point, q);
    l0 = select<V>(better, m0, l0), l1 = select<V>(better, m1, l1), l2 = select<V>(better, m2, l2);
  }

  // The edge from the newest point w to old point k.
  RLGPU_HD void try_edge(Vec3<V> w, Vec3<V> p, Mask<V> has, int k) {
    const V none{}, one = splat<V>(1);
    const Vec3<V> e = p - w;
    const V s = -dot(w, e) / maximum(dot(e, e), splat<V>(Real<V>(1e-30)));
    const Vec3<V> point = w + s * e;
    const V other = dot(point, point);
    take(has & (s > none) & (s < one) & (other < square), other, k == 0 ? s : none,
         k == 1 ? s : none, k == 2 ? s : none, point);
  }

  // The face of the newest point and the two old ones other than k.
  RLGPU_HD void try_face(Vec3<V> w, Vec3<V> p, Vec3<V> p2, Mask<V> has, int k) {
    using R = Real<V>;
    const V none{}, one = splat<V>(1);
    const Vec3<V> u = p - w, v = p2 - w, n = cross(u, v);
    const V nn = dot(n, n), inverse = reciprocal(maximum(nn, splat<V>(R(1e-30))));
    const V s = dot(cross(v, w), n) * inverse, r = dot(cross(w, u), n) * inverse;
    const V height = dot(n, w), other = height * height * inverse;
    const Mask<V> thin = nn < R(1e-10) * dot(u, u) * dot(v, v);
    take(has & !thin & (s > none) & (r > none) & (s + r < one) & (other < square), other,
         k == 0 ? none : s, k == 1 ? none : (k == 0 ? s : r), k == 2 ? none : r,
         height * inverse * n);
  }
};

// Where the three old points and the newest one enclose the origin.
template <typename V>
RLGPU_STAGE Mask<V> encloses(const Simplex<V>& s, Vec3<V> w) {
  const Vec3<V> p[4] = {s.p[0].w, s.p[1].w, s.p[2].w, w};
  Mask<V> inside = s.has[0] & s.has[1] & s.has[2];
  const int faces[4][4] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {1, 2, 3, 0}, {2, 0, 3, 1}};
  for (const auto& f : faces) {
    const Vec3<V> corner = p[f[2]], n = cross(p[f[0]] - corner, p[f[1]] - corner);
    inside = inside & (dot(n, -corner) * dot(n, p[f[3]] - corner) > V{});
  }
  return inside;
}

// axis: where to start, from b to a (any vector but zero). cutoff: larger distances do not matter.
// live: the worlds to look at.
template <typename V>
RLGPU_STAGE Distance<V> distance_of(const ConvexPair<V>& pair, Vec3<V> axis, V cutoff,
                                    Mask<V> live) {
  using R = Real<V>;
  const R near = sizeof(R) == 4 ? R(1e-6) : R(1e-13),
          nothing = sizeof(R) == 4 ? R(1e-14) : R(1e-26);
  const V none{}, much = splat<V>(R(1e30));
  Distance<V> r{};
  r.axis = axis, r.shallow = -axis, r.overlap = much;
  Vec3<V> v = axis, on_a{};  // the nearest point so far; at first only a direction
  V vv = much;
  for (int k = 0; k < kMaxDistanceSteps && any(live); ++k) {
    const Point<V> next = pair.support(-v, live);
    const V size = length(v), along = dot(next.w, v);
    // Every support bounds the depth along its direction.
    const V depth = -along / size;
    const Mask<V> less = live & (depth < r.overlap);
    r.overlap = select<V>(less, depth, r.overlap), r.shallow = select(less, -v, r.shallow);
    const Mask<V> far = live & (along > cutoff * size);
    r.apart = r.apart | far;
    live = live & !far & !(vv - along <= near * vv);  // apart, or cannot get nearer
    if (!any(live)) break;
    Nearest<V> best{dot(next.w, next.w), none, none, none, next.w};
    Simplex<V>& s = r.simplex;
    for (int i = 0; i < 3; ++i) best.try_edge(next.w, s.p[i].w, s.has[i], i);
    best.try_face(next.w, s.p[1].w, s.p[2].w, s.has[1] & s.has[2], 0);
    best.try_face(next.w, s.p[0].w, s.p[2].w, s.has[0] & s.has[2], 1);
    best.try_face(next.w, s.p[0].w, s.p[1].w, s.has[0] & s.has[1], 2);
    const Mask<V> inside = live & encloses(s, next.w);
    s.p[3] = select<V>(inside, next, s.p[3]);
    r.enclosed = r.enclosed | inside;
    live = live & !inside & (best.square < vv);  // else rounding: no progress
    const V l3 = R(1) - best.l0 - best.l1 - best.l2;
    const Vec3<V> witness =
        l3 * next.a + best.l0 * s.p[0].a + best.l1 * s.p[1].a + best.l2 * s.p[2].a;
    const Mask<V> touching = live & (best.square < nothing);
    r.enclosed = r.enclosed | touching;
    v = select(live & !touching, best.q, v), on_a = select(live, witness, on_a);
    vv = select<V>(live, best.square, vv);
    // Keep the newest point and the old ones that carry weight, packed to the front.
    const Mask<V> k0 = best.l0 > none, k1 = best.l1 > none, k2 = best.l2 > none;
    const Point<V> first = select<V>(k0, s.p[0], select<V>(k1, s.p[1], s.p[2]));
    const Point<V> second = select<V>(k0 & k1, s.p[1], s.p[2]);
    s.p[0] = select<V>(live, next, s.p[0]);
    s.p[1] = select<V>(live, first, s.p[1]), s.p[2] = select<V>(live, second, s.p[2]);
    const Mask<V> two = k0 | k1 | k2, three = (k0 & k1) | (k0 & k2) | (k1 & k2);
    s.has[1] = (live & two) | (!live & s.has[1]), s.has[2] = (live & three) | (!live & s.has[2]);
    s.has[0] = s.has[0] | live;
    live = live & !touching;
  }
  r.axis = v;
  const V distance = length(v);
  r.touch = {distance, -(reciprocal(maximum(distance, splat<V>(R(1e-20)))) * v),
             on_a - splat<V>(R(0.5)) * v};
  return r;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
