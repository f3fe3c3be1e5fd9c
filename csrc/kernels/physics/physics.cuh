// The fused engine on a GPU: a control step of every world in one launch.
//
// The one idea: the same text as on the CPU with one float as the vector. Either one thread owns a
// world, with its scratch in local memory, where the hardware interleaves the threads' words; or
// several threads of a warp share a world, with its scratch in shared memory. Which is faster
// depends on the number of worlds and the robot. Nothing but the state crosses global memory.
#pragma once

#include "../launch.cuh"
#include "worlds.h"

#if defined(RLGPU_KERNELS)
namespace rlgpu {

// One warp per block: a few thousand worlds then spread over all multiprocessors.
constexpr int kPhysicsBlock = 32;
// Sizes of the scratch in local memory that kernels are compiled for [bytes].
constexpr int64_t kPhysicsScratch[] = {8 << 10, 16 << 10, 32 << 10, 64 << 10};
// Shared memory that a block gets without asking, and the most that it can ask for.
constexpr int64_t kSharedFree = 48 << 10, kSharedMost = 227 << 10;

// One thread owns one world; blocks of kPhysicsBlock. Reads and writes its rows of the state once,
// keeps all else in local memory. Deterministic: worlds do not interact.
template <int64_t kBytes>
__global__ void __launch_bounds__(kPhysicsBlock)
    physics_kernel(const physics::Tables<float> tables, const physics::Call call) {
  const int64_t world = blockIdx.x * static_cast<int64_t>(kPhysicsBlock) + threadIdx.x;
  if (world >= call.num_worlds) return;
  alignas(16) char scratch[kBytes];
  physics::Work<float> work;
  work.place(tables, scratch);
  physics::run_group(call, tables, work, physics::Group<float, physics::Alone>{world, 1, {}});
}

// kThreads threads of a warp own one world, kPhysicsBlock / kThreads worlds per block; dynamic
// shared memory of bytes for each. Deterministic: sums run in a fixed order.
template <int kThreads>
__global__ void __launch_bounds__(kPhysicsBlock)
    physics_team_kernel(const physics::Tables<float> tables, const physics::Call call,
                        int64_t bytes) {
  constexpr int kWorlds = kPhysicsBlock / kThreads;
  const int slot = static_cast<int>(threadIdx.x) / kThreads;
  const int64_t world = blockIdx.x * static_cast<int64_t>(kWorlds) + slot;
  if (world >= call.num_worlds) return;
  physics::Work<float> work;
  work.place(tables, dynamic_shared<char>() + slot * bytes);
  physics::run_group(call, tables, work,
                     physics::Group<float, physics::Together<kThreads>>{world, 1, {}});
}

template <int kThreads>
cudaError_t launch_physics_team(const physics::Tables<float>& tables, const physics::Call& call,
                                int64_t bytes, cudaStream_t stream) {
  constexpr int kWorlds = kPhysicsBlock / kThreads;
  const int64_t shared = kWorlds * bytes;
  if (shared > kSharedMost) return cudaErrorInvalidValue;
#if defined(__CUDACC__)
  if (shared > kSharedFree) {
    const cudaError_t error =
        cudaFuncSetAttribute(physics_team_kernel<kThreads>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error != cudaSuccess) return error;
  }
#endif
  return launch(&physics_team_kernel<kThreads>, dim3(num_blocks(call.num_worlds, kWorlds)),
                kPhysicsBlock, static_cast<size_t>(shared), stream, tables, call, bytes);
}

// Steps all worlds with a number of threads per world: 1, 2, 4, 8, 16 or 32. Returns
// cudaErrorInvalidValue if the model needs more scratch than that leaves.
inline cudaError_t launch_physics(const physics::Call& call, int threads, cudaStream_t stream) {
  const physics::Tables<float> tables(call.header, call.ints,
                                      static_cast<const float*>(call.constants));
  // Shared memory of neighbours starts at multiples of 16 bytes.
  const int64_t used = static_cast<int64_t>(physics::Work<float>().place(tables, nullptr));
  const int64_t bytes = (used + 15) / 16 * 16;
  switch (threads) {
    case 2:
      return launch_physics_team<2>(tables, call, bytes, stream);
    case 4:
      return launch_physics_team<4>(tables, call, bytes, stream);
    case 8:
      return launch_physics_team<8>(tables, call, bytes, stream);
    case 16:
      return launch_physics_team<16>(tables, call, bytes, stream);
    case 32:
      return launch_physics_team<32>(tables, call, bytes, stream);
    default:
      break;
  }
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
