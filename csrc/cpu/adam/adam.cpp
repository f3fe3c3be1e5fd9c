// Adam on the CPU: the norm over fixed groups, then one vectorised update.
#include "adam.h"

#include <vector>

#include "../tiles/parallel.h"

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

}  // namespace

double take_adam_step(const AdamHyperparameters& h, float learning_rate, bool stop,
                      const float* grads_in, int64_t count, int64_t num_threads,
                      const AdamBuffers& buffers_out) {
  const int64_t num_groups = (count + kGroup - 1) / kGroup;
  std::vector<double> partials(num_groups);
  tiles::in_parallel(num_threads, num_groups, [&](int64_t, int64_t group) {
    const int64_t begin = group * kGroup;
    partials[group] = sum_of_squares(grads_in + begin, std::min(kGroup, count - begin));
  });
  double total = 0.0;
  for (const double partial : partials) total += partial;
  const double norm = std::sqrt(total);
  if (stop) return norm;
  if (!std::isfinite(norm)) {
    *buffers_out.nonfinite_steps += 1;
    return norm;
  }
  *buffers_out.step += 1;
  const AdamScalars s = adam_scalars(h, learning_rate, *buffers_out.step, norm);
  tiles::in_parallel(num_threads, num_groups, [&](int64_t, int64_t group) {
    const int64_t begin = group * kGroup;
    adam_range(h, s, grads_in + begin, std::min(kGroup, count - begin), buffers_out.params + begin,
               buffers_out.exp_avg + begin, buffers_out.exp_avg_sq + begin);
  });
  return norm;
}

}  // namespace rlgpu
