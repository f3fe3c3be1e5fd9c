// Generalised advantage estimation over time-major [T, N] rollouts.
//
// The one idea: an environment's T steps are one thread's serial walk back in time, so neighbouring
// threads read neighbouring environments (coalesced), and for T <= 32 every load is issued before
// the walk starts. Moments leave each block as double partial sums that are combined in a fixed
// order, so two runs give the same bits.
// Source: Schulman et al. 2016, "High-dimensional continuous control using GAE", eqs. 11-16.
#pragma once

#include "portable.h"

namespace rlgpu {

constexpr double kAdvantageEps = 1e-8;

// The advantage of one step, given that of the next. A failure is followed by nothing, a time limit
// by the value of the true final observation; both cut the trace.
RLGPU_HD float gae_step(float reward, float value, float next_value, float final_value,
                        bool terminated, bool truncated, float next_advantage, float gamma,
                        float gae_lambda) {
  const float following = terminated ? 0.0f : (truncated ? final_value : next_value);
  const float carried = (terminated || truncated) ? 0.0f : gamma * gae_lambda * next_advantage;
  return reward + gamma * following - value + carried;
}

// No default values: CUDA's shared memory wants a trivial constructor. Write `Moments m{}`.
struct Moments {
  double sum;
  double sum_of_squares;
};

RLGPU_HD void accumulate(Moments& moments, double x) {
  moments.sum += x;
  moments.sum_of_squares += x * x;
}

RLGPU_HD void merge(Moments& into, const Moments& other) {
  into.sum += other.sum;
  into.sum_of_squares += other.sum_of_squares;
}

struct Normalizer {
  float mean;
  float inverse_std;
};

// Unbiased standard deviation; a single element has none, so it becomes zero.
RLGPU_HD Normalizer normalizer(const Moments& moments, int64_t count) {
  const double mean = moments.sum / static_cast<double>(count);
  if (count < 2) return {static_cast<float>(mean), 0.0f};
  const double excess = moments.sum_of_squares - moments.sum * mean;
  // NaN passes through: only a negative rounding error is lifted to zero.
  const double variance = (excess < 0.0 ? 0.0 : excess) / static_cast<double>(count - 1);
  return {static_cast<float>(mean),
          static_cast<float>(1.0 / (std::sqrt(variance) + kAdvantageEps))};
}

struct GaeInputs {
  const float* __restrict__ rewards;
  const float* __restrict__ values;
  const bool* __restrict__ terminated;
  const bool* __restrict__ truncated;
  const float* __restrict__ final_values;
  const float* __restrict__ last_values;
  int64_t horizon_length;
  int64_t num_envs;
  float gamma;
  float gae_lambda;
};

}  // namespace rlgpu

#if defined(__CUDACC__)
namespace rlgpu {

constexpr int kGaeBlock = 128;
constexpr int kGaeMaxBlocks = 1024;
constexpr int kGaeRegisterSteps = 32;
constexpr int kNormalizeBlock = 256;

// Number of blocks, and so of Moments partials, that launch_gae uses for num_envs environments.
inline int gae_num_blocks(int64_t num_envs) {
  const int64_t wanted = (num_envs + kGaeBlock - 1) / kGaeBlock;
  return static_cast<int>(wanted < kGaeMaxBlocks ? wanted : kGaeMaxBlocks);
}

// Sums `mine` over a block in a fixed tree; thread 0 holds the result.
template <int kBlock>
__device__ Moments block_sum(Moments mine) {
  __shared__ Moments shared[kBlock];
  shared[threadIdx.x] = mine;
  __syncthreads();
  for (int half = kBlock / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) merge(shared[threadIdx.x], shared[threadIdx.x + half]);
    __syncthreads();
  }
  const Moments total = shared[0];
  __syncthreads();
  return total;
}

