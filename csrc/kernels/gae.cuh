// Generalised advantage estimation over time-major [T, N] rollouts.
//
// The one idea: one thread walks back in time through an environment's T steps, so neighbouring
// threads read neighbouring environments (coalesced). A rollout that fits in registers is read and
// written once: its advantages stay there until all blocks have exchanged their moments. A larger
// one takes a second pass in the opposite order, which finds the most recent writes in the cache.
// Moments are double partial sums combined in a fixed order, so two runs give the same bits.
// Source: Schulman et al. 2016, "High-dimensional continuous control using GAE", eqs. 11-16.
#pragma once

#include <initializer_list>

#include "reduce.cuh"

namespace rlgpu {

constexpr double kAdvantageEps = 1e-8;

// The advantage of one step, given that of the next. After a failure the next value is zero, after
// a time limit that of the true final observation; both cut the trace.
RLGPU_HD float gae_step(float reward, float value, float next_value, float final_value,
                        bool terminated, bool truncated, float next_advantage, float gamma,
                        float gae_lambda) {
  const float following = terminated ? 0.0f : (truncated ? final_value : next_value);
  const float carried = (terminated || truncated) ? 0.0f : gamma * gae_lambda * next_advantage;
  return reward + gamma * following - value + carried;
}

// No default values: CUDA shared memory requires a trivial constructor. Write `Moments m{}`.
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

// Uses the unbiased standard deviation; a single element has none and is normalised to zero.
RLGPU_HD Normalizer normalizer(const Moments& moments, int64_t count) {
  const double mean = moments.sum / static_cast<double>(count);
  if (count < 2) return {static_cast<float>(mean), 0.0f};
  const double excess = moments.sum_of_squares - moments.sum * mean;
  // NaN passes through: only a negative rounding error is raised to zero.
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

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kGaeSmallBlock = 32;    // spreads few environments over all multiprocessors
constexpr int kGaeBlock = 256;        // hides memory latency where there are many
constexpr int kGaeMaxSteps = 32;      // more would not fit in a thread's registers
constexpr int kGaeMaxPartials = 528;  // every block reads them all

struct GaeOutputs {
  float* __restrict__ advantages;
  float* __restrict__ returns;
};

// Every block adds the same partials in the same order.
template <int kBlock>
__device__ Normalizer combine(const Moments* partials_in, int num_partials, int64_t count) {
  Moments mine{};
  for (int i = threadIdx.x; i < num_partials; i += kBlock) merge(mine, partials_in[i]);
  return normalizer(block_sum<kBlock>(mine), count);
}

// Reads the final value only where a time limit was reached: these are a quarter of the bytes.
__device__ inline float final_value(const GaeInputs& in, int64_t i, bool truncated) {
  return truncated ? in.final_values[i] : 0.0f;
}

// One thread owns one environment with a horizon of at most kSteps. All loads are issued before the
// walk, and values stay in registers until the only store. Coalesced along the environments.
// Cooperative: the grid synchronises once, before it uses the moments. Deterministic.
template <int kSteps, int kBlock>
__global__ void __launch_bounds__(kBlock)
    gae_resident_kernel(GaeInputs in, bool normalize, GaeOutputs out, Moments* partials_out) {
  const int64_t env = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
  const bool active = env < in.num_envs;
  float advantage[kSteps], value[kSteps];
  Moments moments{};
  if (active) {
    float reward[kSteps], final[kSteps];
    bool terminated[kSteps], truncated[kSteps];
#pragma unroll
    for (int t = 0; t < kSteps; ++t) {
      if (t >= in.horizon_length) continue;
      const int64_t i = t * in.num_envs + env;
      reward[t] = in.rewards[i];
      value[t] = in.values[i];
      terminated[t] = in.terminated[i];
      truncated[t] = in.truncated[i];
      final[t] = final_value(in, i, truncated[t]);
    }
    float next_value = in.last_values[env], next_advantage = 0.0f;
#pragma unroll
    for (int t = kSteps - 1; t >= 0; --t) {
      if (t >= in.horizon_length) continue;
      next_advantage = gae_step(reward[t], value[t], next_value, final[t], terminated[t],
                                truncated[t], next_advantage, in.gamma, in.gae_lambda);
      next_value = value[t];
      advantage[t] = next_advantage;
      accumulate(moments, next_advantage);
    }
  }
  Normalizer n{0.0f, 1.0f};
  if (normalize) {
    moments = block_sum<kBlock>(moments);
    if (threadIdx.x == 0) partials_out[blockIdx.x] = moments;
    sync_grid();
    n = combine<kBlock>(partials_out, gridDim.x, in.horizon_length * in.num_envs);
  }
  if (!active) return;
#pragma unroll
  for (int t = 0; t < kSteps; ++t) {
    if (t >= in.horizon_length) continue;
    const int64_t i = t * in.num_envs + env;
    out.advantages[i] = (advantage[t] - n.mean) * n.inverse_std;
    out.returns[i] = advantage[t] + value[t];
  }
}

// One thread owns one environment at a time, striding over the grid, and streams its steps;
// coalesced along the environments. Writes one Moments partial per block; deterministic.
__global__ void __launch_bounds__(kGaeBlock)
    gae_stream_kernel(GaeInputs in, GaeOutputs out, Moments* __restrict__ partials_out) {
  Moments moments{};
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGaeBlock;
  for (int64_t env = blockIdx.x * static_cast<int64_t>(kGaeBlock) + threadIdx.x; env < in.num_envs;
       env += step) {
    float next_value = in.last_values[env], next_advantage = 0.0f;
    // Unrolled so that the loads of later steps are in flight while a step is computed.
#pragma unroll 8
    for (int64_t t = in.horizon_length - 1; t >= 0; --t) {
      const int64_t i = t * in.num_envs + env;
      const float value = in.values[i];
      const bool truncated = in.truncated[i];
      next_advantage =
          gae_step(in.rewards[i], value, next_value, final_value(in, i, truncated),
                   in.terminated[i], truncated, next_advantage, in.gamma, in.gae_lambda);
      next_value = value;
      out.advantages[i] = next_advantage;
      out.returns[i] = next_advantage + value;
      accumulate(moments, next_advantage);
    }
  }
  const Moments total = block_sum<kGaeBlock>(moments);
  if (threadIdx.x == 0) partials_out[blockIdx.x] = total;
}

// Each thread strides over the elements from the front, which gae_stream_kernel, walking back in
// time, wrote last: that part is still in the L2 cache. No atomics, so the order is fixed.
__global__ void __launch_bounds__(kGaeBlock)
    gae_normalize_kernel(const Moments* __restrict__ partials_in, int num_partials, int64_t count,
                         float* __restrict__ advantages_out) {
  const Normalizer n = combine<kGaeBlock>(partials_in, num_partials, count);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGaeBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kGaeBlock) + threadIdx.x; i < count;
       i += step) {
    advantages_out[i] = (advantages_out[i] - n.mean) * n.inverse_std;
  }
}

