// gae on the CPU: blocks of environments in parallel, the walk back in time inside each block.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "../checks/gae.h"

namespace rlgpu {
namespace {

// Fixed, so that partial moments do not depend on the number of threads.
constexpr int64_t kEnvsPerBlock = 256;

RLGPU_CPU_CLONES void gae_block(const GaeInputs& in, int64_t begin, int64_t end,
                                float* __restrict__ advantages_out, float* __restrict__ returns_out,
                                Moments& moments) {
  for (int64_t t = in.horizon_length - 1; t >= 0; --t) {
    const int64_t row = t * in.num_envs;
    const bool last = t + 1 == in.horizon_length;
    const float* next_values = last ? in.last_values : in.values + row + in.num_envs;
    const float* next_advantages = last ? nullptr : advantages_out + row + in.num_envs;
    for (int64_t n = begin; n < end; ++n) {
      const int64_t i = row + n;
      const float advantage = gae_step(in.rewards[i], in.values[i], next_values[n],
                                       in.final_values[i], in.terminated[i], in.truncated[i],
                                       last ? 0.0f : next_advantages[n], in.gamma, in.gae_lambda);
      advantages_out[i] = advantage;
      returns_out[i] = advantage + in.values[i];
      accumulate(moments, advantage);
    }
  }
}

std::tuple<at::Tensor, at::Tensor> gae_cpu(const at::Tensor& rewards, const at::Tensor& values,
                                           const at::Tensor& terminated,
                                           const at::Tensor& truncated,
                                           const at::Tensor& final_values,
                                           const at::Tensor& last_values, double gamma,
                                           double gae_lambda, bool normalize) {
  const GaeTensors given{rewards, values, terminated, truncated, final_values, last_values};
  check_gae(given);
  at::Tensor advantages = at::empty(rewards.sizes(), rewards.options());
  at::Tensor returns = at::empty(rewards.sizes(), rewards.options());
  const int64_t count = rewards.numel();
  if (count == 0) return {advantages, returns};

  const GaeTensors tensors = contiguous(given);
  const GaeInputs in = inputs(tensors, gamma, gae_lambda);
  float* advantages_out = advantages.mutable_data_ptr<float>();
  float* returns_out = returns.mutable_data_ptr<float>();

  const int64_t num_blocks = (in.num_envs + kEnvsPerBlock - 1) / kEnvsPerBlock;
  std::vector<Moments> partials(num_blocks);
  at::parallel_for(0, num_blocks, 4, [&](int64_t first, int64_t end) {
    for (int64_t block = first; block < end; ++block) {
      gae_block(in, block * kEnvsPerBlock, std::min((block + 1) * kEnvsPerBlock, in.num_envs),
                advantages_out, returns_out, partials[block]);
    }
  });
  if (normalize) {
    Moments moments{};
    for (const Moments& partial : partials) merge(moments, partial);
    const Normalizer n = normalizer(moments, count);
    at::parallel_for(0, count, 16384, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        advantages_out[i] = (advantages_out[i] - n.mean) * n.inverse_std;
      }
    });
  }
  return {advantages, returns};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("gae", &rlgpu::gae_cpu); }
