// Running mean and variance of observations: batch moments, their merge, and normalising x by them.
//
// The one idea: values are centred by the running mean and summed in double, so that one pass over
// the batch is accurate for any offset. Partial sums are combined in a fixed order. Rows with a
// non-finite value are skipped, and a value far beyond all earlier ones is clamped: one row of an
// exploding simulation would otherwise set the scale for the rest of the run. Source: Chan,
// Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1; epsilon, clip
// and population variance as in rl_games (algos_torch/running_mean_std.py).
#pragma once

#include "reduce.cuh"

namespace rlgpu {

constexpr double kStatsEps = 1e-5;
// A value may be at most this many times (|mean| + standard deviation) from zero. Large enough for
// heavy tails; the bound can grow a hundredfold with every batch, so it adapts to any scale.
constexpr double kStatsReach = 100.0;

// Moments of one feature over a batch, centred by the running mean.
struct BatchMoments {
  double count;
  double sum;
  double sum_of_squares;
};

struct RunningMoments {
  double mean;
  double var;
  double count;
};

// Per-feature values shared by all rows: the centre, and the largest allowed distance from zero.
struct StatsRange {
  double mean;
  double bound;
};

// Before the first merge, the batch's first row provides the magnitude of the mean.
RLGPU_HD StatsRange stats_range(const RunningMoments& old, float first) {
  const bool known = old.count > 0.0 || first * 0.0f != 0.0f;  // non-finite times zero is NaN
  const double size = fabs(known ? old.mean : first);
  return {old.mean, kStatsReach * (size + sqrt(old.var + kStatsEps))};
}

RLGPU_HD double centred(float x, const StatsRange& range) {
  const double value = x;
  const double bounded =
      value > range.bound ? range.bound : (value < -range.bound ? -range.bound : value);
  return bounded - range.mean;
}

RLGPU_HD RunningMoments merge(const RunningMoments& old, const BatchMoments& batch) {
  if (batch.count <= 0.0) return old;
  const double delta = batch.sum / batch.count;
  const double squares = batch.sum_of_squares - batch.sum * delta;
  const double total = old.count + batch.count;
  const double between = delta * delta * old.count * batch.count / total;
  return {old.mean + delta * batch.count / total,
          (old.var * old.count + (squares < 0.0 ? 0.0 : squares) + between) / total, total};
}

// normalize(x) = x * scale + offset, clamped.
RLGPU_HD void snapshot(const RunningMoments& m, float& scale_out, float& offset_out) {
  const double inverse_std = 1.0 / sqrt(m.var + kStatsEps);
  scale_out = static_cast<float>(inverse_std);
  offset_out = static_cast<float>(-m.mean * inverse_std);
}

// NaN passes through: both comparisons are false.
RLGPU_HD float normalize(float x, float scale, float offset, float clip) {
  const float y = offset + x * scale;
  return y > clip ? clip : y < -clip ? -clip : y;
}

struct StatsBuffers {
  double* __restrict__ mean;
  double* __restrict__ var;
  double* __restrict__ count;
  float* __restrict__ scale;
  float* __restrict__ offset;
};

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kStatsBlock = 256;
constexpr int kStatsWarps = kStatsBlock / kWarp;
constexpr int kStatsMaxBlocks = 264;       // two for each multiprocessor of an H100
constexpr int kNormalizeMaxBlocks = 4096;  // beyond that, a thread handles several elements
constexpr int kStatsLaneColumns = 4;       // columns whose moments one lane keeps in registers
constexpr int kStatsColumns = kWarp * kStatsLaneColumns;  // columns per block

// One warp owns a row at a time and its lanes the columns; a block owns 128 columns (blockIdx.y).
// Whole rows are read to check that they are finite; coalesced. One partial per block and column.
__global__ void __launch_bounds__(kStatsBlock)
    stats_moments_kernel(const float* __restrict__ x_in, StatsBuffers old, int64_t num_rows,
                         int width, BatchMoments* __restrict__ partials_out) {
  __shared__ BatchMoments shared[kStatsWarps][kStatsColumns];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int first = blockIdx.y * kStatsColumns + lane;
  BatchMoments moments[kStatsLaneColumns] = {};
  StatsRange ranges[kStatsLaneColumns];
#pragma unroll
  for (int k = 0; k < kStatsLaneColumns; ++k) {
    const int column = first + kWarp * k;
    if (column < width) {
      ranges[k] = stats_range({old.mean[column], old.var[column], *old.count}, x_in[column]);
    }
  }
  const int64_t step = static_cast<int64_t>(gridDim.x) * kStatsWarps;
  for (int64_t row = blockIdx.x * static_cast<int64_t>(kStatsWarps) + warp; row < num_rows;
       row += step) {
    const float* x = x_in + row * width;
    bool finite = true;
    for (int column = lane; column < width; column += kWarp) finite = finite && isfinite(x[column]);
    if (!__all_sync(kWholeWarp, finite)) continue;
#pragma unroll
    for (int k = 0; k < kStatsLaneColumns; ++k) {
      const int column = first + kWarp * k;
      if (column >= width) continue;
      const double value = centred(x[column], ranges[k]);
      moments[k].count += 1.0;
      moments[k].sum += value;
      moments[k].sum_of_squares += value * value;
    }
  }
#pragma unroll
  for (int k = 0; k < kStatsLaneColumns; ++k) shared[warp][lane + kWarp * k] = moments[k];
  __syncthreads();
  for (int i = threadIdx.x; i < kStatsColumns; i += kStatsBlock) {
    const int column = blockIdx.y * kStatsColumns + i;
    if (column >= width) continue;
    BatchMoments total = shared[0][i];
    for (int w = 1; w < kStatsWarps; ++w) add_fields(total, shared[w][i]);
    partials_out[blockIdx.x * static_cast<int64_t>(width) + column] = total;
  }
}

// One warp owns one column: its lanes add the partials in a fixed order. The count is the same for
// all columns and is written after all threads have read it. One block.
__global__ void __launch_bounds__(kStatsBlock)
    stats_merge_kernel(const BatchMoments* __restrict__ partials_in, int num_partials, int width,
                       StatsBuffers buffers_out) {
  const double old_count = *buffers_out.count;
  const int lane = threadIdx.x % kWarp;
  double count = 0.0;
  for (int column = threadIdx.x / kWarp; column < width; column += kStatsWarps) {
    BatchMoments total{};
    for (int i = lane; i < num_partials; i += kWarp) {
      add_fields(total, partials_in[i * static_cast<int64_t>(width) + column]);
    }
    total = warp_sum(total);
    const RunningMoments old{buffers_out.mean[column], buffers_out.var[column], old_count};
    const RunningMoments merged = merge(old, total);
    count = merged.count;
    if (lane != 0) continue;
    buffers_out.mean[column] = merged.mean;
    buffers_out.var[column] = merged.var;
    snapshot(merged, buffers_out.scale[column], buffers_out.offset[column]);
  }
  __syncthreads();
  if (threadIdx.x == 0 && width > 0) *buffers_out.count = count;
}

// One thread owns one element at a time, striding over the grid; coalesced.
__global__ void __launch_bounds__(kStatsBlock)
    normalize_kernel(const float* __restrict__ x_in, const float* __restrict__ scale_in,
                     const float* __restrict__ offset_in, int64_t count, int width, float clip,
                     float* __restrict__ y_out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kStatsBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kStatsBlock) + threadIdx.x; i < count;
       i += step) {
    const int column = static_cast<int>(i % width);
    y_out[i] = normalize(x_in[i], scale_in[column], offset_in[column], clip);
  }
}

