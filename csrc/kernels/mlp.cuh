// The elementwise half of a multilayer perceptron with ELU: activation in place, and the gradient
// through it. The matrix products are the libraries'.
#pragma once

#include "portable.h"

namespace rlgpu {

// exp(x) - 1 loses relative precision near zero but is within 1.2e-7 absolute, float32's own step
// at one, which is the scale the next layer adds it at.
RLGPU_HD float elu(float x) {
  const float negative = exp_nonpositive(x < 0.0f ? x : 0.0f) - 1.0f;
  return x <= 0.0f ? negative : x;  // NaN compares false and passes through
}

// d elu / dx is 1 above zero and exp(x) = y + 1 below, so the input need not be kept.
RLGPU_HD float elu_gradient(float grad, float y) { return y > 0.0f ? grad : grad * (y + 1.0f); }

}  // namespace rlgpu

#if defined(__CUDACC__)
namespace rlgpu {

constexpr int kEluBlock = 256;

inline unsigned elu_grid(int64_t count) {
  const int64_t wanted = (count + kEluBlock - 1) / kEluBlock;
  return static_cast<unsigned>(wanted < 8192 ? wanted : 8192);
}

// One thread owns one element at a time, striding over the grid; coalesced; deterministic.
__global__ void __launch_bounds__(kEluBlock) elu_kernel(int64_t count, float* __restrict__ x_out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kEluBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kEluBlock) + threadIdx.x; i < count;
       i += step) {
    x_out[i] = elu(x_out[i]);
  }
}

// One thread owns one element at a time, striding over the grid; coalesced; deterministic.
__global__ void __launch_bounds__(kEluBlock)
    elu_gradient_kernel(const float* __restrict__ y_in, int64_t count,
                        float* __restrict__ grad_out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kEluBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kEluBlock) + threadIdx.x; i < count;
       i += step) {
    grad_out[i] = elu_gradient(grad_out[i], y_in[i]);
  }
}

inline cudaError_t launch_elu(int64_t count, float* x_out, cudaStream_t stream) {
  elu_kernel<<<elu_grid(count), kEluBlock, 0, stream>>>(count, x_out);
  return cudaGetLastError();
}

inline cudaError_t launch_elu_gradient(const float* y_in, int64_t count, float* grad_out,
                                       cudaStream_t stream) {
  elu_gradient_kernel<<<elu_grid(count), kEluBlock, 0, stream>>>(y_in, count, grad_out);
  return cudaGetLastError();
}

}  // namespace rlgpu
#endif  // __CUDACC__
