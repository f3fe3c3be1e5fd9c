// gae on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "../checks/gae.h"
#include "launch.h"

namespace rlgpu {
namespace {

std::tuple<at::Tensor, at::Tensor> gae_cuda(const at::Tensor& rewards, const at::Tensor& values,
                                            const at::Tensor& terminated,
                                            const at::Tensor& truncated,
                                            const at::Tensor& final_values,
                                            const at::Tensor& last_values, double gamma,
                                            double gae_lambda, bool normalize) {
  const GaeTensors given{rewards, values, terminated, truncated, final_values, last_values};
  check_gae(given);
  const c10::cuda::CUDAGuard guard(rewards.device());
  at::Tensor advantages = at::empty(rewards.sizes(), rewards.options());
  at::Tensor returns = at::empty(rewards.sizes(), rewards.options());
  if (rewards.numel() == 0) return {advantages, returns};

  const GaeTensors tensors = contiguous(given);
  const GaeInputs in = inputs(tensors, gamma, gae_lambda);
  // Two doubles per block; the kernel treats them as Moments.
  const at::Tensor partials = at::empty({kGaeMaxPartials, 2}, rewards.options().dtype(at::kDouble));
  const GaeOutputs out{advantages.mutable_data_ptr<float>(), returns.mutable_data_ptr<float>()};
  check_launch("gae", launch_gae(in, normalize, out,
                                 reinterpret_cast<Moments*>(partials.mutable_data_ptr<double>()),
                                 current_stream()));
  return {advantages, returns};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("gae", &rlgpu::gae_cuda); }
