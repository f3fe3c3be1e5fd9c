// Further contacts of two convex geoms with flat sides, once the deepest one is known: the faces
// that meet there are clipped against each other, or an edge against a face.
//
// The deepest contact says which part of each geom is involved: a vertex, an edge or a face. Faces
// within five degrees of each other count as parallel, and so does an edge with a face. A
// cylinder's disc is a face of sixteen corners and its side has edges; a capsule is an edge. All is
// done world by world, in the pair's axes, and only where one touches. Source: MuJoCo,
// multicontact.
#pragma once

#include "polygon.h"
#include "portal.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMostContacts = 4;  // of one pair of convex geoms
constexpr int kDiscCorners = 16;
constexpr double kParallel = 0.996, kFlat = 0.0888;  // cosine and sine

// The vertices of one geom that a portal rests on: one, two or three different ones.
struct Feature {
  int vertex[3], count;
};
RLGPU_HD Feature feature_of(int a, int b, int c) {
  if (a == b) return {{a, c, c}, a == c ? 1 : 2};
  return {{a, b, c}, c == a || c == b ? 2 : 3};
}

// One geom at a contact.
template <typename R>
struct Side {
  int kind;
  const R* size;
  Polytope<R> hull;
  Mat3<R> turn;  // to the pair's axes
  Vec3<R> offset;
  Feature feature;
  Vec3<R> outward;  // the contact's normal, away from this geom
  Vec3<R> witness;  // the point of the surface that is deepest
  R lift;           // how far beyond it the edge of a capsule is taken, half the pair's margin

  RLGPU_HD bool has_hull() const { return kind == kBlock || kind == kHull; }
  RLGPU_HD Vec3<R> place(Vec3<R> own) const { return offset + turn * own; }
  RLGPU_HD R sign() const { return feature.vertex[0] != 0 ? R(-1) : R(1); }  // of a disc

  // Faces to look at, and whether one of them has all of the feature.
  RLGPU_HD int num_faces() const {
    const int v = feature.vertex[0];
    if (has_hull()) return hull.around_adr[v + 1] - hull.around_adr[v];
    return kind == kCylinder && feature.count == 1 ? 1 : 0;
  }
  RLGPU_HD int face(int i) const {
    return has_hull() ? hull.around_face[hull.around_adr[feature.vertex[0]] + i] : 0;
  }
  RLGPU_HD bool is_on(int face) const {
    for (int k = 1; has_hull() && k < feature.count; ++k)
      if (!hull.has(face, feature.vertex[k])) return false;
    return true;
  }
  RLGPU_HD Vec3<R> normal(int face) const {
    return turn * (has_hull() ? hull.face_normal(face) : Vec3<R>{R(0), R(0), sign()});
  }
};

// The corners of a face, clockwise seen from outside.
template <typename R>
RLGPU_RARE void corners_of(const Side<R>& side, int face, Polygon<R>& out) {
  out.count = 0;
  if (side.has_hull()) {
    for (int i = side.hull.face_adr[face + 1] - 1; i >= side.hull.face_adr[face]; --i)
      out.add(side.place(side.hull.vertex(side.hull.face_vertex[i])));
    return;
  }
  for (int i = 0; i < kDiscCorners; ++i) {
    R sine, cosine;
    sine_cosine(R(i * (3.14159265358979323846 / 8)), sine, cosine);
    const R sign = side.sign();
    out.add(side.place({side.size[0] * cosine, -sign * side.size[0] * sine, sign * side.size[1]}));
  }
}

