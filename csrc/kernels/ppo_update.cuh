// What an update of PPO decides at each minibatch: whether its KL ends the update, the learning
// rate of the adaptive schedule, and which metrics count.
//
// The one idea: these are functions of a few scalars, so the CPU and CUDA share them.
// Source: rl_games, common/schedulers.py, AdaptiveScheduler; rlgpu/learner/progress.py.
#pragma once

#include "gaussian_ppo_loss.cuh"

namespace rlgpu {

// When the adaptive schedule looks at the KL.
enum class AdaptWhen { kNever, kAfterStep, kBeforeStep, kAfterEpoch };

struct PpoRules {
  float kl_limit;  // zero or less: none
  AdaptWhen adapt_when;
  bool adapt_from_start;  // whether minibatches before the first step count
  float adaptive_kl;
  float min_learning_rate;
  float max_learning_rate;
  float min_log_std;
  float max_log_std;
};

struct PpoProgress {
  bool stop;            // the KL has ended the update
  bool stopped_before;  // it had before the current minibatch
  float steps;
  float sums[kNumPpoMetrics];  // of the metrics, over the steps taken
  float last_kl;               // of the last minibatch evaluated
  float grad_norm;             // of the last step taken
  float epoch_kl[2];           // sum over the running epoch's minibatches, and their number
};

RLGPU_HD void check_kl(const PpoRules& rules, float kl, PpoProgress& p) {
  p.stopped_before = p.stop;
  if (!p.stop) p.last_kl = kl;
  if (rules.kl_limit > 0.0f && kl > rules.kl_limit) p.stop = true;
}

RLGPU_HD float adaptive_learning_rate(const PpoRules& rules, float learning_rate, float kl) {
  constexpr float kLess = 1.0f / 1.5f, kMore = 1.5f;
  const float factor =
      kl < 0.5f * rules.adaptive_kl ? kMore : (kl > 2.0f * rules.adaptive_kl ? kLess : 1.0f);
  const float rate = learning_rate * factor;
  return rate < rules.min_learning_rate   ? rules.min_learning_rate
         : rate > rules.max_learning_rate ? rules.max_learning_rate
                                          : rate;
}

// Adapts the rate to the minibatch's KL, or at the end of an epoch to the mean of its minibatches.
// The minibatch that ended the update takes no step, but it lowers the rate and ends its epoch.
RLGPU_HD void adapt(const PpoRules& rules, float kl, bool ends_epoch, PpoProgress& p,
                    float& learning_rate) {
  bool due = !p.stopped_before;
  if (rules.adapt_when == AdaptWhen::kAfterEpoch) {
    if (due) p.epoch_kl[0] += kl, p.epoch_kl[1] += 1.0f;
    kl = p.epoch_kl[0] / (p.epoch_kl[1] < 1.0f ? 1.0f : p.epoch_kl[1]);
    due = due && (ends_epoch || p.stop);
    if (due) p.epoch_kl[0] = p.epoch_kl[1] = 0.0f;
  } else if (!rules.adapt_from_start) {
    due = due && p.steps > 0.0f;
  }
  if (due) learning_rate = adaptive_learning_rate(rules, learning_rate, kl);
}

// Adds the metrics of a minibatch whose step was taken.
RLGPU_HD void account(const float* metrics, float grad_norm, PpoProgress& p) {
  if (p.stop || grad_norm * 0.0f != 0.0f) return;  // non-finite times zero is NaN
  for (int i = 0; i < kNumPpoMetrics; ++i) p.sums[i] += metrics[i];
  p.steps += 1.0f;
  p.grad_norm = grad_norm;
}

RLGPU_HD float clamp_log_std(const PpoRules& rules, float x) {
  return x < rules.min_log_std ? rules.min_log_std
                               : (x > rules.max_log_std ? rules.max_log_std : x);
}

}  // namespace rlgpu
