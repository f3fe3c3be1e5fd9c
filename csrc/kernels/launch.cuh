// Kernel launches, and the few CUDA names that kernels use, made available to a C++ compiler.
//
// The one idea: launches go through functions instead of <<<>>>, so that tests/cpp can run the
// same kernels on a CPU (RLGPU_EMULATE_CUDA) and find bugs without a GPU.
#pragma once

#include "portable.h"

#if defined(__CUDACC__)
#include <cooperative_groups.h>
#include <cuda_runtime.h>
#elif defined(RLGPU_EMULATE_CUDA)
#include "cuda_emulation.h"
#endif

#if defined(__CUDACC__) || defined(RLGPU_EMULATE_CUDA)
#define RLGPU_KERNELS 1

namespace rlgpu {

// Returns the number of blocks of the given size that cover count elements, at most limit.
inline unsigned num_blocks(int64_t count, int block, int64_t limit = 0x7fffffff) {
  const int64_t wanted = (count + block - 1) / block;
  return static_cast<unsigned>(wanted < limit ? wanted : limit);
}

}  // namespace rlgpu
#endif

#if defined(__CUDACC__)
namespace rlgpu {

// Launches a kernel; CUDA itself refuses an empty grid, which has nothing to do.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int block, size_t shared_bytes,
                   cudaStream_t stream, const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0) return cudaSuccess;
  kernel<<<grid, block, shared_bytes, stream>>>(arguments...);
  return cudaGetLastError();
}

// Launches with all blocks resident at once, so that they can wait for each other in sync_grid.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_cooperative(void (*kernel)(Parameters...), dim3 grid, int block,
                               cudaStream_t stream, const Arguments&... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(block);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

// Returns the number of blocks of a kernel that fit on the current device at once.
template <typename... Parameters>
int num_resident_blocks(void (*kernel)(Parameters...), int block) {
  int device = 0, multiprocessors = 0, blocks = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) !=
          cudaSuccess ||
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, block, 0) != cudaSuccess) {
    return 0;
  }
  return blocks * multiprocessors;
}

// A kernel's dynamic shared memory.
template <typename T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

__device__ inline void sync_grid() { cooperative_groups::this_grid().sync(); }

}  // namespace rlgpu
#endif
