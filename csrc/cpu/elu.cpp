// elu_ and elu_backward on the CPU: one vectorised loop each, split over threads.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "../checks/tensor.h"
#include "../kernels/elu.cuh"

namespace rlgpu {
namespace {

constexpr int64_t kGrain = 32768;

RLGPU_CPU_CLONES void elu_range(int64_t count, float* __restrict__ x_out) {
  for (int64_t i = 0; i < count; ++i) x_out[i] = elu(x_out[i]);
}

RLGPU_CPU_CLONES void elu_backward_range(const float* __restrict__ grad_in,
                                         const float* __restrict__ y_in, int64_t count,
                                         float* __restrict__ grad_out) {
  for (int64_t i = 0; i < count; ++i) grad_out[i] = elu_gradient(grad_in[i], y_in[i]);
}

void elu_cpu(at::Tensor& x) {
  check_tensor("elu_", "x", x, x.sizes(), at::kFloat, x.device());
  check_contiguous("elu_", "x", x);
  float* x_out = x.mutable_data_ptr<float>();
  at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
    elu_range(end - begin, x_out + begin);
  });
}

at::Tensor elu_backward_cpu(const at::Tensor& grad, const at::Tensor& y) {
  check_tensor("elu_backward", "grad", grad, y.sizes(), at::kFloat, y.device());
  check_tensor("elu_backward", "y", y, y.sizes(), at::kFloat, y.device());
  const auto grad_c = grad.contiguous(), y_c = y.contiguous();
  at::Tensor out = at::empty(y.sizes(), y.options());
  const float* grad_in = grad_c.const_data_ptr<float>();
  const float* y_in = y_c.const_data_ptr<float>();
  float* grad_out = out.mutable_data_ptr<float>();
  at::parallel_for(0, y.numel(), kGrain, [&](int64_t begin, int64_t end) {
    elu_backward_range(grad_in + begin, y_in + begin, end - begin, grad_out + begin);
  });
  return out;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) {
  m.impl("elu_", &rlgpu::elu_cpu);
  m.impl("elu_backward", &rlgpu::elu_backward_cpu);
}
