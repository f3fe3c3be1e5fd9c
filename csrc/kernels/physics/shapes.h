// Convex shapes by their farthest points, and the difference of a pair of them.
//
// The one idea: a pair is looked at in the axes of its first shape, about that shape's centre, so
// numbers stay small and single precision exact. A sphere is a point and a capsule a segment, each
// with a radius that is added once the distance is known, as in MuJoCo. Hulls keep a table over
// directions: for each cell of a cube map, all vertices that can be the farthest anywhere in it
// (rlgpu/sim/mujoco/fused/hulls.py). The shapes of a vector are of one kind, of any sizes.
// Source: MuJoCo, engine_collision_convex.c, for the shapes.
#pragma once

#include "lane_of.h"
#include "work.h"

namespace rlgpu::physics {

enum ShapeKind : int { kPoint, kSegment, kEllipsoid, kCylinder, kBlock, kHull, kPrism };

constexpr int kCells = 16;  // cells of a hull's table along an edge of the cube

inline namespace RLGPU_PHYSICS_BUILD {

// Size with the sign of a direction; plus where that is zero.
template <typename V>
RLGPU_HD V towards(V direction, V size) {
  return select<V>(direction < V{}, -size, size);
}

// A shape in each lane. Corners of a box are numbered by their signs, +x 1, +y 2, +z 4, and lie in
// its tables in this order.
template <typename V>
struct Shape {
  int kind;
  Vec3<V> size;
  const int32_t* cells[Lanes<V>::kWidth] = {};  // of a hull: each cell's first candidate
  const Real<V>* points = nullptr;              // of candidates: x, y, z and the vertex
  const Vec3<V>* corners = nullptr;  // of a prism of a height field: three above, three below

  // Makes a lane's shape that of a geom.
  RLGPU_STAGE void set(const Tables<Real<V>>& t, int lane, int geom) {
    kind = t.geom_shape[geom], points = t.cell_point;
    set_lane(size, lane, splat3<Real<V>>(t.geom_size + 3 * geom));
    if (kind == kHull) cells[lane] = t.cell_adr + t.hull_cell_adr[t.geom_hull[geom]];
  }
};

// The same geom in all lanes.
template <typename V>
RLGPU_STAGE Shape<V> shape_of(const Tables<Real<V>>& t, int geom) {
  Shape<V> s{t.geom_shape[geom], splat3<V>(t.geom_size + 3 * geom)};
  if (s.kind != kHull) return s;
  s.points = t.cell_point;
  for (auto& cells : s.cells) cells = t.cell_adr + t.hull_cell_adr[t.geom_hull[geom]];
  return s;
}

// Whether a shape's surface is curved but for a core's.
template <typename V>
RLGPU_HD bool is_curved(const Shape<V>& s) {
  return s.kind == kEllipsoid || s.kind == kCylinder;
}

// The radius around a sphere's or capsule's core.
template <typename V>
RLGPU_HD V core_radius(const Shape<V>& s) {
  return s.kind == kPoint || s.kind == kSegment ? s.size.x : V{};
}

// A point of a shape, and the number of the vertex that it is.
template <typename V>
struct Corner {
  Vec3<V> at;
  V vertex;
};

// The cell of each lane's direction.
template <typename V>
RLGPU_STAGE V cell_of(Vec3<V> d) {
  using R = Real<V>;
  const V x = magnitude(d.x), y = magnitude(d.y), z = magnitude(d.z);
  const Mask<V> use_x = (x >= y) & (x >= z), use_y = !use_x & (y >= z);
  const V major = select<V>(use_x, d.x, select<V>(use_y, d.y, d.z));
  const V u = select<V>(use_x, d.y, d.x), v = select<V>(use_x | use_y, d.z, d.y);
  const V half = splat<V>(R(0.5) * kCells), top = splat<V>(kCells - R(0.5));
  const V scale = half / maximum(magnitude(major), splat<V>(R(1e-20)));
  const V iu = whole(clamp(V(u * scale + half), V{}, top));
  const V iv = whole(clamp(V(v * scale + half), V{}, top));
  const V axis = select<V>(use_x, V{}, select<V>(use_y, splat<V>(2), splat<V>(4)));
  const V side = axis + keep<V>(major < V{}, splat<V>(1));
  return (side * R(kCells) + iu) * R(kCells) + iv;
}

// Few candidates are left, but other ones in each lane: one lane after the other, of those wanted.
template <typename V>
RLGPU_STAGE Corner<V> farthest_in_cells(const Shape<V>& s, Vec3<V> d, Mask<V> wanted) {
  using R = Real<V>;
  const V cells = cell_of(d);
  Corner<V> found{};
  const int32_t* cell_at[Lanes<V>::kWidth];
  for (const int lane : lanes_in<V>(wanted)) {
    cell_at[lane] = s.cells[lane] + static_cast<int>(lane_of(cells, lane));
    prefetch(s.points + 4 * cell_at[lane][0]);
  }
  for (const int lane : lanes_in<V>(wanted)) {
    const int32_t* const cell = cell_at[lane];
    const Vec3<R> way = lane_of(d, lane);
    const R *best = s.points + 4 * cell[0], *const end = s.points + 4 * cell[1];
    R most = way.x * best[0] + way.y * best[1] + way.z * best[2];
    // Selected without a branch, which would be guessed wrong.
    for (const R* p = best + 4; p < end; p += 4) {
      const R along = way.x * p[0] + way.y * p[1] + way.z * p[2];
      const bool better = along > most;
      most = better ? along : most, best = better ? p : best;
    }
    set_lane(found.at, lane, Vec3<R>{best[0], best[1], best[2]});
    lane_of(found.vertex, lane) = best[3];
  }
  return found;
}

template <typename V>
RLGPU_RARE Corner<V> farthest_of_prism(const Vec3<V>* corners, Vec3<V> d) {
  using R = Real<V>;
  const Mask<V> is_below = d.z < V{};
  Corner<V> best{select(is_below, corners[3], corners[0]), keep<V>(is_below, splat<V>(3))};
  V most = dot(best.at, d);
  for (int k = 1; k < 3; ++k) {
    const Vec3<V> at = select(is_below, corners[3 + k], corners[k]);
    const V along = dot(at, d);
    const Mask<V> better = along > most;
    most = select<V>(better, along, most), best.at = select(better, at, best.at);
    best.vertex =
        select<V>(better, select<V>(is_below, splat<V>(R(3 + k)), splat<V>(R(k))), best.vertex);
  }
  return best;
}

// The farthest point of a shape along a direction, both in its own axes, in the worlds that want
// it.
template <typename V>
RLGPU_STAGE Corner<V> farthest(const Shape<V>& s, Vec3<V> d, Mask<V> wanted) {
  using R = Real<V>;
  const V tiny = splat<V>(R(1e-20));
  switch (s.kind) {
    case kSegment:
      return {{V{}, V{}, towards(d.z, s.size.y)}, keep<V>(d.z < V{}, splat<V>(1))};
    case kEllipsoid: {
      const Vec3<V> stretched{s.size.x * d.x, s.size.y * d.y, s.size.z * d.z};
      const V inverse = reciprocal(maximum(length(stretched), tiny));
      return {{s.size.x * inverse * stretched.x, s.size.y * inverse * stretched.y,
               s.size.z * inverse * stretched.z},
              V{}};
    }
    case kCylinder: {
      const V scale = s.size.x / maximum(square_root(V(d.x * d.x + d.y * d.y)), tiny);
      return {{scale * d.x, scale * d.y, towards(d.z, s.size.y)}, keep<V>(d.z < V{}, splat<V>(1))};
    }
    case kBlock: {
      const V one = splat<V>(1);
      const V vertex = select<V>(d.x < V{}, V{}, one) + select<V>(d.y < V{}, V{}, splat<V>(2)) +
                       select<V>(d.z < V{}, V{}, splat<V>(4));
      return {{towards(d.x, s.size.x), towards(d.y, s.size.y), towards(d.z, s.size.z)}, vertex};
    }
    case kHull:
      return farthest_in_cells<V>(s, d, wanted);
    case kPrism:
      return farthest_of_prism(s.corners, d);
    default:
      return Corner<V>{};
  }
}

// A point of the difference, the point of the first shape behind it, and the vertices of both.
template <typename V>
struct Point {
  Vec3<V> w, a;
  V vertex_a, vertex_b;
};

template <typename V>
RLGPU_HD Point<V> select(Mask<V> mask, const Point<V>& p, const Point<V>& q) {
  return {select(mask, p.w, q.w), select(mask, p.a, q.a), select<V>(mask, p.vertex_a, q.vertex_a),
          select<V>(mask, p.vertex_b, q.vertex_b)};
}

template <typename V>
struct ConvexPair {
  Shape<V> a, b;
  Mat3<V> turn;    // from b's axes to a's
  Vec3<V> offset;  // b's centre

  // The farthest point of the difference a - b, in the worlds that want it.
  RLGPU_STAGE Point<V> support(Vec3<V> d, Mask<V> wanted) const {
    const Corner<V> on_a = farthest(a, d, wanted),
                    on_b = farthest(b, transposed_times(turn, -d), wanted);
    return {on_a.at - (offset + turn * on_b.at), on_a.at, on_a.vertex, on_b.vertex};
  }
};

// A contact in the pair's axes: distance (negative in penetration), unit normal from a to b, and
// the point midway between the surfaces.
template <typename V>
struct Touch {
  V distance;
  Vec3<V> normal, point;
};

template <typename V>
RLGPU_HD Touch<V> select(Mask<V> mask, const Touch<V>& p, const Touch<V>& q) {
  return {select<V>(mask, p.distance, q.distance), select(mask, p.normal, q.normal),
          select(mask, p.point, q.point)};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
