// Contacts with a height field: of balls, the ends of capsules and the corners of boxes.
//
// The one idea: a ball touches the ground where the surface is nearest to its centre, so a contact
// is one point on one triangle, edge or corner of the few cells below the ball. MuJoCo collides
// prisms instead, and finds several contacts along edges; both agree on faces. A cell has two
// triangles, cut from its lowest to its highest corner as MuJoCo cuts them. The ground ends at the
// field's four sides in walls, which have no lower end.
#pragma once

#include "contact.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The surface as seen from a point, which is the origin here.
template <typename V>
struct Surface {
  V squared;     // distance of the nearest point
  Vec3<V> near;  // that point
  V above;       // height of the surface straight above or below; very low outside the field
};

// Takes a point of the surface if it is nearer than those before.
template <typename V>
RLGPU_HD void take_nearer(Surface<V>& s, Mask<V> is_there, Vec3<V> point) {
  const V squared = dot(point, point);
  const Mask<V> nearer = is_there & (squared < s.squared);
  s.squared = select<V>(nearer, squared, s.squared);
  s.near = select(nearer, point, s.near);
}

template <typename V>
RLGPU_HD void take_edge(Surface<V>& s, Vec3<V> a, Vec3<V> b) {
  const Vec3<V> edge = b - a;
  const V along = clamp(-dot(a, edge) / dot(edge, edge), V{}, splat<V>(1));
  take_nearer(s, V{} < splat<V>(1), a + along * edge);
}

// The inside of a triangle whose corners are in counter-clockwise order seen from above.
template <typename V>
RLGPU_HD void take_face(Surface<V>& s, Vec3<V> a, Vec3<V> b, Vec3<V> c) {
  const Vec3<V> ab = b - a, bc = c - b, ca = a - c, normal = cross(ab, bc);
  const V along = dot(a, normal);
  const Vec3<V> foot = (along / dot(normal, normal)) * normal;
  const Mask<V> is_inside = (dot(cross(ab, foot - a), normal) >= V{}) &
                            (dot(cross(bc, foot - b), normal) >= V{}) &
                            (dot(cross(ca, foot - c), normal) >= V{});
  take_nearer(s, is_inside, foot);
  // Triangles overlap a little here, or rounding would leave cracks between them.
  const V crack = Real<V>(-1e-4) * normal.z;
  const Mask<V> is_over = (ab.y * a.x - ab.x * a.y >= crack) & (bc.y * b.x - bc.x * b.y >= crack) &
                          (ca.y * c.x - ca.x * c.y >= crack);
  s.above = select<V>(is_over, along / normal.z, s.above);
}

// The grid of the model's height field.
template <typename V>
struct Grid {
  using R = Real<V>;
  const R* heights;
  int columns, rows;
  R x, y, step_x, step_y;

  RLGPU_HD explicit Grid(const Tables<R>& t)
      : heights(t.terrain_heights),
        columns(t.terrain_columns),
        rows(t.terrain_rows),
        x(t.terrain_frame[0]),
        y(t.terrain_frame[1]),
        step_x(t.terrain_frame[2]),
        step_y(t.terrain_frame[3]) {}

