// gaussian_sample on the CPU: rows in parallel.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "../checks/gaussian_sample.h"

namespace rlgpu {
namespace {

void gaussian_sample_cpu(const at::Tensor& mean, const at::Tensor& values,
                         const at::Tensor& log_std, at::Tensor& rng_state, at::Tensor& actions,
                         at::Tensor& log_probs, at::Tensor& mean_out, at::Tensor& values_out) {
  const SampleTensors given{mean,    values,    log_std,  rng_state,
                            actions, log_probs, mean_out, values_out};
  check_gaussian_sample(given);
  const SampleTensors tensors = readable(given);
  const SampleInputs in = inputs(tensors);
  const SampleOutputs out = outputs(tensors);
  int64_t* state = rng_state.mutable_data_ptr<int64_t>();
  const auto seed = static_cast<uint64_t>(state[0]), call = static_cast<uint64_t>(state[1]);
  at::parallel_for(0, in.num_rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) sample_slot(in, seed, call, row, out);
  });
  state[1] += 1;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("gaussian_sample", &rlgpu::gaussian_sample_cpu); }
