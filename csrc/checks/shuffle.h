// Argument checks shared by the CPU and CUDA host functions of shuffle.
#pragma once

#include "tensor.h"

namespace rlgpu {

inline void check_shuffle(const at::Tensor& rng_state, int64_t count) {
  check_tensor("shuffle", "rng_state", rng_state, 2, at::kLong, rng_state.device());
  check_contiguous("shuffle", "rng_state", rng_state);
  TORCH_CHECK_VALUE(count >= 0, "shuffle: count is ", count, ", wanted at least 0");
}

}  // namespace rlgpu
