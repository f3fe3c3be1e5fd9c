// gaussian_ppo_loss on the CPU: fixed groups of rows in parallel, their sums combined in order.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <vector>

#include "../checks/gaussian_ppo_loss.h"

namespace rlgpu {
namespace {

// Fixed, so that the sums do not depend on the number of threads.
constexpr int64_t kRowsPerGroup = 256;

struct GroupSums {
  std::array<float, kMaxActions> grad_log_std{};
  std::array<float, kNumPpoMetrics> metrics{};
};

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> gaussian_ppo_loss_cpu(
    const at::Tensor& mean, const at::Tensor& log_std, const at::Tensor& values,
    const at::Tensor& actions, const at::Tensor& old_log_probs, const at::Tensor& old_mean,
    const at::Tensor& old_log_std, const at::Tensor& old_values, const at::Tensor& advantages,
    const at::Tensor& returns, const at::Tensor& coefficients) {
  const PpoTensors given{mean,        log_std,    values,     actions, old_log_probs, old_mean,
                         old_log_std, old_values, advantages, returns, coefficients};
  check_gaussian_ppo_loss(given);
  const PpoTensors tensors = contiguous(given);
  const PpoInputs in = inputs(tensors);
  PpoCoefficients weights;
  std::memcpy(&weights, tensors.coefficients.const_data_ptr<float>(), sizeof(weights));
  at::Tensor grad_mean = at::empty(mean.sizes(), mean.options());
  at::Tensor grad_values = at::empty(values.sizes(), mean.options());
  at::Tensor grad_log_std = at::zeros(log_std.sizes(), mean.options());
  at::Tensor metrics = at::zeros({kNumPpoMetrics}, mean.options());
  float* grad_mean_out = grad_mean.mutable_data_ptr<float>();
  float* grad_values_out = grad_values.mutable_data_ptr<float>();

  std::array<ActionScale, kMaxActions> scales;
  for (int64_t i = 0; i < in.num_actions; ++i) {
    scales[i] = action_scale(in.log_std[i], in.old_log_std[i]);
  }
  const int64_t num_groups = (in.num_rows + kRowsPerGroup - 1) / kRowsPerGroup;
  std::vector<GroupSums> sums(num_groups);
  at::parallel_for(0, num_groups, 1, [&](int64_t first, int64_t end) {
    for (int64_t group = first; group < end; ++group) {
      const int64_t stop = std::min((group + 1) * kRowsPerGroup, in.num_rows);
      for (int64_t row = group * kRowsPerGroup; row < stop; ++row) {
        ppo_row(in, scales.data(), weights, row, grad_mean_out, grad_values_out,
                sums[group].grad_log_std.data(), sums[group].metrics.data());
      }
    }
  });
  float* grad_log_std_out = grad_log_std.mutable_data_ptr<float>();
  float* metrics_out = metrics.mutable_data_ptr<float>();
  for (const GroupSums& group : sums) {
    for (int64_t i = 0; i < in.num_actions; ++i) grad_log_std_out[i] += group.grad_log_std[i];
    for (int i = 0; i < kNumPpoMetrics; ++i) metrics_out[i] += group.metrics[i];
  }
  for (int i = 0; i < kNumPpoMetrics && in.num_rows > 0; ++i) {
    metrics_out[i] /= static_cast<float>(in.num_rows);
  }
  return {grad_mean, grad_log_std, grad_values, metrics};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("gaussian_ppo_loss", &rlgpu::gaussian_ppo_loss_cpu); }
