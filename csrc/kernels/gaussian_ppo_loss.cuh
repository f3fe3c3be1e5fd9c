// PPO loss of one minibatch and its gradients for mean, log-std and value, in one pass.
//
// The one idea: every term is a sum over rows, so a row's gradients are final once it is visited;
// only the gradient of log-std and the metrics need a reduction, done over fixed groups of rows.
// Source: Schulman et al. 2017, "Proximal policy optimization", eqs. 7 and 9; clipped value loss,
// bounds loss and the factor 1/2 on the value loss as in rl_games (common/common_losses.py).
#pragma once

#include "gaussian.h"
#include "launch.cuh"

namespace rlgpu {

// Action means beyond this bound are pulled back: the environment clips actions at 1.
constexpr float kSoftBound = 1.1f;
constexpr int kMaxActions = 64;

// Five floats in device memory, so that no value is baked into a CUDA graph.
struct PpoCoefficients {
  float clip_ratio;
  float value_loss_coef;
  float clip_value;  // nonzero: the value loss is the larger of the unclipped and clipped loss
  float entropy_coef;
  float bounds_loss_coef;
};
constexpr int kNumPpoCoefficients = 5;
static_assert(sizeof(PpoCoefficients) == kNumPpoCoefficients * sizeof(float));

// Metrics summed over rows, in the order of the metrics tensor.
enum PpoMetric {
  kSurrogateLoss,
  kValueLoss,
  kEntropy,
  kBoundsLoss,
  kApproxKl,
  kClipFraction,
  kNumPpoMetrics
};

struct PpoInputs {
  const float* __restrict__ mean;
  const float* __restrict__ log_std;
  const float* __restrict__ values;
  const float* __restrict__ actions;
  const float* __restrict__ old_log_probs;
  const float* __restrict__ old_mean;
  const float* __restrict__ old_log_std;
  const float* __restrict__ old_values;
  const float* __restrict__ advantages;
  const float* __restrict__ returns;
  int64_t num_rows;
  int64_t num_actions;
};

RLGPU_HD float beyond_soft_bound(float mean) {
  return mean > kSoftBound ? mean - kSoftBound : mean < -kSoftBound ? mean + kSoftBound : 0.0f;
}

// Returns half the squared error of the value, or of the clipped value where that is larger; writes
// its gradient to grad_out.
RLGPU_HD float value_term(float value, float old_value, float target, const PpoCoefficients& c,
                          float& grad_out) {
  const float error = value - target;
  grad_out = error;
  float loss = 0.5f * error * error;
  if (c.clip_value != 0.0f) {
    const float change = value - old_value;
    const float clipped = change > c.clip_ratio    ? c.clip_ratio
                          : change < -c.clip_ratio ? -c.clip_ratio
                                                   : change;
    const float clipped_error = old_value + clipped - target;
    const float clipped_loss = 0.5f * clipped_error * clipped_error;
    if (clipped_loss > loss) {
      loss = clipped_loss;
      grad_out = clipped == change ? clipped_error : 0.0f;
    }
  }
  return loss;
}

// The clipped surrogate loss of one row.
struct SurrogateTerm {
  float loss;
  float grad_log_prob;  // of the loss; 0 if clipped
  float is_outside;     // 1 if the ratio is beyond the clipping range, otherwise 0
};

RLGPU_HD SurrogateTerm surrogate_term(float ratio, float advantage, const PpoCoefficients& c) {
  const float low = 1.0f - c.clip_ratio, high = 1.0f + c.clip_ratio;
  const float clipped_ratio = ratio < low ? low : (ratio > high ? high : ratio);
  const float unclipped_loss = -advantage * ratio;
  const float clipped_loss = -advantage * clipped_ratio;
  const bool clipped = clipped_loss > unclipped_loss;
  return {clipped ? clipped_loss : unclipped_loss, clipped ? 0.0f : unclipped_loss,
          ratio != clipped_ratio ? 1.0f : 0.0f};
}

// Processes one row: writes its gradients (already divided by num_rows) and adds to grad_log_std
// and metrics.
RLGPU_HD void ppo_row(const PpoInputs& in, const ActionScale* __restrict__ scales,
                      const PpoCoefficients& c, int64_t row, float* __restrict__ grad_mean_out,
                      float* __restrict__ grad_values_out, float* __restrict__ grad_log_std,
                      float* __restrict__ metrics) {
  const int64_t num_actions = in.num_actions;
  const float* mean = in.mean + row * num_actions;
  const float* old_mean = in.old_mean + row * num_actions;
  const float* actions = in.actions + row * num_actions;
  const float scale = 1.0f / static_cast<float>(in.num_rows);

  float log_prob = 0.0f, entropy = 0.0f, kl = 0.0f, bounds = 0.0f;
  for (int64_t i = 0; i < num_actions; ++i) {
    const float z = standardize(actions[i], mean[i], scales[i].inverse_std);
    const float excess = beyond_soft_bound(mean[i]);
    log_prob += gaussian_log_prob(z, scales[i].log_std);
    entropy += scales[i].log_std + kHalfLog2Pi + 0.5f;
    kl += gaussian_kl(old_mean[i], mean[i], scales[i]);
    bounds += excess * excess;
  }

  const SurrogateTerm surrogate =
      surrogate_term(expf(log_prob - in.old_log_probs[row]), in.advantages[row], c);
  const float grad_log_prob = surrogate.grad_log_prob * scale;

  // z is recomputed: an array of run-time length would not stay in registers on a GPU.
  for (int64_t i = 0; i < num_actions; ++i) {
    const float z = standardize(actions[i], mean[i], scales[i].inverse_std);
    grad_mean_out[row * num_actions + i] =
        grad_log_prob * z * scales[i].inverse_std +
        2.0f * c.bounds_loss_coef * beyond_soft_bound(mean[i]) * scale;
    grad_log_std[i] += grad_log_prob * (z * z - 1.0f) - c.entropy_coef * scale;
  }
  float grad_value;
  const float value_loss =
      value_term(in.values[row], in.old_values[row], in.returns[row], c, grad_value);
  grad_values_out[row] = c.value_loss_coef * grad_value * scale;

  metrics[kSurrogateLoss] += surrogate.loss;
  metrics[kValueLoss] += value_loss;
  metrics[kEntropy] += entropy;
  metrics[kBoundsLoss] += bounds;
  metrics[kApproxKl] += kl;
  metrics[kClipFraction] += surrogate.is_outside;
}

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kPpoBlock = 128;       // its rows' sums fit 48 KB of shared memory up to 64 actions
constexpr int kPpoFinalBlock = 128;  // at least kMaxActions + kNumPpoMetrics

inline int64_t ppo_num_blocks(int64_t num_rows) { return (num_rows + kPpoBlock - 1) / kPpoBlock; }

// One thread owns one row and writes its sums to its slice of shared memory; then one thread per
// column adds the block's rows in order and writes a partial. Deterministic.
__global__ void __launch_bounds__(kPpoBlock)
    gaussian_ppo_loss_kernel(PpoInputs in, const PpoCoefficients* __restrict__ coefficients_in,
                             float* __restrict__ grad_mean_out, float* __restrict__ grad_values_out,
                             float* __restrict__ partials_out) {
  float* sums = dynamic_shared<float>();  // [kPpoBlock, num_actions + kNumPpoMetrics]
  __shared__ ActionScale scales[kMaxActions];
  const int width = static_cast<int>(in.num_actions) + kNumPpoMetrics;
  for (int i = threadIdx.x; i < in.num_actions; i += kPpoBlock) {
    scales[i] = action_scale(in.log_std[i], in.old_log_std[i]);
  }
  float* mine = sums + threadIdx.x * width;
  for (int i = 0; i < width; ++i) mine[i] = 0.0f;
  __syncthreads();
  const int64_t row = blockIdx.x * static_cast<int64_t>(kPpoBlock) + threadIdx.x;
  if (row < in.num_rows) {
    ppo_row(in, scales, *coefficients_in, row, grad_mean_out, grad_values_out, mine,
            mine + in.num_actions);
  }
  __syncthreads();
  for (int column = threadIdx.x; column < width; column += kPpoBlock) {
    float total = 0.0f;
    for (int i = 0; i < kPpoBlock; ++i) total += sums[i * width + column];
    partials_out[static_cast<int64_t>(blockIdx.x) * width + column] = total;
  }
}

// One thread owns one column of the partials and adds them in order. One block.
__global__ void __launch_bounds__(kPpoFinalBlock)
    ppo_finish_kernel(const float* __restrict__ partials_in, int64_t num_partials,
                      int64_t num_actions, int64_t num_rows, float* __restrict__ grad_log_std_out,
                      float* __restrict__ metrics_out) {
  const int column = threadIdx.x;
  const int64_t width = num_actions + kNumPpoMetrics;
  if (column >= width) return;
  float total = 0.0f;
#pragma unroll 8
  for (int64_t i = 0; i < num_partials; ++i) total += partials_in[i * width + column];
  if (column < num_actions) {
    grad_log_std_out[column] = total;
  } else {
    metrics_out[column - num_actions] = total / static_cast<float>(num_rows);
  }
}

// partials: ppo_num_blocks(num_rows) * (num_actions + kNumPpoMetrics) floats.
inline cudaError_t launch_gaussian_ppo_loss(const PpoInputs& in,
                                            const PpoCoefficients* coefficients_in,
                                            float* grad_mean_out, float* grad_values_out,
                                            float* grad_log_std_out, float* metrics_out,
                                            float* partials, cudaStream_t stream) {
  const int64_t blocks = ppo_num_blocks(in.num_rows);
  const size_t shared = sizeof(float) * kPpoBlock * (in.num_actions + kNumPpoMetrics);
  if (const cudaError_t error =
          launch(&gaussian_ppo_loss_kernel, dim3(static_cast<unsigned>(blocks)), kPpoBlock, shared,
                 stream, in, coefficients_in, grad_mean_out, grad_values_out, partials);
      error != cudaSuccess) {
    return error;
  }
  return launch(&ppo_finish_kernel, dim3(1), kPpoFinalBlock, 0, stream,
                static_cast<const float*>(partials), blocks, in.num_actions, in.num_rows,
                grad_log_std_out, metrics_out);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
