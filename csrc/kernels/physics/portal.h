// How deep two convex shapes overlap, and along which direction they part soonest.
//
// A ray leaves a point inside the difference of the shapes. Three of its points whose cone holds
// the ray, the portal, are pushed outwards until they lie on the surface; its normal there is the
// next ray's direction. The depth falls with each ray and ends at a minimum. The state has a fixed
// size, so it suits lanes and threads. Another minimum may be less deep; for that see epa.h.
// Source: G. Snethen, Xenocollide: complex collision made simple, 2008, for portals.
#pragma once

#include "epa.h"
#include "gjk.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMaxRays = 8, kMaxSeeks = 12;

template <typename V>
struct Portal {
  Point<V> p[3];   // counter-clockwise seen from outside
  Vec3<V> normal;  // outwards, unit

  RLGPU_HD V depth() const { return dot(p[0].w, normal); }

  // Weights of the corners at the foot of the origin.
  RLGPU_HD Vec3<V> foot_weights() const {
    using R = Real<V>;
    const Vec3<V> u = p[1].w - p[0].w, v = p[2].w - p[0].w, n = cross(u, v);
    const V nn = dot(n, n), inverse = reciprocal(maximum(nn, splat<V>(R(1e-30))));
    const V s = dot(cross(v, p[0].w), n) * inverse, r = dot(cross(p[0].w, u), n) * inverse;
    const Mask<V> bad = nn < R(1e-24);
    return {select<V>(bad, splat<V>(1), R(1) - s - r), select<V>(bad, V{}, s),
            select<V>(bad, V{}, r)};
  }

  // Weights of the corners at the point nearest to the foot, which keep the contact on the shapes.
  RLGPU_HD Vec3<V> nearest_weights() const {
    const V none{}, one = splat<V>(1);
    const Vec3<V> l = foot_weights();
    const Mask<V> outside = (l.x < none) | (l.y < none) | (l.z < none);
    if (!any(outside)) return l;
    Vec3<V> best = l;
    V least = splat<V>(Real<V>(1e30));
    for (int k = 0; k < 3; ++k) {
      const Vec3<V> from = p[k].w - depth() * normal, edge = p[k == 2 ? 0 : k + 1].w - p[k].w;
      const V ee = maximum(dot(edge, edge), splat<V>(Real<V>(1e-30)));
      const V s = clamp(V(-dot(from, edge) / ee), none, one);
      const Vec3<V> apart = from + s * edge;
      const V square = dot(apart, apart), r = one - s;
      const Mask<V> nearer = outside & (square < least);
      const Vec3<V> weights = k == 0   ? Vec3<V>{r, s, none}
                              : k == 1 ? Vec3<V>{none, r, s}
                                       : Vec3<V>{s, none, r};
      least = select<V>(nearer, square, least), best = select(nearer, weights, best);
    }
    return best;
  }

  RLGPU_HD Touch<V> touch() const {
    const Vec3<V> l = nearest_weights();
    const V deep = depth();
    const Vec3<V> on_a = l.x * p[0].a + l.y * p[1].a + l.z * p[2].a;
    return {-deep, normal, on_a - Real<V>(0.5) * deep * normal};
  }
};

template <typename V>
RLGPU_HD Portal<V> select(Mask<V> mask, const Portal<V>& a, const Portal<V>& b) {
  return {{select<V>(mask, a.p[0], b.p[0]), select<V>(mask, a.p[1], b.p[1]),
           select<V>(mask, a.p[2], b.p[2])},
          select(mask, a.normal, b.normal)};
}

// Three points around a ray that leaves start. Takes worlds in which the ray misses the difference
// out of live.
template <typename V>
RLGPU_STAGE Portal<V> discover(const ConvexPair<V>& pair, Vec3<V> start, Vec3<V> ray,
                               Mask<V>& live) {
  using R = Real<V>;
  const V none{};
  Point<V> a = pair.support(ray, live);
  live = live & (dot(a.w, ray) >= none);
  Vec3<V> n = cross(a.w - start, ray);
  // If the farthest point lies on the ray itself, any second direction will do.
  const Mask<V> straight = dot(n, n) < R(1e-12) * dot(a.w - start, a.w - start);
  Point<V> b = pair.support(select(straight, Vec3<V>{ray.y, -ray.x, splat<V>(R(0.1))}, n), live);
  n = cross(a.w - start, b.w - start);
  const Mask<V> flip = dot(n, ray) < none;
  const Point<V> kept = a;
  a = select<V>(flip, b, a), b = select<V>(flip, kept, b), n = select(flip, -n, n);
  Point<V> c = a;
  Mask<V> seeking = live;
  for (int k = 0; k < kMaxSeeks && any(seeking); ++k) {
    c = select<V>(seeking, pair.support(n, seeking), c);
    const Mask<V> miss = seeking & (dot(c.w, n) < none);
    seeking = seeking & !miss, live = live & !miss;
    const Mask<V> ac = seeking & (dot(cross(a.w - start, c.w - start), ray) > none);
    const Mask<V> cb = seeking & !ac & (dot(cross(c.w - start, b.w - start), ray) > none);
    b = select<V>(ac, c, b), a = select<V>(cb, c, a);
    seeking = seeking & (ac | cb);
    n = select(seeking, cross(a.w - start, b.w - start), n);
  }
  return {{a, b, c}, ray};
}

