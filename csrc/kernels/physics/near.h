// Where geoms are, and which of them may be near each other.
#pragma once

#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Centres and axes of the geoms that can collide.
template <typename V, typename Team>
RLGPU_STAGE void geom_poses(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int g = team.first(); g < t.num_geoms; g += team.step()) {
    const int b = t.geom_body[g];
    w.geom_center[g] = point_on(w, b, splat3<V>(t.geom_pos + 3 * g));
    w.geom_frame[g] = w.xmat[b] * splat9<V>(t.geom_mat + 9 * g);
  }
}

// The worlds in which the geoms of a pair may touch: a test by spheres around them.
template <typename V>
RLGPU_STAGE Mask<V> may_touch(const Tables<Real<V>>& t, const Work<V>& w, int pair) {
  const int a = t.pair_geom1[pair], kind = t.pair_near[pair];
  const Vec3<V> apart = w.geom_center[t.pair_geom2[pair]] - w.geom_center[a];
  const V reach = splat<V>(t.pair_reach[pair]);
  if (kind == kOverPlane) return !(dot(apart, column(w.geom_frame[a], 2)) > reach);
  if (kind == kCentres) return !(dot(apart, apart) > reach * reach);
  return V{} < splat<V>(1);
}

// Where boxes around two geoms are farther apart than the margin. Products of axes are not scaled
// to length 1, which only makes the test more careful. Source: S. Gottschalk, M. Lin, D. Manocha,
// OBBTree: a hierarchical structure for rapid interference detection, 1996.
template <typename V>
RLGPU_RARE Mask<V> boxes_apart(const Tables<Real<V>>& t, const Mat3<V>& turn, Vec3<V> offset, int a,
                               int b, V margin) {
  using R = Real<V>;
  const R *box_a = t.geom_box + 6 * a, *box_b = t.geom_box + 6 * b;
  const Vec3<V> apart = offset + turn * splat3<V>(box_b) - splat3<V>(box_a);
  const V r[3][3] = {{turn.x.x, turn.x.y, turn.x.z},
                     {turn.y.x, turn.y.y, turn.y.z},
                     {turn.z.x, turn.z.y, turn.z.z}};
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

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
