// Contacts of a sphere or a capsule with a box.
//
// A capsule touches a box like a sphere at the nearest point of its axis. If it lies along a face
// or an edge, a second sphere farther along the axis holds it. Source: MuJoCo,
// engine_collision_box.c.
#pragma once

#include "shapes.h"
#include "contact.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// center: the sphere's, in the box's axes about its centre.
template <typename V>
RLGPU_RARE void sphere_box(Work<V>& w, int slot, Vec3<V> center, V radius, const Mat3<V>& frame,
                           Vec3<V> box, const Real<V>* size, Mask<V> live, V margin) {
  using R = Real<V>;
  const V none{}, one = splat<V>(1), half = splat<V>(R(0.5));
  const auto bound = [](V x, R s) { return clamp(x, splat<V>(-s), splat<V>(s)); };
  const Vec3<V> nearest{bound(center.x, size[0]), bound(center.y, size[1]),
                        bound(center.z, size[2])};
  const Vec3<V> apart = nearest - center;
  const V far = length(apart);
  const Mask<V> inside = !(far > R(sizeof(R) == 4 ? 1e-10 : 1e-15));
  Vec3<V> normal = reciprocal(select<V>(inside, one, far)) * apart;
  V distance = far - radius;
  Vec3<V> point = half * (nearest + (center + radius * normal));
  // From inside, through the nearest side; of equals the first one.
  if (any(live & inside)) {
    V least = splat<V>(R(2) * (size[0] + size[1] + size[2]));
    Vec3<V> way{none, none, none};
    for (int k = 0; k < 6; ++k) {
      const V sign = splat<V>(R(k % 2 == 0 ? 1 : -1));
      const V depth = magnitude(V(size[k / 2] + sign * along_axis(center, k / 2)));
      const Mask<V> nearer = least > depth;
      least = select<V>(nearer, depth, least);
      way = select(
          nearer,
          Vec3<V>{k / 2 == 0 ? sign : none, k / 2 == 1 ? sign : none, k / 2 == 2 ? sign : none},
          way);
    }
    normal = select(inside, way, normal);
    distance = select<V>(inside, -least - radius, distance);
    point = select(inside, center + half * (radius - least) * way, point);
  }
  if (!begin_contact<V>(w, slot, live & (distance < margin), distance)) return;
  w.contacts[slot].point = box + frame * point;
  w.contacts[slot].frame = frame_of(frame * normal);
}

// What of a capsule's axis and a box are nearest. along: the place on the axis, from -1 to 1. kind:
// -3 or -1 for the axis's lower or upper end on a face, else three times the place on an edge of
// the box plus that on the axis, each 0 at its lower end, 1 between the ends, 2 at its upper end.
template <typename V>
struct NearestOnBox {
  V square, along, kind, face, corner, edge, on_edge;
};

// center, half: the capsule's, in the box's axes.
template <typename V>
RLGPU_RARE NearestOnBox<V> nearest_on_box(Vec3<V> center, Vec3<V> half, const Real<V>* size,
                                          Real<V> half_length) {
  using R = Real<V>;
  constexpr bool kSingle = sizeof(R) == 4;
  const V none{}, one = splat<V>(1), minus = splat<V>(R(-1)), two = splat<V>(2);
  NearestOnBox<V> best{splat<V>(R(1e30)), none, splat<V>(R(-4)), minus, none, none, none};
  for (int i = -1; i <= 1; i += 2) {
    const Vec3<V> end = center + splat<V>(R(i)) * half;
    V outside{}, face = minus, square{};
    for (int j = 0; j < 3; ++j) {
      const V x = along_axis(end, j), over = maximum(magnitude(x) - size[j], none);
      outside += keep<V>(over > none, one), square += over * over;
      face = select<V>(over > none, splat<V>(R(j)), face);
    }
    const Mask<V> better = (outside < two) & (square < best.square);
    best.square = select<V>(better, square, best.square);
    best.along = select<V>(better, splat<V>(R(i)), best.along);
    best.kind = select<V>(better, splat<V>(R(i - 2)), best.kind);
    best.face = select<V>(better, face, best.face);
  }
  const V c = splat<V>(half_length * half_length), per_c = reciprocal(c);
  for (int j = 0; j < 3; ++j)
    for (int i = 0; i < 8; ++i) {
      if (i & (1 << j)) continue;
      const R s[3] = {i & 1 ? size[0] : -size[0], i & 2 ? size[1] : -size[1],
                      i & 4 ? size[2] : -size[2]};
      const Vec3<V> middle{splat<V>(j == 0 ? R(0) : s[0]), splat<V>(j == 1 ? R(0) : s[1]),
                           splat<V>(j == 2 ? R(0) : s[2])};
      const Vec3<V> apart = middle - center;
      // x1 on the edge and x2 on the axis: both from -1 to 1.
      const R a = size[j] * size[j];
      const V b = -size[j] * along_axis(half, j), u = -size[j] * along_axis(apart, j);
      const V v = dot(half, apart), det = a * c - b * b;
      const Mask<V> parallel = !(det > (kSingle ? R(1e-6) : R(1e-12)) * a * c);
      const V inverse = reciprocal(select<V>(parallel, one, det));
      V x1 = (c * u - b * v) * inverse, x2 = (a * v - b * u) * inverse, s1 = one, s2 = one;
      const auto bound = [&](V& x, V& place) {
        const Mask<V> above = x > one, below = x < minus;
        x = select<V>(above, one, select<V>(below, minus, x));
        place = select<V>(above, two, select<V>(below, none, place));
        return select<V>(above, one, keep<V>(below, minus));
      };
      const V end1 = bound(x1, s1);
      x2 = select<V>(end1 == none, x2, (v - end1 * b) * per_c);
      const V end2 = bound(x2, s2);
      x1 = select<V>(end2 == none, x1, (u - end2 * b) * (R(1) / a));
      bound(x1, s1);
      Vec3<V> gap = apart - x2 * half;
      const V on_edge = x1 * size[j];
      gap = {j == 0 ? gap.x + on_edge : gap.x, j == 1 ? gap.y + on_edge : gap.y,
             j == 2 ? gap.z + on_edge : gap.z};
      const V square = dot(gap, gap);
      const V least = kSingle ? best.square * (R(1) - R(1e-5)) : best.square - R(1e-15);
      const Mask<V> better = !parallel & (square < least);
      best.square = select<V>(better, square, best.square);
      best.along = select<V>(better, x2, best.along);
      best.on_edge = select<V>(better, x1, best.on_edge);
      best.kind = select<V>(better, R(3) * s1 + s2, best.kind);
      best.edge = select<V>(better, splat<V>(R(j)), best.edge);
      const V upper = keep<V>(s1 > R(1.5), splat<V>(R(1 << j)));
      best.corner = select<V>(better, R(i) + upper, best.corner);
    }
  return best;
}

