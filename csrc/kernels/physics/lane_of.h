// One lane of a vector, to read or write.
#pragma once

#include "spatial.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

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

template <typename V>
RLGPU_HD Mat3<Real<V>> lane_of(const Mat3<V>& m, int lane) {
  return {lane_of(m.x, lane), lane_of(m.y, lane), lane_of(m.z, lane)};
}
template <typename V>
RLGPU_HD void set_lane(Mat3<V>& m, int lane, const Mat3<Real<V>>& x) {
  set_lane(m.x, lane, x.x), set_lane(m.y, lane, x.y), set_lane(m.z, lane, x.z);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
