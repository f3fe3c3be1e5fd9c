// Contacts of two convex geoms for which there is no formula: ellipsoids, cylinders, hulls, and
// boxes, capsules and spheres against them.
//
// Most pairs that are near each other do not touch, and an axis that separated them a step ago
// mostly still does: one support then settles the pair. That axis decides speed only: a search for
// a contact does not begin with it. Source: MuJoCo, mjc_Convex.
#pragma once

#include "contact.h"
#include "faces.h"
#include "polish.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr double kDeepShare = 0.1;  // of a shape's least half width; see deep_overlap

// The deepest contact of a pair, or the nearest one within the margin, in some worlds.
template <typename V>
struct Deepest {
  Mask<V> active;
  Touch<V> touch;
  Portal<V> portal;  // the points of the difference that it rests on
};

// apart: where the geoms are apart, it becomes an axis that separates them.
template <typename V>
RLGPU_RARE Deepest<V> deepest_of(const ConvexPair<V>& pair, V margin, V deep, Mask<V> live,
                                 Vec3<V>& apart) {
  using R = Real<V>;
  const R radius_a = core_radius(pair.a), radius_b = core_radius(pair.b);
  const V cutoff = margin + (radius_a + radius_b);
  // Centres that coincide leave no direction to start in.
  const Vec3<V> aside{splat<V>(R(1e-4)), V{}, V{}};
  const Mask<V> same = dot(pair.offset, pair.offset) < R(1e-12);
  const Distance<V> d = distance_of(pair, select(same, aside, -pair.offset), cutoff, live);
  apart = select(d.apart, d.axis, apart);
  live = live & !d.apart;
  const Mask<V> enclosed = live & d.enclosed;
  const Point<V>* const p = d.simplex.p;
  const Point<V> second = select<V>(d.simplex.has[1], p[1], p[0]);
  Deepest<V> out{
      live, d.touch, {{p[0], second, select<V>(d.simplex.has[2], p[2], second)}, d.touch.normal}};
  if (any(enclosed)) {
    const Portal<V> portal = penetration(pair, d, enclosed, deep);
    out.touch = select<V>(enclosed, portal.touch(), out.touch);
    out.portal = select<V>(enclosed, portal, out.portal);
  }
  if (is_curved(pair.a) || is_curved(pair.b)) polish(pair, out.portal, live, out.touch);
  out.touch.distance = out.touch.distance - (radius_a + radius_b);
  out.touch.point = out.touch.point + splat<V>(R(0.5) * (radius_a - radius_b)) * out.touch.normal;
  out.active = live & (out.touch.distance < margin);
  return out;
}

// Up to kMostContacts contacts of each world, in the axes of the pair's first geom.
template <typename V>
struct Manifolds {
  Mask<V> active[kMostContacts];
  Touch<V> touch[kMostContacts];
};

// One world's side of a contact, but for its pose.
template <typename V>
RLGPU_STAGE Side<Real<V>> side_of(const Tables<Real<V>>& t, int geom, const V (&vertices)[3],
                                  int lane) {
  Side<Real<V>> side{t.geom_shape[geom], t.geom_size + 3 * geom, polytope_of(t, geom)};
  int v[3];
  for (int k = 0; k < 3; ++k) v[k] = static_cast<int>(lane_of(vertices[k], lane));
  side.feature = feature_of(v[0], v[1], v[2]);
  return side;
}

// Replaces contacts by all those of faces and edges that meet, world by world.
template <typename V>
RLGPU_RARE void add_several(const Tables<Real<V>>& t, int geom_a, int geom_b,
                            const ConvexPair<V>& pair, const Deepest<V>& d, V margin,
                            Manifolds<V>& m) {
  using R = Real<V>;
  V counts = keep<V>(d.active, splat<V>(1));
  const Touch<V>& touch = d.touch;
  const Point<V>* const p = d.portal.p;
  const V vertices_a[3] = {p[0].vertex_a, p[1].vertex_a, p[2].vertex_a};
  const V vertices_b[3] = {p[0].vertex_b, p[1].vertex_b, p[2].vertex_b};
  const V half = R(0.5) * touch.distance;
  const Vec3<V> on_a = touch.point - half * touch.normal, on_b = touch.point + half * touch.normal;
  for (int lane = 0; lane < Lanes<V>::kWidth; ++lane) {
    if (lane_of(counts, lane) == R(0)) continue;
    Side<R> a = side_of(t, geom_a, vertices_a, lane), b = side_of(t, geom_b, vertices_b, lane);
    a.turn = identity<R>(), a.offset = {};
    b.turn = {lane_of(pair.turn.x, lane), lane_of(pair.turn.y, lane), lane_of(pair.turn.z, lane)};
    b.offset = lane_of(pair.offset, lane);
    a.outward = lane_of(touch.normal, lane), b.outward = -a.outward;
    a.witness = lane_of(on_a, lane), b.witness = lane_of(on_b, lane);
    const R reach = lane_of(margin, lane);
    a.lift = a.kind == kSegment ? R(0.5) * reach : R(0);
    b.lift = b.kind == kSegment ? R(0.5) * reach : R(0);
    Manifold<R> found;
    if (!several(a, b, reach, found)) continue;
    lane_of(counts, lane) = R(found.count);
    for (int k = 0; k < found.count; ++k) {
      lane_of(m.touch[k].distance, lane) = found.distance[k];
      set_lane(m.touch[k].point, lane, found.point[k]);
      set_lane(m.touch[k].normal, lane, found.normal);
    }
  }
  for (int k = 0; k < kMostContacts; ++k) m.active[k] = counts > R(k);
}

