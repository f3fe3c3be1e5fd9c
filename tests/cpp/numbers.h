// Input data for the kernels under test, and the largest error of their results.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/philox.h"
#include "kernels/shuffle.cuh"
#include "memory.h"

using Floats = Vector<float>;

// Repeatable numbers around zero, of magnitude one.
inline Floats numbers(int64_t count, uint32_t seed) {
  Floats result(count);
  for (int64_t i = 0; i < count; ++i) {
    result[i] =
        3.4f * (rlgpu::uniform(rlgpu::mix(static_cast<uint32_t>(i) * 2654435761u + seed)) - 0.5f);
  }
  return result;
}

inline double worst(const Floats& got, const std::vector<double>& wanted) {
  double difference = 0.0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double gap = std::fabs(got[i] - wanted[i]);
    difference = gap <= difference ? difference : gap;  // NaN is worst
  }
  return difference;
}
