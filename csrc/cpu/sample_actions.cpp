// sample_actions on the CPU: rows in parallel.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "../kernels/sample_actions.cuh"
#include "../checks/sample_actions.h"

namespace rlgpu {
namespace {

void sample_actions_cpu(const at::Tensor& mean, const at::Tensor& log_std, at::Tensor& rng_state,
                        at::Tensor& actions, at::Tensor& log_probs) {
  check_sample_actions(mean, log_std, rng_state, actions, log_probs);
  const auto mean_c = mean.contiguous(), log_std_c = log_std.contiguous();
  const int64_t num_actions = mean.size(1);
  const float* mean_in = mean_c.const_data_ptr<float>();
  const float* log_std_in = log_std_c.const_data_ptr<float>();
  int64_t* state = rng_state.mutable_data_ptr<int64_t>();
  const auto seed = static_cast<uint64_t>(state[0]), call = static_cast<uint64_t>(state[1]);
  float* actions_out = actions.mutable_data_ptr<float>();
  float* log_probs_out = log_probs.mutable_data_ptr<float>();
  at::parallel_for(0, mean.size(0), 256, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      sample_row(mean_in + row * num_actions, log_std_in, seed, call, static_cast<uint64_t>(row),
                 num_actions, actions_out + row * num_actions, log_probs_out + row);
    }
  });
  state[1] += 1;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("sample_actions", &rlgpu::sample_actions_cpu); }