// Walks one environment's steps [first, first + count) backwards. kSteps > 0 keeps them in
// registers and issues every load first; kSteps == 0 streams them.
template <int kSteps>
__device__ void gae_walk(const GaeInputs& in, int64_t env, Moments& moments,
                         float* __restrict__ advantages_out, float* __restrict__ returns_out) {
  float next_value = in.last_values[env];
  float next_advantage = 0.0f;
  const int64_t stride = in.num_envs;
  if constexpr (kSteps > 0) {
    float reward[kSteps], value[kSteps], final_value[kSteps];
    bool terminated[kSteps], truncated[kSteps];
#pragma unroll
    for (int t = 0; t < kSteps; ++t) {
      if (t >= in.horizon_length) continue;
      const int64_t i = t * stride + env;
      reward[t] = in.rewards[i];
      value[t] = in.values[i];
      final_value[t] = in.final_values[i];
      terminated[t] = in.terminated[i];
      truncated[t] = in.truncated[i];
    }
#pragma unroll
    for (int t = kSteps - 1; t >= 0; --t) {
      if (t >= in.horizon_length) continue;
      const int64_t i = t * stride + env;
      next_advantage = gae_step(reward[t], value[t], next_value, final_value[t], terminated[t],
                                truncated[t], next_advantage, in.gamma, in.gae_lambda);
      next_value = value[t];
      advantages_out[i] = next_advantage;
      returns_out[i] = next_advantage + value[t];
      accumulate(moments, next_advantage);
    }
  } else {
    for (int64_t t = in.horizon_length - 1; t >= 0; --t) {
      const int64_t i = t * stride + env;
      const float value = in.values[i];
      next_advantage =
          gae_step(in.rewards[i], value, next_value, in.final_values[i], in.terminated[i],
                   in.truncated[i], next_advantage, in.gamma, in.gae_lambda);
      next_value = value;
      advantages_out[i] = next_advantage;
      returns_out[i] = next_advantage + value;
      accumulate(moments, next_advantage);
    }
  }
}

// One thread owns one environment at a time, striding over the grid. Reads and writes are coalesced
// along the environments. Writes one Moments partial a block; deterministic.
template <int kSteps>
__global__ void __launch_bounds__(kGaeBlock)
    gae_kernel(GaeInputs in, float* __restrict__ advantages_out, float* __restrict__ returns_out,
               Moments* __restrict__ partials_out) {
  Moments moments{};
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGaeBlock;
  for (int64_t env = blockIdx.x * static_cast<int64_t>(kGaeBlock) + threadIdx.x; env < in.num_envs;
       env += step) {
    gae_walk<kSteps>(in, env, moments, advantages_out, returns_out);
  }
  const Moments total = block_sum<kGaeBlock>(moments);
  if (threadIdx.x == 0) partials_out[blockIdx.x] = total;
}

// Every block first combines the same partials in the same order (at most 1024, from L2), then its
// threads stride over the elements. No atomics, so no order to get wrong.
__global__ void __launch_bounds__(kNormalizeBlock)
    normalize_kernel(const Moments* __restrict__ partials_in, int num_partials, int64_t count,
                     float* __restrict__ advantages_out) {
  Moments mine{};
  for (int i = threadIdx.x; i < num_partials; i += kNormalizeBlock) merge(mine, partials_in[i]);
  const Normalizer n = normalizer(block_sum<kNormalizeBlock>(mine), count);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kNormalizeBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kNormalizeBlock) + threadIdx.x; i < count;
       i += step) {
    advantages_out[i] = (advantages_out[i] - n.mean) * n.inverse_std;
  }
}

// Launches one kernel, or two with normalisation. partials: gae_num_blocks(num_envs) Moments.
inline cudaError_t launch_gae(const GaeInputs& in, bool normalize, float* advantages_out,
                              float* returns_out, Moments* partials, cudaStream_t stream) {
  const int blocks = gae_num_blocks(in.num_envs);
  const auto walk = in.horizon_length <= 8                   ? gae_kernel<8>
                    : in.horizon_length <= 16                ? gae_kernel<16>
                    : in.horizon_length <= kGaeRegisterSteps ? gae_kernel<kGaeRegisterSteps>
                                                             : gae_kernel<0>;
  walk<<<blocks, kGaeBlock, 0, stream>>>(in, advantages_out, returns_out, partials);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
  if (!normalize) return cudaSuccess;
  const int64_t count = in.horizon_length * in.num_envs;
  const int64_t wanted = (count + kNormalizeBlock - 1) / kNormalizeBlock;
  const int grid = static_cast<int>(wanted < kGaeMaxBlocks ? wanted : kGaeMaxBlocks);
  normalize_kernel<<<grid, kNormalizeBlock, 0, stream>>>(partials, blocks, count, advantages_out);
  return cudaGetLastError();
}

}  // namespace rlgpu
#endif  // __CUDACC__
