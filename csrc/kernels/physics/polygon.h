// Polygons of one world: the sides of geoms that lie against each other, and what is left of them.
//
// Scalars only: polygons have any number of corners, so they are handled world by world.
// Source: MuJoCo, engine_collision_gjk.c (polygonClip, polygonQuad); mjc_PlaneConvex.
#pragma once

#include "shapes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMostCorners = 64;

template <typename R>
struct Polygon {
  Vec3<R> at[kMostCorners];
  int count = 0;

  RLGPU_HD void add(Vec3<R> p) {
    if (count < kMostCorners) at[count++] = p;
  }
  RLGPU_HD int next(int i) const { return i + 1 == count ? 0 : i + 1; }
};

// Cuts away what of a polygon lies beyond the sides of a face, whose corners run clockwise seen
// from outside, and what is farther above it than the margin.
template <typename R>
RLGPU_RARE void clip(const Polygon<R>& face, Vec3<R> normal, R margin, Polygon<R>& polygon) {
  const R slack = sizeof(R) == 4 ? R(-1e-8) : R(-1e-14);
  for (int e = 0; e < face.count && polygon.count > 0; ++e) {
    const Vec3<R> from = face.at[e];
    const Vec3<R> inwards = unit(cross(face.at[face.next(e)] - from, normal));
    Polygon<R> kept;
    for (int i = 0; i < polygon.count; ++i) {
      const Vec3<R> p = polygon.at[i], q = polygon.at[polygon.next(i)];
      const R height_p = dot(p - from, inwards), height_q = dot(q - from, inwards);
      const bool p_inside = height_p > slack, q_inside = height_q > slack;
      if (p_inside != q_inside && height_p != height_q)
        kept.add(p + clamp(height_p / (height_p - height_q), R(0), R(1)) * (q - p));
      if (q_inside) kept.add(q);
    }
    polygon = kept;
  }
  int count = 0;
  for (int i = 0; i < polygon.count; ++i)
    if (dot(polygon.at[i] - face.at[0], normal) <= margin) polygon.at[count++] = polygon.at[i];
  polygon.count = count;
}

// Four corners of a polygon that span much of it.
template <typename R>
struct Quad {
  int a, b, c, d, best[4];
  R most;

  RLGPU_HD Quad(const Polygon<R>& p, int first)
      : a(first), b(p.next(a)), c(p.next(b)), d(p.next(c)), best{a, b, c, d}, most(area(p)) {}

  RLGPU_HD R area(const Polygon<R>& p) const {
    return length(cross(p.at[a] - p.at[c], p.at[b] - p.at[d]));
  }

  // Moves one corner on if the area grows.
  RLGPU_HD bool grow(const Polygon<R>& p, int& corner) {
    const int before = corner;
    corner = p.next(corner);
    const R larger = area(p);
    if (!(larger > most)) {
      corner = before;
      return false;
    }
    most = larger, best[0] = a, best[1] = b, best[2] = c, best[3] = d;
    return true;
  }

  // Moves the three corners after a on as far as the area grows.
  RLGPU_HD void turn(const Polygon<R>& p) {
    while (grow(p, d)) {
      while (grow(p, c)) {
      }
      while (grow(p, b)) {
      }
    }
  }

  RLGPU_HD void keep(Polygon<R>& p) const {
    const Vec3<R> kept[4] = {p.at[best[0]], p.at[best[1]], p.at[best[2]], p.at[best[3]]};
    for (int k = 0; k < 4; ++k) p.at[k] = kept[k];
    p.count = 4;
  }
};

// Keeps the four corners that span most.
template <typename R>
RLGPU_RARE void keep_four(Polygon<R>& p) {
  Quad<R> quad(p, 0);
  for (quad.a = 0; quad.a < p.count; ++quad.a) {
    quad.turn(p);
    if (quad.b != quad.a) continue;
    quad.b = p.next(quad.b);
    if (quad.c != quad.b) continue;
    quad.c = p.next(quad.c);
    if (quad.d == quad.c) quad.d = p.next(quad.d);
  }
  quad.keep(p);
}

// Keeps one corner and three that span much with it, in this order; any of up to four corners.
template <typename R>
RLGPU_RARE void keep_four_with(Polygon<R>& p, int first) {
  if (p.count > 4) {
    Quad<R> quad(p, first);
    quad.turn(p);
    quad.keep(p);
    return;
  }
  const Polygon<R> all = p;
  for (int k = 0; k < all.count; ++k) p.at[k] = all.at[(first + k) % all.count];
}

// Keeps the two corners of what is left of an edge that are farthest apart.
template <typename R>
RLGPU_RARE void keep_ends(Polygon<R>& p) {
  int first = 0, second = 1;
  R most{};
  for (int i = 0; i < p.count; ++i)
    for (int j = i + 1; j < p.count; ++j) {
      const Vec3<R> apart = p.at[j] - p.at[i];
      if (dot(apart, apart) > most) most = dot(apart, apart), first = i, second = j;
    }
  const Vec3<R> ends[2] = {p.at[first], p.at[second]};
  p.at[0] = ends[0], p.at[1] = ends[1], p.count = 2;
}

// The vertices and faces of one hull, in its own axes.
template <typename R>
struct Polytope {
  const R *x, *y, *z;
  const int32_t *face_adr, *face_vertex;    // of its faces: corners, counter-clockwise
  const int32_t *around_adr, *around_face;  // of its vertices: the faces around each
  const R* normal;

  RLGPU_HD Vec3<R> vertex(int v) const { return {x[v], y[v], z[v]}; }
  RLGPU_HD Vec3<R> face_normal(int f) const {
    return {normal[3 * f], normal[3 * f + 1], normal[3 * f + 2]};
  }
  RLGPU_HD bool has(int face, int v) const {
    for (int i = face_adr[face]; i < face_adr[face + 1]; ++i)
      if (face_vertex[i] == v) return true;
    return false;
  }
};

template <typename R>
RLGPU_STAGE Polytope<R> polytope_of(const Tables<R>& t, int geom) {
  const int hull = t.geom_hull[geom];
  if (hull < 0) return {};
  const int first = t.hull_vertex_adr[hull], face = t.hull_face_adr[hull];
  return {t.hull_x + first,  t.hull_y + first,        t.hull_z + first,
          t.face_adr + face, t.face_vertex,           t.around_adr + t.hull_around_adr[hull],
          t.around_face,     t.face_normal + 3 * face};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
