// sample_actions on CUDA: checks, device guard, current stream, launch, launch check.
#include <torch/library.h>

#include "../checks/sample_actions.h"
#include "../kernels/sample_actions.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

void sample_actions_cuda(const at::Tensor& mean, const at::Tensor& log_std, at::Tensor& rng_state,
                         at::Tensor& actions, at::Tensor& log_probs) {
  check_sample_actions(mean, log_std, rng_state, actions, log_probs);
  if (mean.numel() == 0) return;
  const c10::cuda::CUDAGuard guard(mean.device());
  const auto mean_c = mean.contiguous(), log_std_c = log_std.contiguous();
  check_launch(
      "sample_actions",
      launch_sample_actions(mean_c.const_data_ptr<float>(), log_std_c.const_data_ptr<float>(),
                            mean.size(0), mean.size(1), rng_state.mutable_data_ptr<int64_t>(),
                            actions.mutable_data_ptr<float>(), log_probs.mutable_data_ptr<float>(),
                            current_stream()));
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("sample_actions", &rlgpu::sample_actions_cuda); }
