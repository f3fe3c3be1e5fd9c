// The state that random ops share: a seed and the number of calls so far, int64 each.
#pragma once

#include "launch.cuh"

#if defined(RLGPU_KERNELS)
namespace rlgpu {

// One thread in all. A launch of its own: no block may raise the number while another reads it.
static __global__ void advance_call_kernel(int64_t* __restrict__ rng_state_out) {
  rng_state_out[1] += 1;
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