// The face through which a ray from the origin leaves a tetrahedron around it.
template <typename V>
RLGPU_STAGE Portal<V> face_of(const Simplex<V>& s, Vec3<V> ray) {
  const int faces[4][3] = {{0, 1, 2}, {0, 3, 1}, {0, 2, 3}, {1, 3, 2}};
  const Vec3<V> o = s.p[0].w;
  const Mask<V> left = dot(cross(s.p[1].w - o, s.p[2].w - o), s.p[3].w - o) > V{};
  V side[4][4];
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < i; ++j) {
      const V along = dot(cross(s.p[j].w, s.p[i].w), ray);
      side[j][i] = select<V>(left, -along, along), side[i][j] = -side[j][i];
    }
  Portal<V> r{{}, ray};
  V best = splat<V>(Real<V>(-1e30));
  for (const auto& f : faces) {
    const V worst = minimum(side[f[0]][f[1]], minimum(side[f[1]][f[2]], side[f[2]][f[0]]));
    const Mask<V> better = worst > best;
    best = select<V>(better, worst, best);
    for (int k = 0; k < 3; ++k) r.p[k] = select<V>(better, s.p[f[k]], r.p[k]);
  }
  const Point<V> kept = r.p[1];
  r.p[1] = select<V>(left, r.p[2], r.p[1]), r.p[2] = select<V>(left, kept, r.p[2]);
  return r;
}

// Pushes a portal outwards along its ray to the surface.
template <typename V>
RLGPU_STAGE void push(const ConvexPair<V>& pair, Portal<V>& r, Vec3<V> start, Vec3<V> ray,
                      Mask<V> going) {
  using R = Real<V>;
  constexpr bool kSingle = sizeof(R) == 4;
  // Faces of a fine hull differ by little: what is left is what rounding leaves. Normals of curved
  // shapes are polished.
  const bool curved = is_curved(pair.a) || is_curved(pair.b);
  const R rough = kSingle ? R(1e-6) : R(1e-11), fine = kSingle ? R(1e-7) : R(1e-12);
  const V tolerance = curved ? splat<V>(rough) : V(fine * length(pair.offset));
  const R flat = kSingle ? R(1e-24) : R(1e-30);
  const V none{};
  Point<V>&a = r.p[0], &b = r.p[1], &c = r.p[2];
  r.normal = ray;
  for (int k = 0; k < (kSingle ? 24 : 60) && any(going); ++k) {
    Vec3<V> m = cross(b.w - a.w, c.w - a.w);
    const V mm = dot(m, m);
    going = going & (mm > flat);
    m = reciprocal(square_root(maximum(mm, splat<V>(R(1e-30))))) * m;
    r.normal = select(going, m, r.normal);
    const Point<V> next = pair.support(r.normal, going);
    const V reach = dot(next.w, r.normal);
    going = going & (reach >= none) & (reach - dot(a.w, r.normal) > tolerance);
    // The part of the portal that the ray passes: (w, a, b), (w, b, c) or (w, c, a).
    const Vec3<V> w = cross(next.w - start, ray);
    const V sa = dot(a.w - start, w), sb = dot(b.w - start, w), sc = dot(c.w - start, w);
    const Mask<V> take_c = going & (sa <= none) & (sb > none);
    const Mask<V> take_b = going & !take_c & (sa > none) & (sc <= none);
    const Mask<V> take_a = going & !take_c & !take_b;
    a = select<V>(take_a, next, a), b = select<V>(take_b, next, b);
    c = select<V>(take_c, next, c);
  }
}

