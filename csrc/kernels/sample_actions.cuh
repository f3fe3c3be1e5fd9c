// Draws actions from a diagonal Gaussian and writes them with their log-probabilities.
//
// The one idea: the random numbers are a function of (seed, call, row, action), so the result does
// not depend on how rows are spread over threads.
#pragma once

#include "gaussian.h"
#include "philox.h"

namespace rlgpu {

// One row: num_actions actions and the log-probability of the unclipped action.
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

}  // namespace rlgpu

#if defined(__CUDACC__)
namespace rlgpu {

constexpr int kSampleBlock = 128;

// One thread owns one row; its few actions lie together, so reads stay within a cache line.
// Every thread reads the call number, which advance_call_kernel raises afterwards; deterministic.
__global__ void __launch_bounds__(kSampleBlock)
    sample_actions_kernel(const float* __restrict__ mean_in, const float* __restrict__ log_std_in,
                          const int64_t* __restrict__ rng_state_in, int64_t num_rows,
                          int64_t num_actions, float* __restrict__ actions_out,
                          float* __restrict__ log_probs_out) {
  const int64_t row = blockIdx.x * static_cast<int64_t>(kSampleBlock) + threadIdx.x;
  if (row >= num_rows) return;
  sample_row(mean_in + row * num_actions, log_std_in, static_cast<uint64_t>(rng_state_in[0]),
             static_cast<uint64_t>(rng_state_in[1]), static_cast<uint64_t>(row), num_actions,
             actions_out + row * num_actions, log_probs_out + row);
}

// One thread in all. A launch of its own: no block may raise the number while another reads it.
__global__ void advance_call_kernel(int64_t* __restrict__ rng_state_out) { rng_state_out[1] += 1; }

inline cudaError_t launch_sample_actions(const float* mean_in, const float* log_std_in,
                                         int64_t num_rows, int64_t num_actions, int64_t* rng_state,
                                         float* actions_out, float* log_probs_out,
                                         cudaStream_t stream) {
  const auto grid = static_cast<unsigned>((num_rows + kSampleBlock - 1) / kSampleBlock);
  sample_actions_kernel<<<grid, kSampleBlock, 0, stream>>>(mean_in, log_std_in, rng_state, num_rows,
                                                           num_actions, actions_out, log_probs_out);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
  advance_call_kernel<<<1, 1, 0, stream>>>(rng_state);
  return cudaGetLastError();
}

}  // namespace rlgpu
#endif  // __CUDACC__
