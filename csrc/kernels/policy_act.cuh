// One step of acting: what it does beside the layers (mlp.cuh) and the sampling
// (gaussian_sample.cuh).
#pragma once

#include "gaussian_sample.cuh"
#include "running_stats.cuh"

namespace rlgpu {

// How observations are normalised; both pointers are null if they are not.
struct Normalization {
  const float* scale;
  const float* offset;
  float clip;
};

RLGPU_HD void normalize_row(const float* __restrict__ x_in, const Normalization& n, int64_t width,
                            float* __restrict__ y_out) {
  for (int64_t i = 0; i < width; ++i) {
    y_out[i] = n.scale == nullptr ? x_in[i] : normalize(x_in[i], n.scale[i], n.offset[i], n.clip);
  }
}

}  // namespace rlgpu