// Launches the resident kernel if its grid fits on the device, and then sets launched_out.
template <int kSteps, int kBlock>
cudaError_t try_resident(const GaeInputs& in, bool normalize, const GaeOutputs& out,
                         Moments* partials, cudaStream_t stream, bool& launched_out) {
  const auto kernel = &gae_resident_kernel<kSteps, kBlock>;
  const int64_t blocks = num_blocks(in.num_envs, kBlock);
  if (launched_out || in.horizon_length > kSteps || blocks > kGaeMaxPartials ||
      blocks > num_resident_blocks(kernel, kBlock)) {
    return cudaSuccess;
  }
  launched_out = true;
  return launch_cooperative(kernel, dim3(static_cast<unsigned>(blocks)), kBlock, stream, in,
                            normalize, out, partials);
}

// Launches one kernel if the rollout fits in registers, otherwise two. partials: kGaeMaxPartials.
inline cudaError_t launch_gae(const GaeInputs& in, bool normalize, const GaeOutputs& out,
                              Moments* partials, cudaStream_t stream) {
  bool launched = false;
  for (const auto attempt :
       {&try_resident<16, kGaeSmallBlock>, &try_resident<16, kGaeBlock>,
        &try_resident<kGaeMaxSteps, kGaeSmallBlock>, &try_resident<kGaeMaxSteps, kGaeBlock>}) {
    const cudaError_t error = attempt(in, normalize, out, partials, stream, launched);
    if (error != cudaSuccess || launched) return error;
  }
  const unsigned blocks = num_blocks(in.num_envs, kGaeBlock, kGaeMaxPartials);
  if (const cudaError_t error =
          launch(&gae_stream_kernel, dim3(blocks), kGaeBlock, 0, stream, in, out, partials);
      error != cudaSuccess || !normalize) {
    return error;
  }
  const int64_t count = in.horizon_length * in.num_envs;
  return launch(&gae_normalize_kernel, dim3(num_blocks(count, 4 * kGaeBlock, kGaeMaxPartials)),
                kGaeBlock, 0, stream, partials, static_cast<int>(blocks), count, out.advantages);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