// One world's second place on a capsule's axis, relative to the first, or -4 where there is none.
template <typename R>
RLGPU_RARE R second_place(Vec3<R> center, Vec3<R> half, const R* size, R half_length, R along,
                          int kind, int face, int corner, int edge, R on_edge) {
  const R h[3] = {half.x, half.y, half.z}, x[3] = {center.x, center.y, center.z}, never = R(-4);
  const auto size_of = [](R v) { return v < R(0) ? -v : v; };
  const auto across = [&](int k) { return R(2) * size[k] / size_of(h[k]); };
  const auto least = [](R a, R b) { return a < b ? a : b; };
  const int way = (h[0] > R(0) ? 1 : 0) + (h[1] > R(0) ? 2 : 0) + (h[2] > R(0) ? 4 : 0);
  if (kind < 0) {  // an end on a face: to the other end, or where that leaves the face
    if (face < 0) return never;
    const R sign = kind == -3 ? R(1) : R(-1);
    R place = R(2);
    for (int i = 0; i < 3; ++i) {
      if (i == face) continue;
      for (int side = 1; side >= -1; side -= 2) {
        const R out = (R(side) * size[i] - (x[i] - sign * h[i])) / h[i] * sign;
        if (out > R(0) && out < place) place = out;
      }
    }
    return sign * place;
  }
  const auto single = [](int bits) { return bits == 1 || bits == 2 || bits == 4; };
  if (kind / 3 != 1) {  // a corner: along the edge or over the face that the axis is nearer to
    int bits = way ^ corner;
    if (bits == 0 || bits == 7) return never;
    const bool forwards = single(bits);
    const R sign = forwards ? R(1) : R(-1);
    if (!forwards) bits = 7 - bits;
    const int k = bits == 1 ? 0 : bits == 2 ? 1 : 2;
    if (h[k] * h[k] > R(0.5) * half_length * half_length)
      return sign * least(R(1) - sign * along, across(k));
    const R inner = least(across((k + 1) % 3), across((k + 2) % 3));
    return -sign * least(R(1) + sign * along, inner);
  }
  // Across an edge: over the face that the axis is nearer to.
  const int bits = (way ^ corner) & (7 - (1 << edge));
  if (!single(bits)) return never;
  const int k1 = (edge + 1) % 3, k2 = (edge + 2) % 3;
  const int over = size_of(h[k1]) > size_of(h[k2]) ? k1 : k2;
  const bool forwards = (bits >> over & 1) != 0;
  const R sign = forwards ? R(1) : R(-1);
  const R rest = ((way >> edge & 1) != 0) == forwards ? R(1) - on_edge : R(1) + on_edge;
  const R place = least(R(1) - sign * along, across(over));
  return sign * least(place, size[edge] * rest / size_of(h[edge]));
}

template <typename V>
RLGPU_RARE void capsule_box(Work<V>& w, int slot, Vec3<V> capsule, Vec3<V> axis,
                            const Real<V>* size1, const Mat3<V>& frame, Vec3<V> box,
                            const Real<V>* size, Mask<V> near, V margin) {
  using R = Real<V>;
  const Vec3<V> center = transposed_times(frame, capsule - box);
  const Vec3<V> half = splat<V>(size1[1]) * transposed_times(frame, axis);
  const V radius = splat<V>(size1[0]);
  w.active[slot] = w.active[slot + 1] = Mask<V>{};
  for (int k = 0; k < 3; ++k)
    near = near & (magnitude(along_axis(center, k)) - magnitude(along_axis(half, k)) <
                   margin + (size1[0] + size[k]));
  if (!any(near)) return;
  const NearestOnBox<V> best = nearest_on_box(center, half, size, size1[1]);
  sphere_box(w, slot, center + best.along * half, radius, frame, box, size, near, margin);
  V second = splat<V>(R(-4));
  for (const int lane : lanes_in<V>(near)) {
    const auto whole_of = [&](const V& x) { return static_cast<int>(lane_of(x, lane)); };
    lane_of(second, lane) =
        second_place(lane_of(center, lane), lane_of(half, lane), size, size1[1],
                     lane_of(best.along, lane), whole_of(best.kind), whole_of(best.face),
                     whole_of(best.corner), whole_of(best.edge), lane_of(best.on_edge, lane));
  }
  near = near & (second > R(-3));
  if (!any(near)) return;
  sphere_box(w, slot + 1, center + (second + best.along) * half, radius, frame, box, size, near,
             margin);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
