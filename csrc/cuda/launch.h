// Shared by all CUDA host functions: the current stream, and a launch check that names the op.
// Includes c10/cuda only: ATen/cuda pulls in cuSPARSE headers that a compile-only machine lacks.
#pragma once

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cuda_runtime.h>

namespace rlgpu {

inline cudaStream_t current_stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

inline void check_launch(const char* op, cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, op, ": the CUDA launch failed: ", cudaGetErrorString(error));
}

}  // namespace rlgpu
