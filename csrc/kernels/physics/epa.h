// Whether shapes that overlap deeply part sooner along another direction: an expanding polytope.
//
// Rays (portal.h) end at a local minimum of the depth. A polytope inside the difference bounds the
// depth from below by its nearest face, and supports bound it from above. So the faces that are
// nearer than the least overlap seen are pushed outwards until none is left. Only directions are
// sought here: a ray then finds the contact. Supports run in lanes, polytopes lane by lane.
// Source: G. van den Bergen, Proximity queries and penetration depth computation on 3D game
// objects, 2001.
#pragma once

#include "shapes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr int kMostExpanded = 44;  // corners of a polytope
// Directions whose overlaps differ by less than this share count as equal.
constexpr double kSameOverlap = 1e-5;

// One world's polytope. It need not hold the origin yet: faces then have negative distances.
template <typename R>
struct Expansion {
  struct Face {
    Vec3<R> normal;  // outwards, unit
    R distance;      // of its plane from the origin
    uint8_t corner[3];
  };
  Vec3<R> corners[kMostExpanded];
  Face faces[2 * kMostExpanded];
  int num_corners, num_faces;

  // Corners counter-clockwise seen from outside; false if the face has no area.
  RLGPU_HD bool add_face(int i, int j, int k) {
    if (num_faces == 2 * kMostExpanded) return false;
    const Vec3<R> n = cross(corners[j] - corners[i], corners[k] - corners[i]);
    const R nn = dot(n, n);
    if (!(nn > R(1e-26))) return false;
    Face& face = faces[num_faces++];
    face.normal = (R(1) / square_root(nn)) * n, face.distance = dot(face.normal, corners[i]);
    face.corner[0] = static_cast<uint8_t>(i), face.corner[1] = static_cast<uint8_t>(j);
    face.corner[2] = static_cast<uint8_t>(k);
    return true;
  }

  // Starts as a tetrahedron.
  RLGPU_HD bool begin(Vec3<R> a, Vec3<R> b, Vec3<R> c, Vec3<R> d) {
    const bool left = dot(cross(b - a, c - a), d - a) > R(0);
    corners[0] = a, corners[1] = left ? c : b, corners[2] = left ? b : c, corners[3] = d;
    num_corners = 4, num_faces = 0;
    return add_face(0, 1, 2) && add_face(0, 3, 1) && add_face(0, 2, 3) && add_face(1, 3, 2);
  }

  RLGPU_HD int nearest() const {
    int at = 0;
    for (int f = 1; f < num_faces; ++f)
      if (faces[f].distance < faces[at].distance) at = f;
    return at;
  }

  // Replaces the faces that see a new corner by a fan from their border; false if there is no room,
  // or rounding leaves no border.
  RLGPU_RARE bool grow(Vec3<R> corner) {
    if (num_corners == kMostExpanded) return false;
    const R slack = sizeof(R) == 4 ? R(1e-9) : R(1e-15);
    uint8_t edges[3 * kMostExpanded][2];
    int num_edges = 0;
    for (int f = 0; f < num_faces;) {
      const Face face = faces[f];
      if (!(dot(face.normal, corner) - face.distance > slack)) {
        ++f;
        continue;
      }
      // An edge that two of the faces share is not on the border.
      for (int e = 0; e < 3; ++e) {
        const uint8_t i = face.corner[e], j = face.corner[e == 2 ? 0 : e + 1];
        int twin = 0;
        while (twin < num_edges && !(edges[twin][0] == j && edges[twin][1] == i)) ++twin;
        if (twin < num_edges) {
          --num_edges;
          edges[twin][0] = edges[num_edges][0], edges[twin][1] = edges[num_edges][1];
        } else if (num_edges == 3 * kMostExpanded) {
          return false;
        } else {
          edges[num_edges][0] = i, edges[num_edges][1] = j, ++num_edges;
        }
      }
      faces[f] = faces[--num_faces];
    }
    corners[num_corners] = corner;
    bool good = num_edges >= 3;
    for (int e = 0; e < num_edges; ++e)
      good = add_face(edges[e][0], edges[e][1], num_corners) && good;
    ++num_corners;
    return good;
  }
};

// The least overlap seen, and its direction.
template <typename V>
struct Overlap {
  V size;
  Vec3<V> direction;

  RLGPU_HD void take(Mask<V> live, V other, Vec3<V> along) {
    const Mask<V> less = live & (other < size);
    size = select<V>(less, other, size), direction = select(less, along, direction);
  }
};

// Seeks directions with less overlap than the least one known; returns where it finds any. known:
// three points of the difference that are farthest along that direction. around: four others, used
// where the three lie on a line.
template <typename V>
RLGPU_RARE Mask<V> seek_shallower(const ConvexPair<V>& pair, const Point<V> (&known)[3],
                                  const Point<V> (&around)[4], Mask<V> live, Overlap<V>& least) {
  using R = Real<V>;
  constexpr int kWidth = Lanes<V>::kWidth;
  const V before = least.size;
  const Vec3<V> far = pair.support(-least.direction, live).w;
  least.take(live, -dot(far, least.direction), -least.direction);
  Expansion<R> polytopes[kWidth];
  V open = keep<V>(live, splat<V>(1));
  const auto begin = [](Expansion<R>& p, const auto& a, const auto& b, const auto& c, const auto& d,
                        int lane) {
    return p.begin(lane_of(a, lane), lane_of(b, lane), lane_of(c, lane), lane_of(d, lane));
  };
  for (int lane = 0; lane < kWidth; ++lane) {
    Expansion<R>& polytope = polytopes[lane];
    if (lane_of(open, lane) != R(0) &&
        !begin(polytope, known[0].w, known[1].w, known[2].w, far, lane) &&
        !begin(polytope, around[0].w, around[1].w, around[2].w, around[3].w, lane))
      lane_of(open, lane) = R(0);
  }
  for (int k = 4; k < kMostExpanded && any(open > V{}); ++k) {
    Vec3<V> normal = least.direction;
    V below{};
    for (int lane = 0; lane < kWidth; ++lane) {
      if (lane_of(open, lane) == R(0)) continue;
      const auto& face = polytopes[lane].faces[polytopes[lane].nearest()];
      set_lane(normal, lane, face.normal), lane_of(below, lane) = face.distance;
    }
    const V enough = R(1 - kSameOverlap) * least.size;
    live = (open > V{}) & (below < enough);
    const Vec3<V> next = pair.support(normal, live).w;
    const V reach = dot(next, normal);
    least.take(live, reach, normal);
    open = keep<V>(live & (reach - below > R(kSameOverlap) * least.size), open);
    for (int lane = 0; lane < kWidth; ++lane)
      if (lane_of(open, lane) != R(0) && !polytopes[lane].grow(lane_of(next, lane)))
        lane_of(open, lane) = R(0);
  }
  return least.size < R(1 - kSameOverlap) * before;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
