// Draws actions from a diagonal Gaussian and writes them, their log-probabilities, and the network
// outputs they were drawn from, into a rollout's slots.
//
// The one idea: the random numbers are a function of (seed, call, row, action), so the result does
// not depend on how rows are distributed over threads.
#pragma once

#include "gaussian.h"
#include "philox.h"
#include "rng_state.cuh"

namespace rlgpu {

// Samples one row: num_actions actions and the log-probability of the unclipped action.
RLGPU_HD void sample_row(const float* __restrict__ mean, const float* __restrict__ log_std,
                         uint64_t seed, uint64_t call, uint64_t row, int64_t num_actions,
                         float* __restrict__ actions_out, float* __restrict__ log_prob_out) {
  float log_prob = 0.0f;
  float noise[4];
  for (int64_t i = 0; i < num_actions; ++i) {
    if (i % 4 == 0) normals(seed, call, row, static_cast<uint32_t>(i / 4), noise);
    const float action = mean[i] + expf(log_std[i]) * noise[i % 4];
    actions_out[i] = action;
    // z is recomputed from the stored action, as training will.
    log_prob += gaussian_log_prob(standardize(action, mean[i], expf(-log_std[i])), log_std[i]);
  }
  *log_prob_out = log_prob;
}

// The network's outputs may be columns of one matrix, so rows have strides.
struct SampleInputs {
  const float* __restrict__ mean;
  int64_t mean_stride;
  const float* __restrict__ values;
  int64_t values_stride;
  const float* __restrict__ log_std;
  int64_t num_rows;
  int64_t num_actions;
};

struct SampleOutputs {
  float* __restrict__ actions;
  float* __restrict__ log_probs;
  float* __restrict__ mean;
  float* __restrict__ values;
};

// Samples one row and writes all of its outputs to the rollout.
RLGPU_HD void sample_slot(const SampleInputs& in, uint64_t seed, uint64_t call, int64_t row,
                          const SampleOutputs& out) {
  const float* mean = in.mean + row * in.mean_stride;
  sample_row(mean, in.log_std, seed, call, static_cast<uint64_t>(row), in.num_actions,
             out.actions + row * in.num_actions, out.log_probs + row);
  for (int64_t i = 0; i < in.num_actions; ++i) out.mean[row * in.num_actions + i] = mean[i];
  out.values[row] = in.values[row * in.values_stride];
}

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kSampleBlock = 64;  // small: a few thousand rows still reach every multiprocessor

// One thread owns one row; its few actions are adjacent, so reads stay within a cache line.
// Every thread reads the call number, which is incremented afterwards; deterministic.
__global__ void __launch_bounds__(kSampleBlock)
    gaussian_sample_kernel(SampleInputs in, const int64_t* __restrict__ rng_state_in,
                           SampleOutputs out) {
  const int64_t row = blockIdx.x * static_cast<int64_t>(kSampleBlock) + threadIdx.x;
  if (row >= in.num_rows) return;
  sample_slot(in, static_cast<uint64_t>(rng_state_in[0]), static_cast<uint64_t>(rng_state_in[1]),
              row, out);
}

inline cudaError_t launch_gaussian_sample(const SampleInputs& in, int64_t* rng_state,
                                          const SampleOutputs& out, cudaStream_t stream) {
  if (const cudaError_t error =
          launch(&gaussian_sample_kernel, dim3(num_blocks(in.num_rows, kSampleBlock)), kSampleBlock,
                 0, stream, in, static_cast<const int64_t*>(rng_state), out);
      error != cudaSuccess) {
    return error;
  }
  return launch(&advance_call_kernel, dim3(1), 1, 0, stream, rng_state);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
