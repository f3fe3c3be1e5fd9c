// adam_step on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "../checks/adam_step.h"
#include "../kernels/adam_step.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

at::Tensor adam_step_cuda(at::Tensor& params, at::Tensor& exp_avg, at::Tensor& exp_avg_sq,
                          at::Tensor& step, at::Tensor& nonfinite_steps, const at::Tensor& grads,
                          const at::Tensor& learning_rate, const at::Tensor& stop, double beta1,
                          double beta2, double eps, double max_grad_norm) {
  check_adam_step(params, exp_avg, exp_avg_sq, step, nonfinite_steps, grads, learning_rate, stop);
  const c10::cuda::CUDAGuard guard(params.device());
  if (params.numel() == 0) return at::zeros({}, params.options());
  const at::Tensor grads_c = grads.contiguous();
  const AdamHyperparameters h{static_cast<float>(beta1), static_cast<float>(beta2),
                              static_cast<float>(eps), static_cast<float>(max_grad_norm)};
  const AdamBuffers buffers{params.mutable_data_ptr<float>(), exp_avg.mutable_data_ptr<float>(),
                            exp_avg_sq.mutable_data_ptr<float>(), step.mutable_data_ptr<int64_t>(),
                            nonfinite_steps.mutable_data_ptr<int64_t>()};
  at::Tensor scratch =
      at::empty({static_cast<int64_t>(sizeof(AdamScratch))}, params.options().dtype(at::kByte));
  at::Tensor grad_norm = at::empty({}, params.options());
  check_launch(
      "adam_step",
      launch_adam_step(grads_c.const_data_ptr<float>(), learning_rate.const_data_ptr<float>(),
                       stop.const_data_ptr<bool>(), params.numel(), h, buffers,
                       reinterpret_cast<AdamScratch*>(scratch.mutable_data_ptr<uint8_t>()),
                       grad_norm.mutable_data_ptr<float>(), current_stream()));
  return grad_norm;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("adam_step", &rlgpu::adam_step_cuda); }
