// Log-probability of a diagonal Gaussian, defined once: acting and training must agree bit for bit,
// so that the first minibatch of an iteration has a ratio of exactly 1.
#pragma once

#include "portable.h"

namespace rlgpu {

// One action's term of the log-probability. z = (action - mean) / std.
RLGPU_HD float gaussian_log_prob(float z, float log_std) {
  return -0.5f * z * z - log_std - kHalfLog2Pi;
}

RLGPU_HD float standardize(float action, float mean, float inverse_std) {
  return (action - mean) * inverse_std;
}

// Per-action values shared by all rows, from the current and the old standard deviation.
struct ActionScale {
  float log_std;
  float inverse_std;
  float kl_constant;
};

RLGPU_HD ActionScale action_scale(float log_std, float old_log_std) {
  const float log_ratio = log_std - old_log_std;
  return {log_std, expf(-log_std), log_ratio + 0.5f * expf(-2.0f * log_ratio) - 0.5f};
}

// One action's term of KL(old || new); exactly zero when both are the same distribution.
RLGPU_HD float gaussian_kl(float old_mean, float mean, const ActionScale& scale) {
  const float shift = (old_mean - mean) * scale.inverse_std;
  return scale.kl_constant + 0.5f * shift * shift;
}

}  // namespace rlgpu
