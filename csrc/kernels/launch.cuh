// How kernels are launched, and what the few CUDA words in them mean to a C++ compiler.
//
// The one idea: launches go through functions instead of <<<>>>, so that tests/cpp can run the very
// same kernels on a CPU (RLGPU_EMULATE_CUDA), where a bug needs no GPU to be found.
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

// How many blocks of a size are wanted for count elements, at most limit.
inline unsigned num_blocks(int64_t count, int block, int64_t limit = 0x7fffffff) {
  const int64_t wanted = (count + block - 1) / block;
  return static_cast<unsigned>(wanted < limit ? wanted : limit);
}

}  // namespace rlgpu
#endif

#if defined(__CUDACC__)
namespace rlgpu {

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int block, size_t shared_bytes,
                   cudaStream_t stream, const Arguments&... arguments) {
  kernel<<<grid, block, shared_bytes, stream>>>(arguments...);
  return cudaGetLastError();
}

// All blocks are resident at once, so that they may wait for each other with sync_grid.
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

// How many blocks of a kernel the current device can hold at once.
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