  // Cells along a side with this many samples that a ball of this reach can touch.
  RLGPU_HD int cells(R reach, int count) const {
    const R step = step_x < step_y ? step_x : step_y;
    const int touched = static_cast<int>(R(2) * reach / step) + 2;
    const int most = count - 1 < kMostTerrainCells ? count - 1 : kMostTerrainCells;
    return touched < most ? touched : most;
  }
  // The first column or row of a ball's cells, as a whole number: all of them are in the field.
  RLGPU_HD V first(V place, R origin, R step, R reach, int count, int cells = 1) const {
    const V low = (place - splat<V>(origin + reach)) * (R(1) / step);
    return whole(clamp(low, V{}, splat<V>(R(count - 1 - cells))));
  }
  RLGPU_HD V height(V column, V row) const {
    const V last_x = splat<V>(R(columns - 1)), last_y = splat<V>(R(rows - 1));
    return gather<V>(heights, minimum(row, last_y), columns, minimum(column, last_x));
  }
  // The entry of a table of tops at a place.
  RLGPU_HD V top(const Tables<R>& t, const R* tops, V at_x, V at_y) const {
    const R block = R(kTerrainBlock);
    const V column = first(at_x, x, step_x * block, R(0), t.terrain_top_columns + 1);
    const V row = first(at_y, y, step_y * block, R(0), t.terrain_top_rows + 1);
    return gather<V>(tops, row, t.terrain_top_columns, column);
  }
  // How far a place is beyond the nearer side of the field along x, and along y; negative inside.
  RLGPU_HD V beyond_x(V at_x) const {
    return maximum(splat<V>(x) - at_x, at_x - splat<V>(x + step_x * R(columns - 1)));
  }
  RLGPU_HD V beyond_y(V at_y) const {
    return maximum(splat<V>(y) - at_y, at_y - splat<V>(y + step_y * R(rows - 1)));
  }
  // The height of the triangle at a place; outside the field, at its nearest place.
  RLGPU_HD V surface(V at_x, V at_y) const {
    const V column = first(at_x, x, step_x, R(0), columns),
            row = first(at_y, y, step_y, R(0), rows);
    const V u = clamp((at_x - splat<V>(x)) * (R(1) / step_x) - column, V{}, splat<V>(1));
    const V v = clamp((at_y - splat<V>(y)) * (R(1) / step_y) - row, V{}, splat<V>(1));
    const V low = height(column, row), high = height(column + R(1), row + R(1));
    const V side = select<V>(u > v, height(column + R(1), row), height(column, row + R(1)));
    return low + maximum(u, v) * (side - low) + minimum(u, v) * (high - side);
  }
};

// Takes the point of the nearest side of the field, a wall, if it is nearer than the surface and
// the centre is lower: beside the field, or below its surface. Beside it nothing is below.
template <typename V>
RLGPU_STAGE void take_walls(Surface<V>& s, const Grid<V>& grid, Vec3<V> center, Mask<V>& is_below) {
  using R = Real<V>;
  const Mask<V> is_beside = s.above < R(-1e8);
  if (!any(is_below | is_beside)) return;
  const V least = splat<V>(R(1e-6));  // from a wall, or it would have no normal
  const V beyond_x = grid.beyond_x(center.x), beyond_y = grid.beyond_y(center.y);
  const Mask<V> is_outside = maximum(beyond_x, beyond_y) > least;
  Mask<V> is_lower = is_below;
  if (any(is_beside))
    is_lower = is_lower | (is_beside & (center.z < grid.surface(center.x, center.y)));
  is_below = is_lower & !is_outside;
  // From within to one wall; from outside perhaps to the corner of two.
  const Mask<V> is_x = beyond_x > beyond_y;
  const V within_x = keep<V>(is_x, minimum(beyond_x, V(-least)));
  const V within_y = select<V>(is_x, V{}, minimum(beyond_y, V(-least)));
  const V way_x = select<V>(is_outside, maximum(beyond_x, V{}), within_x);
  const V way_y = select<V>(is_outside, maximum(beyond_y, V{}), within_y);
  const V middle_x = splat<V>(grid.x + R(0.5) * grid.step_x * R(grid.columns - 1));
  const V middle_y = splat<V>(grid.y + R(0.5) * grid.step_y * R(grid.rows - 1));
  take_nearer(s, is_lower,
              Vec3<V>{select<V>(center.x < middle_x, way_x, V(-way_x)),
                      select<V>(center.y < middle_y, way_y, V(-way_y)), V{}});
}

