// Contacts of all convex pairs, of any worlds of a group, in full vectors.
//
// The one idea: of a pair that may touch, mostly a few worlds of a group come near. So filters take
// pair by pair, a world in each lane, and what they leave is gathered: a lane then holds any pair
// of any world. The shapes' kinds are the same in all lanes, so pairs come sorted by these. An axis
// that separated two geoms a step ago mostly still does: one support then settles the pair. That
// axis decides speed only: a search for a contact does not begin with it. Source: MuJoCo,
// mjc_Convex.
#pragma once

#include "contact.h"
#include "convex.h"
#include "faces.h"
#include "near.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

constexpr double kDeepShare = 0.1;  // of a shape's least half width; see deep_overlap

// Pairs to search for contacts, one in each lane that is used.
template <typename V>
struct Batch {
  static constexpr int kWidth = Lanes<V>::kWidth;
  int count = 0;
  int convex_ids[kWidth], worlds[kWidth];  // indices in convex_pair, lanes of the group
  Mat3<V> turn;                            // from the second geom's axes to the first one's
  Vec3<V> offset;                          // from the first one's centre, in its axes
};

// Up to kMostContacts contacts of each lane, in the axes of the pair's first geom.
template <typename V>
struct Manifolds {
  Mask<V> active[kMostContacts];
  Touch<V> touch[kMostContacts];
};

// One lane's side of a contact, but for its pose.
template <typename V>
RLGPU_STAGE Side<Real<V>> side_of(const Tables<Real<V>>& t, int geom, const V (&vertices)[3],
                                  int lane) {
  Side<Real<V>> side{t.geom_shape[geom], t.geom_size + 3 * geom, polytope_of(t, geom)};
  int v[3];
  for (int k = 0; k < 3; ++k) v[k] = static_cast<int>(lane_of(vertices[k], lane));
  side.feature = feature_of(v[0], v[1], v[2]);
  return side;
}

