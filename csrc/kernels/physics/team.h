// The threads that share a group of worlds.
//
// The one idea: every loop over bodies, dofs or rows runs from team.first() in steps of
// team.step(), and team.sync() stands where one loop reads what another wrote. A CPU thread works
// alone, and all of this vanishes; on a GPU several threads of a warp may share one world.
#pragma once

#include "../launch.cuh"
#include "lanes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

struct Alone {
  RLGPU_HD int first() const { return 0; }
  RLGPU_HD int step() const { return 1; }
  RLGPU_HD void sync() const {}
  // Sums, or unites masks, over the threads of the team; all of them get the result.
  template <typename V>
  RLGPU_HD V sum(V x) const {
    return x;
  }
  template <typename M>
  RLGPU_HD M either(M mask) const {
    return mask;
  }
};

// Some threads of a warp, a power of two, that share the scratch of one world.
template <int kThreads>
struct Together {
#if defined(__CUDA_ARCH__) || defined(RLGPU_EMULATE_CUDA)
  RLGPU_HD int first() const { return static_cast<int>(threadIdx.x) % kThreads; }
  RLGPU_HD void sync() const { __syncwarp(warp_mask()); }
  RLGPU_HD float sum(float x) const {
    // Each step adds the same two numbers on both sides, so all threads get the same bits.
    for (int other = kThreads / 2; other > 0; other /= 2)
      x += __shfl_xor_sync(warp_mask(), x, other);
    return x;
  }
  RLGPU_HD bool either(bool mask) const {
    int found = mask;
    for (int other = kThreads / 2; other > 0; other /= 2)
      found |= __shfl_xor_sync(warp_mask(), found, other);
    return found != 0;
  }
  RLGPU_HD static unsigned warp_mask() {
    const unsigned team = kThreads == 32 ? 0xffffffffu : (1u << (kThreads % 32)) - 1;
    return team << (threadIdx.x % 32 / kThreads * kThreads);
  }
#else  // A compiler for both sides also wants a host's version; it is never called.
  RLGPU_HD int first() const { return 0; }
  RLGPU_HD void sync() const {}
  RLGPU_HD float sum(float x) const { return x; }
  RLGPU_HD bool either(bool mask) const { return mask; }
#endif
  RLGPU_HD int step() const { return kThreads; }
};

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
