// gaussian_sample on CUDA: checks, device guard, current stream, launch, launch check.
#include <torch/library.h>

#include "../checks/gaussian_sample.h"
#include "launch.h"

namespace rlgpu {
namespace {

void gaussian_sample_cuda(const at::Tensor& mean, const at::Tensor& values,
                          const at::Tensor& log_std, at::Tensor& rng_state, at::Tensor& actions,
                          at::Tensor& log_probs, at::Tensor& mean_out, at::Tensor& values_out) {
  const SampleTensors given{mean,    values,    log_std,  rng_state,
                            actions, log_probs, mean_out, values_out};
  check_gaussian_sample(given);
  const c10::cuda::CUDAGuard guard(mean.device());
  const SampleTensors tensors = readable(given);
  check_launch("gaussian_sample",
               launch_gaussian_sample(inputs(tensors), rng_state.mutable_data_ptr<int64_t>(),
                                      outputs(tensors), current_stream()));
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("gaussian_sample", &rlgpu::gaussian_sample_cuda); }
