// adam_step on the CPU: the norm over fixed groups, then one vectorised update.
#include <ATen/Parallel.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../checks/adam_step.h"
#include "../kernels/adam_step.cuh"

namespace rlgpu {
namespace {

// Fixed, so that the norm does not depend on the number of threads.
constexpr int64_t kGroup = 16384;

RLGPU_CPU_CLONES void adam_range(const AdamHyperparameters& h, const AdamScalars& s,
                                 const float* __restrict__ grads_in, int64_t count,
                                 float* __restrict__ params_out, float* __restrict__ exp_avg_out,
                                 float* __restrict__ exp_avg_sq_out) {
  for (int64_t i = 0; i < count; ++i) {
    adam_element(h, s, grads_in[i], params_out[i], exp_avg_out[i], exp_avg_sq_out[i]);
  }
}

double sum_of_squares(const float* values, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int k = 0; k < 8; ++k) sums[k] += static_cast<double>(values[i + k]) * values[i + k];
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(values[i]) * values[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

at::Tensor adam_step_cpu(at::Tensor& params, at::Tensor& exp_avg, at::Tensor& exp_avg_sq,
                         at::Tensor& step, at::Tensor& nonfinite_steps, const at::Tensor& grads,
                         const at::Tensor& learning_rate, const at::Tensor& stop, double beta1,
                         double beta2, double eps, double max_grad_norm) {
  check_adam_step(params, exp_avg, exp_avg_sq, step, nonfinite_steps, grads, learning_rate, stop);
  const at::Tensor grads_c = grads.contiguous();
  const float* grads_in = grads_c.const_data_ptr<float>();
  const int64_t count = params.numel();
  const int64_t num_groups = (count + kGroup - 1) / kGroup;
  std::vector<double> partials(num_groups);
  at::parallel_for(0, num_groups, 1, [&](int64_t first, int64_t end) {
    for (int64_t group = first; group < end; ++group) {
      const int64_t begin = group * kGroup;
      partials[group] = sum_of_squares(grads_in + begin, std::min(kGroup, count - begin));
    }
  });
  double total = 0.0;
  for (const double partial : partials) total += partial;
  const double grad_norm = std::sqrt(total);

  const bool stopped = *stop.const_data_ptr<bool>();
  if (!stopped && !std::isfinite(grad_norm)) {
    *nonfinite_steps.mutable_data_ptr<int64_t>() += 1;
  } else if (!stopped) {
    int64_t& steps = *step.mutable_data_ptr<int64_t>();
    steps += 1;
    const AdamHyperparameters h{static_cast<float>(beta1), static_cast<float>(beta2),
                                static_cast<float>(eps), static_cast<float>(max_grad_norm)};
    const AdamScalars s = adam_scalars(h, *learning_rate.const_data_ptr<float>(), steps, grad_norm);
    float* params_out = params.mutable_data_ptr<float>();
    float* exp_avg_out = exp_avg.mutable_data_ptr<float>();
    float* exp_avg_sq_out = exp_avg_sq.mutable_data_ptr<float>();
    at::parallel_for(0, count, kGroup, [&](int64_t begin, int64_t end) {
      adam_range(h, s, grads_in + begin, end - begin, params_out + begin, exp_avg_out + begin,
                 exp_avg_sq_out + begin);
    });
  }
  return at::scalar_tensor(grad_norm, params.options());
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("adam_step", &rlgpu::adam_step_cpu); }
