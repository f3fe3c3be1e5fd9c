// Contacts of capsules and boxes with the edges of a height field, between their ends and corners.
//
// The one idea: a face of a box, or the side of a capsule, meets the ground first at an edge that
// is convex, a ridge; Python marks these, and flat ground has none. Each half of a capsule and each
// quadrant of a box has a slot for the one ridge that pierces it most.
#pragma once

#include "terrain.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The box in world axes that holds a geom: its centre, and half its sides.
template <typename V>
struct Bounds {
  Vec3<V> center, half;
  Mask<V> is_near;  // to the ground, which may be as high as its neighbourhood
};

// Visits the ridges that may touch something in its bounds. visit(is_there, a, b): the worlds in
// which a ridge runs from a to b, seen from the centre.
template <typename V, typename Visit>
RLGPU_STAGE void visit_ridges(const Tables<Real<V>>& t, const Grid<V>& grid,
                              const Bounds<V>& bounds, const Visit& visit) {
  using R = Real<V>;
  const Vec3<V> place = bounds.center, half = bounds.half;
  const V last_column = splat<V>(R(grid.columns - 1)), last_row = splat<V>(R(grid.rows - 1));
  const V lowest = place.z - half.z;
  const auto cell = [](V at, R origin, R step, V last) {
    return whole(clamp((at - splat<V>(origin)) * (R(1) / step), V{}, last));
  };
  const V first_column = cell(place.x - half.x, grid.x, grid.step_x, last_column);
  const V first_row = cell(place.y - half.y, grid.y, grid.step_y, last_row);
  const V end_column = cell(place.x + half.x, grid.x, grid.step_x, last_column);
  const V end_row = cell(place.y + half.y, grid.y, grid.step_y, last_row);
  const auto at = [&](V column, V row) {
    return Vec3<V>{grid.x + grid.step_x * column - place.x, grid.y + grid.step_y * row - place.y,
                   grid.height(column, row) - place.z};
  };
  for (int j = 0; j < grid.rows; ++j) {
    const V row = minimum(first_row + R(j), last_row);
    const Mask<V> has_row = bounds.is_near & (first_row + R(j) <= end_row);
    if (!any(has_row)) return;
    for (int i = 0; i < grid.columns; ++i) {
      const V column = minimum(first_column + R(i), last_column);
      const Mask<V> has_cell = has_row & (first_column + R(i) <= end_column);
      if (!any(has_cell)) break;
      const V crest = gather<V>(t.terrain_crests, row, grid.columns, column);
      const Mask<V> is_high = has_cell & (crest > lowest);
      if (!any(is_high)) continue;
      V marks = keep<V>(is_high, gather<V>(t.terrain_ridges, row, grid.columns, column));
      const Vec3<V> a = at(column, row);
      for (int k = 2; k >= 0; --k) {  // along the diagonal, along y, along x
        const R mark = R(1 << k);
        const Mask<V> is_marked = marks >= splat<V>(mark);
        marks = marks - keep<V>(is_marked, splat<V>(mark));
        if (!any(is_marked)) continue;
        const Vec3<V> b = at(k == 1 ? column : column + R(1), k == 0 ? row : row + R(1));
        const Mask<V> is_there = is_marked & (maximum(a.z, b.z) > -half.z) &
                                 (minimum(a.x, b.x) < half.x) & (maximum(a.x, b.x) > -half.x) &
                                 (minimum(a.y, b.y) < half.y) & (maximum(a.y, b.y) > -half.y);
        if (any(is_there)) visit(is_there, a, b);
      }
    }
  }
}

// The nearest ridge to one half of a capsule's axis, seen from its centre.
template <typename V>
struct NearRidge {
  V rank, length;  // rank: length, or less than any length below the ground
  Vec3<V> normal;  // of length 1, from the ridge to the axis
  Vec3<V> near;    // on the axis
};