// Where boxes around two geoms are farther apart than the margin. Products of axes are not scaled
// to length 1, which only makes the test more careful. Source: S. Gottschalk, M. Lin, D. Manocha,
// OBBTree: a hierarchical structure for rapid interference detection, 1996.
template <typename V>
RLGPU_RARE Mask<V> boxes_apart(const Tables<Real<V>>& t, const ConvexPair<V>& p, int a, int b,
                               V margin) {
  using R = Real<V>;
  const R *box_a = t.geom_box + 6 * a, *box_b = t.geom_box + 6 * b;
  const Vec3<V> apart = p.offset + p.turn * splat3<V>(box_b) - splat3<V>(box_a);
  const V r[3][3] = {{p.turn.x.x, p.turn.x.y, p.turn.x.z},
                     {p.turn.y.x, p.turn.y.y, p.turn.y.z},
                     {p.turn.z.x, p.turn.z.y, p.turn.z.z}};
  const V d[3] = {apart.x, apart.y, apart.z};
  const R *s = box_a + 3, *o = box_b + 3;
  V size[3][3];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) size[i][j] = magnitude(r[i][j]) + R(1e-6);
  Mask<V> found{};
  for (int i = 0; i < 3; ++i) {
    const V reach = size[i][0] * o[0] + size[i][1] * o[1] + size[i][2] * o[2] + s[i];
    found = found | (magnitude(d[i]) > reach + margin);
  }
  for (int j = 0; j < 3; ++j) {
    const V along = d[0] * r[0][j] + d[1] * r[1][j] + d[2] * r[2][j];
    const V reach = size[0][j] * s[0] + size[1][j] * s[1] + size[2][j] * s[2] + o[j];
    found = found | (magnitude(along) > reach + margin);
  }
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      const int i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3, j2 = (j + 2) % 3;
      const V along = d[i2] * r[i1][j] - d[i1] * r[i2][j];
      const V reach =
          s[i1] * size[i2][j] + s[i2] * size[i1][j] + o[j1] * size[i][j2] + o[j2] * size[i][j1];
      found = found | (magnitude(along) > reach + margin);
    }
  return found;
}

// An overlap beyond which shapes may part sooner along a direction far from the one found: a share
// of their least half width. Where the cores of spheres and capsules overlap, it is always beyond.
template <typename V>
RLGPU_STAGE V deep_overlap(const Tables<Real<V>>& t, int a, int b) {
  using R = Real<V>;
  R least = R(1e9);
  for (int k = 0; k < 3; ++k) {
    const R half_a = t.geom_box[6 * a + 3 + k], half_b = t.geom_box[6 * b + 3 + k];
    least = half_a < least ? half_a : least, least = half_b < least ? half_b : least;
  }
  const bool has_core = t.geom_shape[a] <= kSegment || t.geom_shape[b] <= kSegment;
  return splat<V>(has_core ? R(0) : R(kDeepShare) * least);
}

template <typename V>
RLGPU_RARE void convex_convex(const Tables<Real<V>>& t, Work<V>& w, int pair, Mask<V> near) {
  const int a = t.pair_geom1[pair], b = t.pair_geom2[pair], slot = t.pair_slot[pair];
  const int slots = t.pair_slot[pair + 1] - slot;
  const Mat3<V>&frame_a = w.geom_frame[a], &frame_b = w.geom_frame[b];
  const Vec3<V> centre = w.geom_center[a];
  ConvexPair<V> p{shape_of<V>(t, a), shape_of<V>(t, b), {}, {}};
  p.turn = relative_rotation(frame_a, frame_b);
  p.offset = transposed_times(frame_a, w.geom_center[b] - centre);
  const V margin = splat<V>(t.pair_detection[pair]);
  const V cutoff = margin + (core_radius(p.a) + core_radius(p.b));
  for (int k = 0; k < slots; ++k) w.active[slot + k] = Mask<V>{};
  near = near & !boxes_apart(t, p, a, b, margin);
  if (!any(near)) return;
  // At the start of a control step no axis is known; then the centres give one.
  Vec3<V>& axis = w.axes[t.pair_axis[pair]];
  axis = select(dot(axis, axis) > V{}, axis, -p.offset);
  const Mask<V> live = near & !(dot(p.support(-axis, near).w, axis) > cutoff * length(axis));
  if (!any(live)) return;
  const Deepest<V> d = deepest_of(p, margin, deep_overlap<V>(t, a, b), live, axis);
  if (!any(d.active)) return;
  Manifolds<V> m{};
  m.active[0] = d.active, m.touch[0] = d.touch;
  if (slots > 1) add_several(t, a, b, p, d, margin, m);
  for (int k = 0; k < slots; ++k) {
    if (!begin_contact<V>(w, slot + k, m.active[k], m.touch[k].distance)) continue;
    w.contacts[slot + k].point = centre + frame_a * m.touch[k].point;
    w.contacts[slot + k].frame = frame_of(frame_a * m.touch[k].normal);
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
