// running_stats and normalize on the CPU: fixed groups of rows in parallel, combined in order.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../checks/running_stats.h"

namespace rlgpu {
namespace {

// Fixed, so that the sums do not depend on the number of threads.
constexpr int64_t kRowsPerGroup = 1024;

bool is_finite(const float* x, int64_t width) {
  // A sum of finite numbers may overflow; a product with zero is NaN exactly if x is not finite.
  float nothing = 0.0f;
  for (int64_t i = 0; i < width; ++i) nothing += x[i] * 0.0f;
  return nothing == 0.0f;
}

RLGPU_CPU_CLONES void add_row(const float* __restrict__ x, const StatsRange* __restrict__ ranges,
                              int64_t width, double* __restrict__ sum,
                              double* __restrict__ sum_of_squares) {
  for (int64_t i = 0; i < width; ++i) {
    const double value = centred(x[i], ranges[i]);
    sum[i] += value;
    sum_of_squares[i] += value * value;
  }
}

void running_stats_cpu(const at::Tensor& x, at::Tensor& mean, at::Tensor& var, at::Tensor& count,
                       at::Tensor& scale, at::Tensor& offset) {
  const StatsTensors tensors{mean, var, count, scale, offset};
  check_running_stats(x, tensors);
  const at::Tensor rows = x.contiguous();
  const int64_t num_rows = x.size(0), width = x.size(1);
  const StatsBuffers out = buffers(tensors);
  const float* x_in = rows.const_data_ptr<float>();
  std::vector<StatsRange> ranges(width);
  for (int64_t i = 0; i < width; ++i) {
    const float first = num_rows > 0 ? x_in[i] : 0.0f;
    ranges[i] = stats_range({out.mean[i], out.var[i], *out.count}, first);
  }
  const int64_t num_groups = (num_rows + kRowsPerGroup - 1) / kRowsPerGroup;
  std::vector<double> sums(num_groups * 2 * width), counts(num_groups);
  at::parallel_for(0, num_groups, 1, [&](int64_t first, int64_t end) {
    for (int64_t group = first; group < end; ++group) {
      double* sum = sums.data() + group * 2 * width;
      const int64_t stop = std::min((group + 1) * kRowsPerGroup, num_rows);
      for (int64_t row = group * kRowsPerGroup; row < stop; ++row) {
        if (!is_finite(x_in + row * width, width)) continue;
        counts[group] += 1.0;
        add_row(x_in + row * width, ranges.data(), width, sum, sum + width);
      }
    }
  });
  const double old_count = *out.count;
  for (int64_t i = 0; i < width; ++i) {
    BatchMoments batch{};
    for (int64_t group = 0; group < num_groups; ++group) {
      batch.count += counts[group];
      batch.sum += sums[group * 2 * width + i];
      batch.sum_of_squares += sums[(group * 2 + 1) * width + i];
    }
    const RunningMoments merged = merge({out.mean[i], out.var[i], old_count}, batch);
    out.mean[i] = merged.mean;
    out.var[i] = merged.var;
    snapshot(merged, out.scale[i], out.offset[i]);
    *out.count = merged.count;
  }
}

RLGPU_CPU_CLONES void normalize_row(const float* __restrict__ x, const float* __restrict__ scale,
                                    const float* __restrict__ offset, int64_t width, float clip,
                                    float* __restrict__ y_out) {
  for (int64_t i = 0; i < width; ++i) y_out[i] = normalize(x[i], scale[i], offset[i], clip);
}

void normalize_cpu(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& offset,
                   double clip, at::Tensor& out) {
  check_normalize(x, scale, offset, out);
  const at::Tensor rows = x.contiguous(), scale_c = scale.contiguous(),
                   offset_c = offset.contiguous();
  const int64_t width = x.size(1);
  const float* x_in = rows.const_data_ptr<float>();
  float* y_out = out.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      normalize_row(x_in + row * width, scale_c.const_data_ptr<float>(),
                    offset_c.const_data_ptr<float>(), width, static_cast<float>(clip),
                    y_out + row * width);
    }
  });
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) {
  m.impl("running_stats", &rlgpu::running_stats_cpu);
  m.impl("normalize", &rlgpu::normalize_cpu);
}
