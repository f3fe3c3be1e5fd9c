// adam_step on the CPU.
#include <ATen/Parallel.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/library.h>

#include "../checks/adam_step.h"
#include "adam/adam.h"

namespace rlgpu {
namespace {

at::Tensor adam_step_cpu(at::Tensor& params, at::Tensor& exp_avg, at::Tensor& exp_avg_sq,
                         at::Tensor& step, at::Tensor& nonfinite_steps, const at::Tensor& grads,
                         const at::Tensor& learning_rate, const at::Tensor& stop, double beta1,
                         double beta2, double eps, double max_grad_norm) {
  check_adam_step(params, exp_avg, exp_avg_sq, step, nonfinite_steps, grads, learning_rate, stop);
  const at::Tensor grads_c = grads.contiguous();
  const AdamHyperparameters h{static_cast<float>(beta1), static_cast<float>(beta2),
                              static_cast<float>(eps), static_cast<float>(max_grad_norm)};
  const AdamBuffers buffers{params.mutable_data_ptr<float>(), exp_avg.mutable_data_ptr<float>(),
                            exp_avg_sq.mutable_data_ptr<float>(), step.mutable_data_ptr<int64_t>(),
                            nonfinite_steps.mutable_data_ptr<int64_t>()};
  const double grad_norm = take_adam_step(
      h, *learning_rate.const_data_ptr<float>(), *stop.const_data_ptr<bool>(),
      grads_c.const_data_ptr<float>(), params.numel(), at::get_num_threads(), buffers);
  return at::scalar_tensor(grad_norm, params.options());
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("adam_step", &rlgpu::adam_step_cpu); }