// The sides of a capsule: one slot for each half of the axis. The ends have their own.
template <typename V>
RLGPU_RARE void capsule_ridges(const Tables<Real<V>>& t, Work<V>& w, int slot, Vec3<V> center,
                               Vec3<V> half, const Real<V>* size, Real<V> margin) {
  using R = Real<V>;
  w.active[slot] = w.active[slot + 1] = Mask<V>{};
  const Grid<V> grid(t);
  const V around = splat<V>(size[0] + margin);
  Bounds<V> bounds{center, {magnitude(half.x), magnitude(half.y), magnitude(half.z)}, {}};
  bounds.half = bounds.half + Vec3<V>{around, around, around};
  bounds.is_near = center.z - bounds.half.z < grid.top(t, t.terrain_crest_tops, center.x, center.y);
  if (!any(bounds.is_near)) return;
  const V none = splat<V>(R(1e9)), one = splat<V>(1);
  NearRidge<V> found[2];
  for (NearRidge<V>& f : found) f = NearRidge<V>{none, none, Vec3<V>{}, Vec3<V>{}};
  const V hh = dot(half, half);
  const auto visit = [&](Mask<V> is_there, Vec3<V> a, Vec3<V> b) {
    // The nearest points of two segments; parallel ones are left to the ends.
    const Vec3<V> d = b - a;
    const V dd = dot(d, d), hd = dot(half, d), ha = dot(half, a), da = dot(d, a);
    const V det = hh * dd - hd * hd;
    is_there = is_there & (det > R(1e-6) * hh * dd);
    const V crossing = (ha * dd - hd * da) / select<V>(is_there, det, one);
    const V u = clamp((clamp(crossing, V(-one), one) * hd - da) / dd, V{}, one);
    const V s = (ha + u * hd) / hh;
    const Vec3<V> on_axis = s * half, apart = on_axis - (a + u * d);
    const V length = square_root(dot(apart, apart));
    // Only an axis that is lower than the ridge can be in the ground there.
    Mask<V> is_below = is_there & (apart.z < V{});
    if (any(is_below)) {
      const Vec3<V> place = center + on_axis;
      is_below = is_below & (grid.beyond_x(place.x) < V{}) & (grid.beyond_y(place.y) < V{}) &
                 (place.z < grid.surface(place.x, place.y));
    }
    const V rank = select<V>(is_below, length - R(1e6), length);
    const V scale = reciprocal(maximum(length, splat<V>(R(1e-9))));
    const Vec3<V> normal = select<V>(is_below, -scale, scale) * apart;
    for (int k = 0; k < 2; ++k) {
      const Mask<V> is_half = k == 0 ? (s >= V{}) & (s < one) : (s < V{}) & (s > -one);
      const Mask<V> nearer = is_there & is_half & (rank < found[k].rank);
      found[k].rank = select<V>(nearer, rank, found[k].rank);
      found[k].length = select<V>(nearer, length, found[k].length);
      found[k].normal = select(nearer, normal, found[k].normal);
      found[k].near = select(nearer, on_axis, found[k].near);
    }
  };
  visit_ridges(t, grid, bounds, visit);
  for (int k = 0; k < 2; ++k) {
    const NearRidge<V>& f = found[k];
    const V distance = select<V>(f.rank < V{}, -f.length, f.length) - size[0];
    if (!begin_contact<V>(w, slot + k, distance < splat<V>(margin), distance)) continue;
    const Vec3<V> up{V{}, V{}, one};
    const Vec3<V> normal = select(f.length < R(1e-9), up, f.normal);
    w.contacts[slot + k].point = center + f.near - (R(0.5) * distance + size[0]) * normal;
    w.contacts[slot + k].frame = frame_of(normal);
  }
}

// The point of a ridge that is deepest in one quadrant of a box, in the box's axes.
template <typename V>
struct DeepPoint {
  V rank, depth;
  Vec3<V> point, normal;  // normal: out of the ground, through the nearest face
};

template <typename V>
RLGPU_HD V entry(Vec3<V> v, int k) {
  return k == 0 ? v.x : k == 1 ? v.y : v.z;
}

// What part of a ridge is inside a box, and the face through which it leaves the box.
template <typename V>
struct Piercing {
  Mask<V> is_inside;
  Vec3<V> ends[2];  // of the part
  V depths[2];      // of the ends, from the face
  Vec3<V> normal;

