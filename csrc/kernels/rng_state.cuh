// State shared by the random ops: a seed and the number of calls so far, int64 each.
#pragma once

#include "launch.cuh"

#if defined(RLGPU_KERNELS)
namespace rlgpu {

// Runs a single thread, in a separate launch: no block may increment the call number while another
// still reads it.
static __global__ void advance_call_kernel(int64_t* __restrict__ rng_state_out) {
  rng_state_out[1] += 1;
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
