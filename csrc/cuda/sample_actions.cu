// sample_actions on CUDA: checks, device guard, current stream, launch, launch check.
#include <torch/library.h>

#include "../checks/sample_actions.h"
#include "launch.h"

namespace rlgpu {
namespace {

void sample_actions_cuda(const at::Tensor& mean, const at::Tensor& values,
                         const at::Tensor& log_std, at::Tensor& rng_state, at::Tensor& actions,
                         at::Tensor& log_probs, at::Tensor& mean_out, at::Tensor& values_out) {
  const SampleTensors given{mean,    values,    log_std,  rng_state,
                            actions, log_probs, mean_out, values_out};
  check_sample_actions(given);
  if (mean.size(0) == 0) return;
  const c10::cuda::CUDAGuard guard(mean.device());
  const SampleTensors tensors = readable(given);
  check_launch("sample_actions",
               launch_sample_actions(inputs(tensors), rng_state.mutable_data_ptr<int64_t>(),
                                     outputs(tensors), current_stream()));
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("sample_actions", &rlgpu::sample_actions_cuda); }
