// The fused engine on a GPU: one thread steps one world through a whole control step.
//
// The one idea: the same text as on the CPU with one float as the vector. A world's scratch lies in
// the thread's local memory, where the hardware interleaves the threads' words, so accesses of a
// warp coalesce and a control step needs one launch and no other memory traffic than the state.
#pragma once

#include "../launch.cuh"
#include "worlds.h"

#if defined(RLGPU_KERNELS)
namespace rlgpu {

// One warp per block: a few thousand worlds then spread over all multiprocessors.
constexpr int kPhysicsBlock = 32;
// Sizes of the scratch that kernels are compiled for [bytes].
constexpr int kPhysicsScratch[] = {8 << 10, 16 << 10, 32 << 10, 64 << 10};

// One thread owns one world; blocks of kPhysicsBlock. Reads and writes its rows of the state once,
// keeps all else in local memory. Deterministic: worlds do not interact.
template <int kBytes>
__global__ void __launch_bounds__(kPhysicsBlock)
    physics_kernel(const physics::Tables<float> tables, const physics::Call call) {
  const int64_t world = blockIdx.x * static_cast<int64_t>(kPhysicsBlock) + threadIdx.x;
  if (world >= call.num_worlds) return;
  alignas(16) char scratch[kBytes];
  physics::Work<float> work;
  work.place(tables, scratch);
  physics::run_group(call, tables, work, physics::Group<float>{world, 1});
}

// Returns cudaErrorInvalidValue if the model needs more scratch than any kernel has.
inline cudaError_t launch_physics(const physics::Call& call, cudaStream_t stream) {
  const physics::Tables<float> tables(call.header, call.ints,
                                      static_cast<const float*>(call.constants));
  const int64_t bytes = static_cast<int64_t>(physics::Work<float>().place(tables, nullptr));
  const dim3 grid(num_blocks(call.num_worlds, kPhysicsBlock));
  const auto with = [&](auto* kernel) {
    return launch(kernel, grid, kPhysicsBlock, 0, stream, tables, call);
  };
  if (bytes <= kPhysicsScratch[0]) return with(&physics_kernel<kPhysicsScratch[0]>);
  if (bytes <= kPhysicsScratch[1]) return with(&physics_kernel<kPhysicsScratch[1]>);
  if (bytes <= kPhysicsScratch[2]) return with(&physics_kernel<kPhysicsScratch[2]>);
  if (bytes <= kPhysicsScratch[3]) return with(&physics_kernel<kPhysicsScratch[3]>);
  return cudaErrorInvalidValue;
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