inline int stats_num_partials(int64_t num_rows) {
  return static_cast<int>(num_blocks(num_rows, kStatsWarps, kStatsMaxBlocks));
}

// partials: stats_num_partials(num_rows) * width BatchMoments. With no rows the moments do not
// change, but scale and offset are recomputed from them, as on the CPU.
inline cudaError_t launch_running_stats(const float* x_in, int64_t num_rows, int width,
                                        const StatsBuffers& buffers_out, BatchMoments* partials,
                                        cudaStream_t stream) {
  const int blocks = stats_num_partials(num_rows);
  const dim3 grid(blocks, (width + kStatsColumns - 1) / kStatsColumns);
  if (const cudaError_t error = launch(&stats_moments_kernel, grid, kStatsBlock, 0, stream, x_in,
                                       buffers_out, num_rows, width, partials);
      error != cudaSuccess) {
    return error;
  }
  return launch(&stats_merge_kernel, dim3(1), kStatsBlock, 0, stream,
                static_cast<const BatchMoments*>(partials), blocks, width, buffers_out);
}

inline cudaError_t launch_normalize(const float* x_in, const float* scale_in,
                                    const float* offset_in, int64_t count, int width, float clip,
                                    float* y_out, cudaStream_t stream) {
  return launch(&normalize_kernel, dim3(num_blocks(count, kStatsBlock, kNormalizeMaxBlocks)),
                kStatsBlock, 0, stream, x_in, scale_in, offset_in, count, width, clip, y_out);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