// Fills a slot with the contact of a ball; one of radius 0 is a corner.
template <typename V>
RLGPU_RARE void terrain_sphere(const Tables<Real<V>>& t, Work<V>& w, int slot, Vec3<V> center,
                               Real<V> radius, Real<V> margin) {
  using R = Real<V>;
  const Grid<V> grid(t);
  const R reach = radius + margin;
  w.active[slot] = Mask<V>{};
  if (!any(center.z - reach < grid.top(t, t.terrain_tops, center.x, center.y))) return;
  const int across = grid.cells(reach, grid.columns), along = grid.cells(reach, grid.rows);
  const V column = grid.first(center.x, grid.x, grid.step_x, reach, grid.columns, across);
  const V row = grid.first(center.y, grid.y, grid.step_y, reach, grid.rows, along);
  V heights[(kMostTerrainCells + 1) * (kMostTerrainCells + 1)];
  V highest = splat<V>(R(-1e9));
  for (int j = 0; j <= along; ++j)
    for (int i = 0; i <= across; ++i) {
      const V z = gather<V>(grid.heights, row + R(j), grid.columns, column + R(i));
      heights[j * (kMostTerrainCells + 1) + i] = z;
      highest = maximum(highest, z);
    }
  if (!any(center.z - reach < highest)) return;
  Surface<V> s{splat<V>(R(1e9)), Vec3<V>{}, splat<V>(R(-1e9))};
  const V x0 = splat<V>(grid.x) + grid.step_x * column - center.x;
  const V y0 = splat<V>(grid.y) + grid.step_y * row - center.y;
  for (int j = 0; j < along; ++j)
    for (int i = 0; i < across; ++i) {
      const V* z = heights + j * (kMostTerrainCells + 1) + i;
      const V x = x0 + grid.step_x * R(i), y = y0 + grid.step_y * R(j);
      const V far_x = x + grid.step_x, far_y = y + grid.step_y;
      const Vec3<V> low{x, y, z[0] - center.z}, right{far_x, y, z[1] - center.z};
      const Vec3<V> up{x, far_y, z[kMostTerrainCells + 1] - center.z};
      const Vec3<V> high{far_x, far_y, z[kMostTerrainCells + 2] - center.z};
      take_face(s, low, right, high);
      take_face(s, low, high, up);
      take_edge(s, low, high);
      take_edge(s, low, right);
      take_edge(s, low, up);
      if (i + 1 == across) take_edge(s, right, high);
      if (j + 1 == along) take_edge(s, up, high);
    }
  Mask<V> is_below = s.above > V{};
  take_walls(s, grid, center, is_below);
  const V length = square_root(s.squared);
  const V distance = select<V>(is_below, -length, length) - radius;
  if (!begin_contact<V>(w, slot, distance < splat<V>(margin), distance)) return;
  // From the surface to the centre; straight up where the centre is on it.
  const Mask<V> is_on = length < R(1e-9);
  const V scale = reciprocal(select<V>(is_on, splat<V>(1), select<V>(is_below, length, -length)));
  const Vec3<V> up{V{}, V{}, splat<V>(1)};
  const Vec3<V> normal = select(is_on, up, scale * s.near);
  w.contacts[slot].point = center - (R(0.5) * distance + radius) * normal;
  w.contacts[slot].frame = frame_of(normal);
}

// The corners of a box.
template <typename V>
RLGPU_RARE void terrain_box(const Tables<Real<V>>& t, Work<V>& w, int slot, const Mat3<V>& box,
                            Vec3<V> center, const Real<V>* size, Real<V> margin) {
  for (int corner = 0; corner < 8; ++corner) {
    const Real<V> signed_size[3] = {corner & 1 ? size[0] : -size[0],
                                    corner & 2 ? size[1] : -size[1],
                                    corner & 4 ? size[2] : -size[2]};
    const Vec3<V> at = center + box * splat3<V>(signed_size);
    terrain_sphere(t, w, slot + corner, at, Real<V>(0), margin);
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