// Replaces contacts by all those of faces and edges that meet, lane by lane.
template <typename V>
RLGPU_RARE void add_several(const Tables<Real<V>>& t, const int (&pairs)[Lanes<V>::kWidth],
                            const ConvexPair<V>& shapes, const Deepest<V>& d, V margin,
                            Manifolds<V>& m) {
  using R = Real<V>;
  V counts = keep<V>(d.active, splat<V>(1));
  const Touch<V>& touch = d.touch;
  const Point<V>* const p = d.portal.p;
  const V vertices_a[3] = {p[0].vertex_a, p[1].vertex_a, p[2].vertex_a};
  const V vertices_b[3] = {p[0].vertex_b, p[1].vertex_b, p[2].vertex_b};
  const V half = R(0.5) * touch.distance;
  const Vec3<V> on_a = touch.point - half * touch.normal, on_b = touch.point + half * touch.normal;
  for (const int lane : lanes_in<V>(d.active)) {
    const int pair = pairs[lane];
    if (t.pair_slot[pair + 1] - t.pair_slot[pair] == 1) continue;
    Side<R> a = side_of(t, t.pair_geom1[pair], vertices_a, lane);
    Side<R> b = side_of(t, t.pair_geom2[pair], vertices_b, lane);
    a.turn = identity<R>(), a.offset = {};
    b.turn = lane_of(shapes.turn, lane), b.offset = lane_of(shapes.offset, lane);
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

// An overlap beyond which shapes may part sooner along a direction far from the one found: a share
// of their least half width. Where the cores of spheres and capsules overlap, it is always beyond.
template <typename R>
RLGPU_STAGE R deep_overlap(const Tables<R>& t, int a, int b) {
  if (t.geom_shape[a] <= kSegment || t.geom_shape[b] <= kSegment) return R(0);
  R least = R(1e9);
  for (int k = 0; k < 3; ++k) {
    const R half_a = t.geom_box[6 * a + 3 + k], half_b = t.geom_box[6 * b + 3 + k];
    least = half_a < least ? half_a : least, least = half_b < least ? half_b : least;
  }
  return R(kDeepShare) * least;
}

// Writes the contacts of a batch to the slots of their pairs.
template <typename V>
RLGPU_RARE void put_contacts(const Tables<Real<V>>& t, Work<V>& w, const Batch<V>& batch,
                             const int (&pairs)[Lanes<V>::kWidth], const Manifolds<V>& m) {
  Vec3<V> centre{};
  Mat3<V> frame{};
  for (int lane = 0; lane < batch.count; ++lane) {
    const int geom = t.pair_geom1[pairs[lane]], world = batch.worlds[lane];
    set_lane(centre, lane, lane_of(w.geom_center[geom], world));
    set_lane(frame, lane, lane_of(w.geom_frame[geom], world));
  }
  for (int k = 0; k < kMostContacts && any(m.active[k]); ++k) {
    const Vec3<V> point = centre + frame * m.touch[k].point;
    const Mat3<V> own = frame_of(frame * m.touch[k].normal);
    for (const int lane : lanes_in<V>(m.active[k]))
      put_contact(w, t.pair_slot[pairs[lane]] + k, batch.worlds[lane],
                  lane_of(m.touch[k].distance, lane), lane_of(point, lane), lane_of(own, lane));
  }
}

// Finds the contacts of a batch, and empties it.
template <typename V>
RLGPU_RARE void collide_batch(const Tables<Real<V>>& t, Work<V>& w, Batch<V>& batch) {
  constexpr int kWidth = Batch<V>::kWidth;
  ConvexPair<V> shapes{{}, {}, batch.turn, batch.offset};
  int pairs[kWidth];
  V margin, deep;
  Mask<V> live{};
  for (int lane = 0; lane < kWidth; ++lane) {
    // Lanes without a pair have the shapes of the first.
    const int pair = t.convex_pair[batch.convex_ids[lane < batch.count ? lane : 0]];
    const int a = t.pair_geom1[pair], b = t.pair_geom2[pair];
    pairs[lane] = pair;
    shapes.a.set(t, lane, a), shapes.b.set(t, lane, b);
    lane_of(margin, lane) = t.pair_detection[pair];
    lane_of(deep, lane) = deep_overlap(t, a, b);
    if (lane < batch.count) live = live | only<V>(lane);
  }
  const Deepest<V> d = deepest_of(shapes, margin, deep, live);
  for (const int lane : lanes_in<V>(d.apart))
    set_lane(w.axes[batch.convex_ids[lane]], batch.worlds[lane], lane_of(d.axis, lane));
  if (any(d.active)) {
    Manifolds<V> m{};
    m.active[0] = d.active, m.touch[0] = d.touch;
    add_several(t, pairs, shapes, d, margin, m);
    put_contacts(t, w, batch, pairs, m);
  }
  batch.count = 0;
}

// Whether a pair's shapes are of the kinds of those in a batch.
template <typename V>
RLGPU_STAGE bool fits(const Tables<Real<V>>& t, const Batch<V>& batch, int a, int b) {
  const int other = t.convex_pair[batch.convex_ids[0]];
  return t.geom_shape[a] == t.geom_shape[t.pair_geom1[other]] &&
         t.geom_shape[b] == t.geom_shape[t.pair_geom2[other]];
}

// Adds a pair to a batch in the worlds where its geoms may touch.
template <typename V>
RLGPU_STAGE void gather_pair(const Tables<Real<V>>& t, Work<V>& w, int convex, Batch<V>& batch) {
  const int pair = t.convex_pair[convex], a = t.pair_geom1[pair], b = t.pair_geom2[pair];
  Mask<V> near = may_touch(t, w, pair);
  w.near[pair] = any(near);
  if (!w.near[pair]) return;
  for (int slot = t.pair_slot[pair]; slot < t.pair_slot[pair + 1]; ++slot)
    w.active[slot] = Mask<V>{};
  const Mat3<V>&frame_a = w.geom_frame[a], turn = relative_rotation(frame_a, w.geom_frame[b]);
  const Vec3<V> offset = transposed_times(frame_a, w.geom_center[b] - w.geom_center[a]);
  const V margin = splat<V>(t.pair_detection[pair]);
  near = near & !boxes_apart(t, turn, offset, a, b, margin);
  if (!any(near)) return;
  // At the start of a control step no axis is known; then the centres give one.
  Vec3<V>& axis = w.axes[convex];
  axis = select(dot(axis, axis) > V{}, axis, -offset);
  const ConvexPair<V> shapes{shape_of<V>(t, a), shape_of<V>(t, b), turn, offset};
  const V cutoff = margin + (core_radius(shapes.a) + core_radius(shapes.b));
  const V over = dot(shapes.support(-axis, near).w, axis) - cutoff * length(axis);
  for (const int world : lanes_in<V>(near & !(over > V{}))) {
    if (batch.count == Batch<V>::kWidth || (batch.count > 0 && !fits(t, batch, a, b)))
      collide_batch(t, w, batch);
    const int lane = batch.count++;
    batch.convex_ids[lane] = convex, batch.worlds[lane] = world;
    set_lane(batch.turn, lane, lane_of(turn, world));
    set_lane(batch.offset, lane, lane_of(offset, world));
  }
}

// Finds the contacts of all convex pairs.
template <typename V, typename Team>
RLGPU_RARE void collide_convex(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Batch<V> batch{};
  for (int i = team.first(); i < t.num_convex; i += team.step()) gather_pair(t, w, i, batch);
  if (batch.count > 0) collide_batch(t, w, batch);
  for (int i = team.first(); i < t.num_convex; i += team.step())
    if (w.near[t.convex_pair[i]]) end_pair(t, w, t.convex_pair[i]);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
