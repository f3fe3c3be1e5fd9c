// Convex shapes by their farthest points, and the difference of a pair of them.
//
// The one idea: a pair is looked at in the axes of its first shape, about that shape's centre, so
// numbers stay small and single precision exact. A sphere is a point and a capsule a segment, each
// with a radius that is added once the distance is known, as in MuJoCo. Hulls of few vertices look
// at all of them; larger ones keep a table over directions: for each cell of a cube map, all
// vertices that can be the farthest anywhere in it (rlgpu/sim/mujoco/fused/hulls.py).
// Source: MuJoCo, engine_collision_convex.c, for the shapes.
#pragma once

#include "work.h"

namespace rlgpu::physics {

enum ShapeKind : int { kPoint, kSegment, kEllipsoid, kCylinder, kBlock, kHull, kPrism };

constexpr int kCells = 16;  // cells of a hull's table along an edge of the cube

inline namespace RLGPU_PHYSICS_BUILD {

// The lane of a value, to read or write.
template <typename V>
RLGPU_HD Real<V>& lane_of(V& v, int lane) {
  return reinterpret_cast<Real<V>*>(&v)[lane];
}
template <typename V>
RLGPU_HD Real<V> lane_of(const V& v, int lane) {
  return reinterpret_cast<const Real<V>*>(&v)[lane];
}

template <typename V>
RLGPU_HD Vec3<Real<V>> lane_of(const Vec3<V>& v, int lane) {
  return {lane_of(v.x, lane), lane_of(v.y, lane), lane_of(v.z, lane)};
}
template <typename V>
RLGPU_HD void set_lane(Vec3<V>& v, int lane, Vec3<Real<V>> x) {
  lane_of(v.x, lane) = x.x, lane_of(v.y, lane) = x.y, lane_of(v.z, lane) = x.z;
}

// Size with the sign of a direction; plus where that is zero.
template <typename V>
RLGPU_HD V towards(V direction, Real<V> size) {
  return select<V>(direction < V{}, splat<V>(-size), splat<V>(size));
}

// Vertices are padded to multiples of four with copies of the first. Corners of a box are numbered
// by their signs, +x 1, +y 2, +z 4, and lie in its tables in this order.
template <typename R>
struct Hull {
  const R *x, *y, *z;
  int count;
  const int32_t* cells;  // first candidate of each cell; null if none is kept
  const R* points;       // of candidates: x, y, z and the vertex
};

template <typename V>
struct Shape {
  int kind;
  const Real<V>* size;
  Hull<Real<V>> hull;                // of a block or hull
  const Vec3<V>* corners = nullptr;  // of a prism of a height field: three above, three below
};

template <typename V>
RLGPU_STAGE Shape<V> shape_of(const Tables<Real<V>>& t, int geom) {
  Shape<V> s{t.geom_shape[geom], t.geom_size + 3 * geom, {}};
  const int hull = t.geom_hull[geom];
  if (hull < 0) return s;
  const int first = t.hull_vertex_adr[hull], cells = t.hull_cell_adr[hull];
  s.hull = {t.hull_x + first,
            t.hull_y + first,
            t.hull_z + first,
            t.hull_vertex_adr[hull + 1] - first,
            cells < 0 ? nullptr : t.cell_adr + cells,
            t.cell_point};
  return s;
}

// Whether a shape's surface is curved but for a core's.
template <typename V>
RLGPU_HD bool is_curved(const Shape<V>& s) {
  return s.kind == kEllipsoid || s.kind == kCylinder;
}

// The radius around a sphere's or capsule's core.
template <typename V>
RLGPU_HD Real<V> core_radius(const Shape<V>& s) {
  return s.kind == kPoint || s.kind == kSegment ? s.size[0] : Real<V>(0);
}

// A point of a shape, and the number of the vertex that it is.
template <typename V>
struct Corner {
  Vec3<V> at;
  V vertex;
};

template <typename V>
RLGPU_STAGE Corner<V> vertex_of(const Hull<Real<V>>& h, V vertex) {
  return {{gather<V>(h.x, V{}, 0, vertex), gather<V>(h.y, V{}, 0, vertex),
           gather<V>(h.z, V{}, 0, vertex)},
          vertex};
}

// All lanes look at all vertices. Four running maxima, so that none waits for the last comparison.
template <typename V>
RLGPU_STAGE V farthest_of_all(const Hull<Real<V>>& h, Vec3<V> d) {
  using R = Real<V>;
  V best[4], at[4];
  for (int k = 0; k < 4; ++k) best[k] = splat<V>(R(-1e30)), at[k] = V{};
  for (int i = 0; i < h.count; i += 4)
    for (int k = 0; k < 4; ++k) {
      const V along = h.x[i + k] * d.x + h.y[i + k] * d.y + h.z[i + k] * d.z;
      const Mask<V> better = along > best[k];
      best[k] = select<V>(better, along, best[k]);
      at[k] = select<V>(better, splat<V>(R(i + k)), at[k]);
    }
  for (int k = 1; k < 4; ++k) {
    const Mask<V> better = best[k] > best[0];
    best[0] = select<V>(better, best[k], best[0]);
    at[0] = select<V>(better, at[k], at[0]);
  }
  return at[0];
}

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
RLGPU_STAGE Corner<V> farthest_in_cells(const Hull<Real<V>>& h, Vec3<V> d, Mask<V> wanted) {
  using R = Real<V>;
  const V cells = cell_of(d);
  const V is_wanted = keep<V>(wanted, splat<V>(1));
  Corner<V> found{};
  for (int lane = 0; lane < Lanes<V>::kWidth; ++lane) {
    if (lane_of(is_wanted, lane) == R(0)) continue;
    const int32_t* const cell = h.cells + static_cast<int>(lane_of(cells, lane));
    const Vec3<R> way = lane_of(d, lane);
    const R *best = h.points + 4 * cell[0], *const end = h.points + 4 * cell[1];
    R most = way.x * best[0] + way.y * best[1] + way.z * best[2];
    for (const R* p = best + 4; p < end; p += 4) {
      const R along = way.x * p[0] + way.y * p[1] + way.z * p[2];
      if (along > most) most = along, best = p;
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
  const R* const size = s.size;
  switch (s.kind) {
    case kSegment:
      return {{V{}, V{}, towards(d.z, size[1])}, keep<V>(d.z < V{}, splat<V>(1))};
    case kEllipsoid: {
      const Vec3<V> stretched{size[0] * d.x, size[1] * d.y, size[2] * d.z};
      const V inverse = reciprocal(maximum(length(stretched), tiny));
      return {{size[0] * inverse * stretched.x, size[1] * inverse * stretched.y,
               size[2] * inverse * stretched.z},
              V{}};
    }
    case kCylinder: {
      const V scale = size[0] / maximum(square_root(V(d.x * d.x + d.y * d.y)), tiny);
      return {{scale * d.x, scale * d.y, towards(d.z, size[1])}, keep<V>(d.z < V{}, splat<V>(1))};
    }
    case kBlock: {
      const V one = splat<V>(1);
      const V vertex = select<V>(d.x < V{}, V{}, one) + select<V>(d.y < V{}, V{}, splat<V>(2)) +
                       select<V>(d.z < V{}, V{}, splat<V>(4));
      return {{towards(d.x, size[0]), towards(d.y, size[1]), towards(d.z, size[2])}, vertex};
    }
    case kHull:
      return s.hull.cells == nullptr ? vertex_of<V>(s.hull, farthest_of_all<V>(s.hull, d))
                                     : farthest_in_cells<V>(s.hull, d, wanted);
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