  // up is the world's z axis in the box's axes.
  RLGPU_HD Piercing(Vec3<V> a, Vec3<V> b, const Real<V>* size, Real<V> margin, Vec3<V> up) {
    using R = Real<V>;
    const V one = splat<V>(1), tiny = splat<V>(R(1e-12));
    V from{}, to = one;
    for (int k = 0; k < 3; ++k) {
      const V change = entry(b, k) - entry(a, k), reach = splat<V>(size[k] + margin);
      const V inverse = reciprocal(select<V>(magnitude(change) < tiny, tiny, change));
      const V enters = (-reach - entry(a, k)) * inverse, leaves = (reach - entry(a, k)) * inverse;
      from = maximum(from, minimum(enters, leaves)), to = minimum(to, maximum(enters, leaves));
    }
    is_inside = from <= to;
    ends[0] = a + from * (b - a), ends[1] = a + to * (b - a);
    normal.x = normal.y = normal.z = depths[0] = depths[1] = V{};
    V least = splat<V>(R(1e9));
    for (int face = 0; face < 6; ++face) {
      // The lower face along each axis, or the upper one if it is a side of the box, not its top.
      const int k = face / 2;
      const V z = entry(up, k), inwards = select<V>(z < V{}, -one, one);
      const V sign = face % 2 == 0 ? inwards : -inwards;
      const V first = size[k] + sign * entry(ends[0], k), last = size[k] + sign * entry(ends[1], k);
      // A ridge comes from below: of two faces, the one that is steeper must be nearer to it.
      const V steepness = reciprocal(maximum(magnitude(z), splat<V>(R(0.25))));
      const V way = maximum(first, last) * steepness;
      Mask<V> nearer = way < least;
      if (face % 2 == 1) nearer = nearer & (magnitude(z) < R(0.5));
      least = select<V>(nearer, way, least);
      depths[0] = select<V>(nearer, first, depths[0]);
      depths[1] = select<V>(nearer, last, depths[1]);
      const V along[3] = {k == 0 ? sign : V{}, k == 1 ? sign : V{}, k == 2 ? sign : V{}};
      normal = select(nearer, Vec3<V>{along[0], along[1], along[2]}, normal);
    }
  }
};

// The faces of a box: one slot for each quadrant about its most upright axis. The corners have
// their own.
template <typename V>
RLGPU_RARE void box_ridges(const Tables<Real<V>>& t, Work<V>& w, int slot, const Mat3<V>& box,
                           Vec3<V> center, const Real<V>* size, Real<V> margin) {
  using R = Real<V>;
  for (int k = 0; k < 4; ++k) w.active[slot + k] = Mask<V>{};
  const Vec3<V> up = box.z, steep{magnitude(up.x), magnitude(up.y), magnitude(up.z)};
  const Grid<V> grid(t);
  const auto extent = [&](const Vec3<V>& row) {
    return magnitude(row.x) * size[0] + magnitude(row.y) * size[1] + magnitude(row.z) * size[2] +
           margin;
  };
  Bounds<V> bounds{center, {extent(box.x), extent(box.y), extent(box.z)}, {}};
  bounds.is_near = center.z - bounds.half.z < grid.top(t, t.terrain_crest_tops, center.x, center.y);
  if (!any(bounds.is_near)) return;
  const Mask<V> is_x = (steep.x > steep.y) & (steep.x > steep.z);
  const Mask<V> is_z = (steep.z >= steep.x) & (steep.z >= steep.y);
  const V none = splat<V>(R(-1e9));
  DeepPoint<V> found[4];
  for (DeepPoint<V>& f : found) f = DeepPoint<V>{none, none, Vec3<V>{}, Vec3<V>{}};
  const auto visit = [&](Mask<V> is_there, Vec3<V> a, Vec3<V> b) {
    const Piercing<V> part(transposed_times(box, a), transposed_times(box, b), size, margin, up);
    is_there = is_there & part.is_inside;
    if (!any(is_there)) return;
    for (int end = 0; end < 2; ++end) {
      const Vec3<V> point = part.ends[end];
      const V one_side = select<V>(is_x, point.y, point.x);
      const V other_side = select<V>(is_z, point.y, point.z);
      // Of points that are about as deep, the outer ones hold the box better.
      const V rank = part.depths[end] + R(0.01) * (magnitude(one_side) + magnitude(other_side));
      for (int k = 0; k < 4; ++k) {
        const Mask<V> is_own =
            ((k & 1 ? one_side : -one_side) >= V{}) & ((k & 2 ? other_side : -other_side) >= V{});
        const Mask<V> deeper = is_there & is_own & (rank > found[k].rank);
        found[k].rank = select<V>(deeper, rank, found[k].rank);
        found[k].depth = select<V>(deeper, part.depths[end], found[k].depth);
        found[k].point = select(deeper, point, found[k].point);
        found[k].normal = select(deeper, part.normal, found[k].normal);
      }
    }
  };
  visit_ridges(t, grid, bounds, visit);
  for (int k = 0; k < 4; ++k) {
    const V distance = -found[k].depth;
    if (!begin_contact<V>(w, slot + k, distance < splat<V>(margin), distance)) continue;
    const Vec3<V> normal = box * found[k].normal;
    w.contacts[slot + k].point = center + box * found[k].point + (R(0.5) * distance) * normal;
    w.contacts[slot + k].frame = frame_of(normal);
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
