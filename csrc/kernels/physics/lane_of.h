// Single lanes of vectors: to read, to write, and to loop over.
#pragma once

#include "spatial.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The lanes of a mask: for (const int lane : lanes_in<V>(mask)).
class LanesIn {
 public:
  RLGPU_HD explicit LanesIn(uint32_t bits) : left_(bits) {}

  RLGPU_HD LanesIn begin() const { return *this; }
  RLGPU_HD LanesIn end() const { return LanesIn(0); }
  RLGPU_HD bool operator!=(const LanesIn& other) const { return left_ != other.left_; }
  RLGPU_HD int operator*() const {
#if defined(__CUDA_ARCH__)
    return __ffs(static_cast<int>(left_)) - 1;
#else
    return __builtin_ctz(left_);
#endif
  }
  RLGPU_HD LanesIn& operator++() {
    left_ &= left_ - 1;
    return *this;
  }

 private:
  uint32_t left_;
};

template <typename V>
RLGPU_HD LanesIn lanes_in(Mask<V> mask) {
  return LanesIn(bits_of(mask));
}

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
