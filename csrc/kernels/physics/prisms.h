// Contacts of a height field with cylinders, ellipsoids and hulls: one for each triangle of the
// ground that touches, as a prism from the triangle down to the field's base.
//
// The one idea: each world of a group has its own prisms, those below the geom's box, so a prism is
// a shape whose corners differ between lanes. Contacts fill the slots in the order of the prisms.
// Source: MuJoCo, mjc_ConvexHField.
#pragma once

#include "convex.h"
#include "terrain.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The cells of the field below a geom's box, and the height of the geom's lowest point.
template <typename V>
struct Cells {
  V first_column, end_column, first_row, end_row, lowest;
};

template <typename V>
RLGPU_RARE Cells<V> cells_below(const Grid<V>& grid, const Shape<V>& shape, const Mat3<V>& frame,
                                Vec3<V> center, Mask<V> near) {
  using R = Real<V>;
  const auto reach = [&](int axis, R sign) {
    const Vec3<V> way = splat<V>(sign) * unit_axis<V>(axis);
    const Vec3<V> at = farthest(shape, transposed_times(frame, way), near).at;
    return along_axis(center + frame * at, axis);
  };
  const auto place = [](V at, R origin, R step, int count) {
    return clamp((at - splat<V>(origin)) * (R(1) / step), V{}, splat<V>(R(count - 1)));
  };
  const auto next_whole = [](V x) { return whole(x) + keep<V>(whole(x) < x, splat<V>(1)); };
  const auto x = [&](R sign) { return place(reach(0, sign), grid.x, grid.step_x, grid.columns); };
  const auto y = [&](R sign) { return place(reach(1, sign), grid.y, grid.step_y, grid.rows); };
  return {whole(x(R(-1))), next_whole(x(R(1))), whole(y(R(-1))), next_whole(y(R(1))),
          reach(2, R(-1))};
}

// Appends each world's contact to its slots.
template <typename V>
RLGPU_RARE void append_contact(Work<V>& w, int slot, int slots, const Touch<V>& touch,
                               Mask<V> where, V& count) {
  using R = Real<V>;
  const Mat3<V> frame = frame_of(touch.normal);
  for (const int lane : lanes_in<V>(where)) {
    const int k = static_cast<int>(lane_of(count, lane));
    if (k == slots) continue;
    put_contact(w, slot + k, lane, lane_of(touch.distance, lane), lane_of(touch.point, lane),
                lane_of(frame, lane));
    lane_of(count, lane) = R(k + 1);
  }
}

// The contact of one prism. top: the triangle, seen from the geom's centre; base: how low it ends.
template <typename V>
RLGPU_RARE Deepest<V> collide_prism(const Shape<V>& shape, const Mat3<V>& frame,
                                    const Vec3<V> (&top)[3], V base, V margin, Mask<V> live) {
  using R = Real<V>;
  const V third = splat<V>(R(1) / R(3));
  Vec3<V> middle = third * (top[0] + top[1] + top[2]);
  middle.z = R(0.5) * (middle.z + base);
  Vec3<V> corners[6];
  for (int k = 0; k < 3; ++k) {
    corners[k] = top[k] - middle, corners[3 + k] = corners[k];
    corners[3 + k].z = base - middle.z;
  }
  Shape<V> prism{kPrism, {}};
  prism.corners = corners;
  // A prism is as deep as the height field, so only its top is met.
  const V never = splat<V>(R(1e9));
  Deepest<V> d = deepest_of(ConvexPair<V>{prism, shape, frame, -middle}, margin, never, live);
  d.touch.point = d.touch.point + middle;
  return d;
}

template <typename V>
RLGPU_RARE void terrain_convex(const Tables<Real<V>>& t, Work<V>& w, int pair, Mask<V> near) {
  using R = Real<V>;
  const int geom = t.pair_geom2[pair], slot = t.pair_slot[pair];
  const int slots = t.pair_slot[pair + 1] - slot;
  const Grid<V> grid(t);
  const Vec3<V> center = w.geom_center[geom];
  const Mat3<V>& frame = w.geom_frame[geom];
  const R reach = t.pair_reach[pair];
  const V margin = splat<V>(t.pair_detection[pair]);
  for (int k = 0; k < slots; ++k) w.active[slot + k] = Mask<V>{};
  near = near & (center.z - reach < grid.top(t, t.terrain_tops, center.x, center.y));
  if (!any(near)) return;
  const Shape<V> shape = shape_of<V>(t, geom);
  const Cells<V> cells = cells_below(grid, shape, frame, center, near);
  const R step = grid.step_x > grid.step_y ? grid.step_x : grid.step_y;
  const V lowest = cells.lowest - margin, deep = center.z - R(4) * (reach + step);
  const auto corner = [&](V column, V row) {
    return Vec3<V>{grid.x + grid.step_x * column - center.x, grid.y + grid.step_y * row - center.y,
                   grid.height(column, row) - center.z};
  };
  V count{};
  for (int j = 0; j < grid.rows; ++j) {
    const V row = cells.first_row + R(j);
    const Mask<V> has_row = near & (row < cells.end_row);
    if (!any(has_row)) break;
    for (int i = 0; i < grid.columns; ++i) {
      const V column = cells.first_column + R(i);
      const Mask<V> has_cell = has_row & (column < cells.end_column);
      if (!any(has_cell)) break;
      const Vec3<V> low = corner(column, row), high = corner(column + R(1), row + R(1));
      for (int k = 0; k < 2; ++k) {
        const V side = splat<V>(R(k));
        const Vec3<V> top[3] = {low, high, corner(column + side, row + (R(1) - side))};
        const V highest = maximum(top[0].z, maximum(top[1].z, top[2].z)) + center.z;
        const Mask<V> live = has_cell & (highest >= lowest);
        if (!any(live)) continue;
        // Far below, so that no contact is there, or where the field ends.
        const V bottom = minimum(top[0].z, minimum(top[1].z, top[2].z)) + center.z - step;
        const V base = maximum(splat<V>(t.terrain_frame[4]), minimum(deep, bottom)) - center.z;
        Deepest<V> d = collide_prism(shape, frame, top, base, margin, live);
        if (!any(d.active)) continue;
        d.touch.point = d.touch.point + center;
        append_contact(w, slot, slots, d.touch, d.active, count);
      }
    }
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
