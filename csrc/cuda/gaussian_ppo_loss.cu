// gaussian_ppo_loss on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>

#include "../checks/gaussian_ppo_loss.h"
#include "../kernels/gaussian_ppo_loss.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> gaussian_ppo_loss_cuda(
    const at::Tensor& mean, const at::Tensor& log_std, const at::Tensor& values,
    const at::Tensor& actions, const at::Tensor& old_log_probs, const at::Tensor& old_mean,
    const at::Tensor& old_log_std, const at::Tensor& old_values, const at::Tensor& advantages,
    const at::Tensor& returns, const at::Tensor& coefficients) {
  const PpoTensors given{mean,        log_std,    values,     actions, old_log_probs, old_mean,
                         old_log_std, old_values, advantages, returns, coefficients};
  check_gaussian_ppo_loss(given);
  const c10::cuda::CUDAGuard guard(mean.device());
  const PpoTensors tensors = contiguous(given);
  const PpoInputs in = inputs(tensors);
  // Five floats; the kernel treats them as PpoCoefficients.
  const auto* weights =
      reinterpret_cast<const PpoCoefficients*>(tensors.coefficients.const_data_ptr<float>());
  at::Tensor grad_mean = at::empty(mean.sizes(), mean.options());
  at::Tensor grad_values = at::empty(values.sizes(), mean.options());
  at::Tensor grad_log_std = at::zeros(log_std.sizes(), mean.options());
  at::Tensor metrics = at::zeros({kNumPpoMetrics}, mean.options());
  if (in.num_rows == 0) return {grad_mean, grad_log_std, grad_values, metrics};
  at::Tensor partials =
      at::empty({ppo_num_blocks(in.num_rows), in.num_actions + kNumPpoMetrics}, mean.options());
  check_launch("gaussian_ppo_loss",
               launch_gaussian_ppo_loss(in, weights, grad_mean.mutable_data_ptr<float>(),
                                        grad_values.mutable_data_ptr<float>(),
                                        grad_log_std.mutable_data_ptr<float>(),
                                        metrics.mutable_data_ptr<float>(),
                                        partials.mutable_data_ptr<float>(), current_stream()));
  return {grad_mean, grad_log_std, grad_values, metrics};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("gaussian_ppo_loss", &rlgpu::gaussian_ppo_loss_cuda); }
