// Running mean and variance of observations: a batch's moments, their merge, and what they do to x.
//
// The one idea: values are centred by the running mean in float32, where nothing is lost, and
// summed in double, so that one pass over the batch is exact enough for any offset. Partial sums
// are combined in a fixed order. Rows with a non-finite number are left out. Source: Chan, Golub
// and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1; epsilon, clip and
// population variance as in rl_games (algos_torch/running_mean_std.py).
#pragma once

#include "launch.cuh"

namespace rlgpu {

constexpr double kStatsEps = 1e-5;

// What a batch says of one feature, around the running mean it was centred by.
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

RLGPU_HD RunningMoments merge(const RunningMoments& old, const BatchMoments& batch, float shift) {
  if (batch.count <= 0.0) return old;
  const double offset = batch.sum / batch.count;
  const double squares = batch.sum_of_squares - batch.sum * offset;
  const double total = old.count + batch.count;
  const double delta = static_cast<double>(shift) + offset - old.mean;
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

// NaN passes: both comparisons are false.
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
constexpr int kStatsWarps = kStatsBlock / 32;
constexpr int kStatsMaxBlocks = 264;
constexpr int kStatsLaneColumns = 4;
constexpr int kStatsColumns = 32 * kStatsLaneColumns;  // of one block

// One warp owns a row at a time, its lanes the columns; one block 128 columns (blockIdx.y). Rows
// are read whole, to know whether they are finite: coalesced. One partial a block and column.
__global__ void __launch_bounds__(kStatsBlock)
    stats_moments_kernel(const float* __restrict__ x_in, const double* __restrict__ mean_in,
                         int64_t num_rows, int width, BatchMoments* __restrict__ partials_out) {
  __shared__ BatchMoments shared[kStatsWarps][kStatsColumns];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first = blockIdx.y * kStatsColumns + lane;
  BatchMoments moments[kStatsLaneColumns] = {};
  const int64_t step = static_cast<int64_t>(gridDim.x) * kStatsWarps;
  for (int64_t row = blockIdx.x * static_cast<int64_t>(kStatsWarps) + warp; row < num_rows;
       row += step) {
    const float* x = x_in + row * width;
    bool finite = true;
    for (int column = lane; column < width; column += 32) finite = finite && isfinite(x[column]);
    if (!__all_sync(0xffffffffu, finite)) continue;
#pragma unroll
    for (int k = 0; k < kStatsLaneColumns; ++k) {
      const int column = first + 32 * k;
      if (column >= width) continue;
      const double centred = x[column] - static_cast<float>(mean_in[column]);
      moments[k].count += 1.0;
      moments[k].sum += centred;
      moments[k].sum_of_squares += centred * centred;
    }
  }
#pragma unroll
  for (int k = 0; k < kStatsLaneColumns; ++k) shared[warp][lane + 32 * k] = moments[k];
  __syncthreads();
  for (int i = threadIdx.x; i < kStatsColumns; i += kStatsBlock) {
    const int column = blockIdx.y * kStatsColumns + i;
    if (column >= width) continue;
    BatchMoments total = shared[0][i];
    for (int w = 1; w < kStatsWarps; ++w) {
      total.count += shared[w][i].count;
      total.sum += shared[w][i].sum;
      total.sum_of_squares += shared[w][i].sum_of_squares;
    }
    partials_out[blockIdx.x * static_cast<int64_t>(width) + column] = total;
  }
}

// One warp owns one column: its lanes add the partials in a fixed order. The count is the same for
// all columns and is written once all have read it. One block.
__global__ void __launch_bounds__(kStatsBlock)
    stats_merge_kernel(const BatchMoments* __restrict__ partials_in, int num_partials, int width,
                       StatsBuffers buffers_out) {
  const double old_count = *buffers_out.count;
  const int lane = threadIdx.x % 32;
  double count = 0.0;
  for (int column = threadIdx.x / 32; column < width; column += kStatsWarps) {
    BatchMoments total{};
    for (int i = lane; i < num_partials; i += 32) {
      const BatchMoments& partial = partials_in[i * static_cast<int64_t>(width) + column];
      total.count += partial.count;
      total.sum += partial.sum;
      total.sum_of_squares += partial.sum_of_squares;
    }
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) {
      total.count += __shfl_xor_sync(0xffffffffu, total.count, mask);
      total.sum += __shfl_xor_sync(0xffffffffu, total.sum, mask);
      total.sum_of_squares += __shfl_xor_sync(0xffffffffu, total.sum_of_squares, mask);
    }
    const RunningMoments old{buffers_out.mean[column], buffers_out.var[column], old_count};
    const RunningMoments merged = merge(old, total, static_cast<float>(old.mean));
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

// partials: stats_num_partials(num_rows) * width BatchMoments.
inline cudaError_t launch_running_stats(const float* x_in, int64_t num_rows, int width,
                                        const StatsBuffers& buffers_out, BatchMoments* partials,
                                        cudaStream_t stream) {
  const int blocks = stats_num_partials(num_rows);
  const dim3 grid(blocks, (width + kStatsColumns - 1) / kStatsColumns);
  if (const cudaError_t error =
          launch(&stats_moments_kernel, grid, kStatsBlock, 0, stream, x_in,
                 static_cast<const double*>(buffers_out.mean), num_rows, width, partials);
      error != cudaSuccess) {
    return error;
  }
  return launch(&stats_merge_kernel, dim3(1), kStatsBlock, 0, stream,
                static_cast<const BatchMoments*>(partials), blocks, width, buffers_out);
}

inline cudaError_t launch_normalize(const float* x_in, const float* scale_in,
                                    const float* offset_in, int64_t count, int width, float clip,
                                    float* y_out, cudaStream_t stream) {
  return launch(&normalize_kernel, dim3(num_blocks(count, kStatsBlock, 4096)), kStatsBlock, 0,
                stream, x_in, scale_in, offset_in, count, width, clip, y_out);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
