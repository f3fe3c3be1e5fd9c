// gae on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "../checks/gae.h"
#include "../kernels/gae.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

std::tuple<at::Tensor, at::Tensor> gae_cuda(const at::Tensor& rewards, const at::Tensor& values,
                                            const at::Tensor& terminated,
                                            const at::Tensor& truncated,
                                            const at::Tensor& final_values,
                                            const at::Tensor& last_values, double gamma,
                                            double gae_lambda, bool normalize) {
  check_gae(rewards, values, terminated, truncated, final_values, last_values);
  const c10::cuda::CUDAGuard guard(rewards.device());
  at::Tensor advantages = at::empty(rewards.sizes(), rewards.options());
  at::Tensor returns = at::empty(rewards.sizes(), rewards.options());
  if (rewards.numel() == 0) return {advantages, returns};

  const auto r = rewards.contiguous(), v = values.contiguous(), f = final_values.contiguous();
  const auto terminated_c = terminated.contiguous(), truncated_c = truncated.contiguous();
  const auto last = last_values.contiguous();
  const GaeInputs in{r.const_data_ptr<float>(),
                     v.const_data_ptr<float>(),
                     terminated_c.const_data_ptr<bool>(),
                     truncated_c.const_data_ptr<bool>(),
                     f.const_data_ptr<float>(),
                     last.const_data_ptr<float>(),
                     rewards.size(0),
                     rewards.size(1),
                     static_cast<float>(gamma),
                     static_cast<float>(gae_lambda)};
  // Two doubles a block; the kernel sees them as Moments.
  const at::Tensor partials =
      at::empty({gae_num_blocks(in.num_envs), 2}, rewards.options().dtype(at::kDouble));
  check_launch("gae", launch_gae(in, normalize, advantages.mutable_data_ptr<float>(),
                                 returns.mutable_data_ptr<float>(),
                                 reinterpret_cast<Moments*>(partials.mutable_data_ptr<double>()),
                                 current_stream()));
  return {advantages, returns};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("gae", &rlgpu::gae_cuda); }