// Rays from the origin, from a tetrahedron around it. Where the first direction is good, fewer rays
// are needed.
template <typename V>
RLGPU_STAGE Portal<V> descend(const ConvexPair<V>& pair, const Simplex<V>& around, Vec3<V> first,
                              Mask<V> live) {
  using R = Real<V>;
  const R less = sizeof(R) == 4 ? R(1e-7) : R(1e-13);
  const V none{};
  Vec3<V> ray = unit(first);
  Portal<V> best{{}, ray};
  V depth = splat<V>(R(1e30));
  for (int k = 0; k < kMaxRays && any(live); ++k) {
    Portal<V> r = face_of(around, ray);
    push(pair, r, Vec3<V>{}, ray, live);
    const V found = r.depth();
    // A ray along the normal of a face with several triangles finds the one that holds the foot.
    const Mask<V> better = live & (found < depth - less), as_good = live & (found < depth + less);
    best = select<V>(as_good, r, best), depth = select<V>(as_good, found, depth);
    const Vec3<V> l = r.foot_weights();
    live = better & ((l.x < none) | (l.y < none) | (l.z < none));
    ray = select(live, r.normal, ray);
  }
  return best;
}

// A direction across flat sides of a shape: an axis, or a prism's top.
template <typename V>
RLGPU_HD Vec3<V> flat_direction(const Shape<V>& s, int k) {
  if (s.kind != kPrism || k < 2) return unit_axis<V>(k);
  return unit(cross(s.corners[1] - s.corners[0], s.corners[2] - s.corners[0]));
}

// Directions along the axes of shapes with flat sides: six supports that find the face of a body at
// rest, where the directions of distance_of may all lead to another minimum.
template <typename V>
RLGPU_STAGE void try_axes(const ConvexPair<V>& pair, Distance<V>& r, Mask<V> live) {
  const auto is_flat = [](const Shape<V>& s) { return s.kind >= kCylinder; };
  for (int k = 0; k < 6; ++k) {
    if (!is_flat(k < 3 ? pair.a : pair.b)) continue;
    const Vec3<V> own = flat_direction(k < 3 ? pair.a : pair.b, k % 3);
    const Vec3<V> axis = k < 3 ? own : pair.turn * own;
    const Vec3<V> d = select(dot(axis, pair.offset) < V{}, -axis, axis);
    const V overlap = dot(pair.support(d, live).w, d);
    const Mask<V> less = live & (overlap < r.overlap);
    r.overlap = select<V>(less, overlap, r.overlap), r.shallow = select(less, d, r.shallow);
  }
}

// The penetration where the origin is enclosed. A tetrahedron that is nearly flat, as faces that
// lie on each other give, can send a ray out at its wrong side; the overlap that was seen before
// shows that, and a ray from the centre finds another tetrahedron.
template <typename V>
RLGPU_STAGE Portal<V> local_penetration(const ConvexPair<V>& pair, const Distance<V>& r,
                                        Mask<V> live) {
  using R = Real<V>;
  Portal<V> out = descend(pair, r.simplex, r.shallow, live);
  const Mask<V> wrong = live & !(out.depth() <= r.overlap + R(1e-5));
  if (!any(wrong)) return out;
  const Vec3<V> centre = -pair.offset, ray = unit(pair.offset);
  Mask<V> hit = wrong;
  Portal<V> other = discover(pair, centre, ray, hit);
  push(pair, other, centre, ray, hit);
  const Simplex<V> around{{other.p[0], other.p[1], other.p[2], {centre, {}, V{}, V{}}}, {}};
  const Portal<V> better = descend(pair, around, other.normal, hit);
  other = select<V>(hit & (better.depth() > V{}), better, other);
  // As the last resort, the smallest overlap seen, as a portal of one point.
  const Mask<V> still = wrong & !(other.depth() <= r.overlap + R(1e-5));
  if (any(still)) {
    const Vec3<V> n = unit(r.shallow);
    const Point<V> deepest = pair.support(n, still);
    other = select<V>(still, Portal<V>{{deepest, deepest, deepest}, n}, other);
  }
  return select<V>(wrong, other, out);
}

// The same, and where it is deeper than a threshold, no other direction parts the shapes sooner.
template <typename V>
RLGPU_STAGE Portal<V> penetration(const ConvexPair<V>& pair, Distance<V> r, Mask<V> live, V deep) {
  try_axes(pair, r, live);
  const Portal<V> out = local_penetration(pair, r, live);
  const Mask<V> is_deep = live & (out.depth() > deep);
  if (!any(is_deep)) return out;
  Overlap<V> least{out.depth(), out.normal};
  const Mask<V> less = seek_shallower(pair, out.p, r.simplex.p, is_deep, least);
  if (!any(less)) return out;
  const Portal<V> other = descend(pair, r.simplex, least.direction, less);
  return select<V>(less & (other.depth() > V{}) & (other.depth() < out.depth()), other, out);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