// An edge at the feature that is parallel to a face with the given normal.
template <typename R>
RLGPU_RARE bool flat_edge(const Side<R>& side, Vec3<R> normal, Polygon<R>& out) {
  const auto try_edge = [&](Vec3<R> from, Vec3<R> to) {
    const R rise = dot(unit(to - from), normal);
    if (!(rise < R(kFlat) && rise > R(-kFlat))) return false;
    out.count = 0, out.add(from), out.add(to);
    return true;
  };
  const Vec3<R> axis = column(side.turn, 2);
  if (side.kind == kCylinder) {
    const Vec3<R> radial = side.outward - dot(side.outward, axis) * axis;
    if (side.feature.count == 3 || !(dot(radial, radial) > R(1e-6))) return false;
    const Vec3<R> beside = side.offset + side.size[0] * unit(radial), end = side.size[1] * axis;
    return try_edge(beside + side.sign() * end, beside - side.sign() * end);
  }
  if (side.kind == kSegment) {  // along the axis
    const Vec3<R> beyond = side.witness + side.lift * side.outward;
    const R along = dot(beyond - side.offset, axis);
    return try_edge(beyond - (along + side.size[1]) * axis, beyond + (side.size[1] - along) * axis);
  }
  const Polytope<R>& hull = side.hull;
  const int v = side.feature.vertex[0];
  const Vec3<R> from = side.place(hull.vertex(v));
  if (side.feature.count == 2)
    return try_edge(from, side.place(hull.vertex(side.feature.vertex[1])));
  for (int i = hull.around_adr[v]; i < hull.around_adr[v + 1]; ++i) {
    const int face = hull.around_face[i], first = hull.face_adr[face],
              end = hull.face_adr[face + 1];
    for (int k = first; k < end; ++k)
      if (hull.face_vertex[k] == v &&
          try_edge(from, side.place(hull.vertex(hull.face_vertex[(k == first ? end : k) - 1]))))
        return true;
  }
  return false;
}

template <typename R>
struct Manifold {
  int count;
  R distance[kMostContacts];
  Vec3<R> point[kMostContacts], normal;
};

// Contacts where a polygon lies below a face, midway to the face as seen along way. lift: how much
// nearer the polygon is than the surface.
template <typename R>
RLGPU_RARE bool fill(const Polygon<R>& face, Vec3<R> face_normal, R margin, R lift,
                     Polygon<R>& polygon, bool is_edge, Vec3<R> way, Vec3<R> normal,
                     Manifold<R>& out) {
  clip(face, face_normal, margin - lift, polygon);
  if (polygon.count == 0) return false;
  if (is_edge && polygon.count > 2) keep_ends(polygon);
  if (polygon.count > 4) keep_four(polygon);
  out.count = polygon.count, out.normal = normal;
  for (int k = 0; k < polygon.count; ++k) {
    const Vec3<R> p = polygon.at[k];
    const Vec3<R> on_face = p - dot(p - face.at[0], face_normal) * face_normal;
    out.distance[k] = dot(on_face - p, way) + lift;
    out.point[k] = on_face - R(0.5) * out.distance[k] * way;
  }
  return true;
}

// Replaces the deepest contact by all those of the parts that meet; false if it stays alone.
template <typename R>
RLGPU_RARE bool several(const Side<R>& a, const Side<R>& b, R margin, Manifold<R>& out) {
  Polygon<R> first, second;
  R most = R(-kParallel);
  int best_a = -1, best_b = -1;
  for (int i = 0; i < a.num_faces(); ++i) {
    if (!a.is_on(a.face(i)) || !(dot(a.normal(a.face(i)), a.outward) > R(kFlat))) continue;
    for (int j = 0; j < b.num_faces(); ++j) {
      if (!b.is_on(b.face(j)) || !(dot(b.normal(b.face(j)), b.outward) > R(kFlat))) continue;
      const R aligned = dot(a.normal(a.face(i)), b.normal(b.face(j)));
      if (aligned < most) most = aligned, best_a = a.face(i), best_b = b.face(j);
    }
  }
  if (best_a >= 0) {
    const Vec3<R> on_b = b.normal(best_b);
    corners_of(a, best_a, first), corners_of(b, best_b, second);
    return fill(first, a.normal(best_a), margin, R(0), second, false, on_b, -on_b, out);
  }
  // No faces meet. An edge of either geom on a face of the other one.
  for (int k = 0; k < 2; ++k) {
    const bool edge_of_a = k == 0;
    const Side<R>&edge = edge_of_a ? a : b, &other = edge_of_a ? b : a;
    if (edge.feature.count == 3) continue;
    for (int i = 0; i < other.num_faces(); ++i) {
      const int face = other.face(i);
      const Vec3<R> on_face = other.normal(face);
      if (!other.is_on(face) || !(dot(on_face, other.outward) > R(0))) continue;
      if (!flat_edge(edge, on_face, second)) continue;
      corners_of(other, face, first);
      return fill(first, on_face, margin, edge.lift, second, true, -on_face,
                  edge_of_a ? -on_face : on_face, out);
    }
  }
  return false;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
