// PPO's loss for sixteen rows side by side.
//
// The one idea: loops over the rows of a block are innermost, so that compilers turn the arithmetic
// that CUDA's threads share (kernels/gaussian_ppo_loss.cuh) into vectors. Sums are kept for each of
// sixteen lanes whatever a vector's width, so they have the same bits on every CPU.
#include "loss.h"

#include <algorithm>
#include <cmath>

namespace rlgpu::ppo {
namespace {

// What the loss needs of 16 rows. Lanes without a row repeat the last one, with a share of 0.
struct Block {
  alignas(64) float actions[kMaxOutputs][kLanes];
  alignas(64) float old_outputs[kMaxOutputs][kLanes];
  alignas(64) float outputs[kMaxOutputs][kLanes];  // then their gradients
  alignas(64) float values[kLanes];                // then their gradients
  alignas(64) float old_log_probs[kLanes];
  alignas(64) float old_values[kLanes];
  alignas(64) float advantages[kLanes];
  alignas(64) float returns[kLanes];
  alignas(64) float present[kLanes];  // 1 for a row, otherwise 0
};

// Log-probabilities of all choices, and the entropy of each action.
struct Choices {
  alignas(64) float log_probs[kMaxOutputs][kLanes];
  alignas(64) float entropy[kMaxOutputs][kLanes];
};

// Per row, what a distribution gives to the loss, and what the loss gives back.
struct Terms {
  alignas(64) float log_prob[kLanes];
  alignas(64) float entropy[kLanes];
  alignas(64) float kl[kLanes];
  alignas(64) float bounds[kLanes];
  alignas(64) float grad_log_prob[kLanes];
};

RLGPU_CPU_CLONES void gaussian_terms(const ActionScale* scales, int64_t num_actions,
                                     const Block& block, Terms& terms) {
  terms = Terms{};
  for (int64_t i = 0; i < num_actions; ++i) {
    const ActionScale scale = scales[i];
    for (int lane = 0; lane < kLanes; ++lane) {
      const float mean = block.outputs[i][lane];
      const float z = standardize(block.actions[i][lane], mean, scale.inverse_std);
      const float excess = beyond_soft_bound(mean);
      terms.log_prob[lane] += gaussian_log_prob(z, scale.log_std);
      terms.entropy[lane] += scale.log_std + kHalfLog2Pi + 0.5f;
      terms.kl[lane] += gaussian_kl(block.old_outputs[i][lane], mean, scale);
      terms.bounds[lane] += excess * excess;
    }
  }
}

RLGPU_CPU_CLONES void gaussian_gradients(const ActionScale* scales, int64_t num_actions,
                                         const PpoCoefficients& c, const float* share,
                                         const Terms& terms, Block& block, LossSums& sums) {
  for (int64_t i = 0; i < num_actions; ++i) {
    const ActionScale scale = scales[i];
    for (int lane = 0; lane < kLanes; ++lane) {
      const float mean = block.outputs[i][lane], grad_log_prob = terms.grad_log_prob[lane];
      const float z = standardize(block.actions[i][lane], mean, scale.inverse_std);
      block.outputs[i][lane] = grad_log_prob * z * scale.inverse_std +
                               2.0f * c.bounds_loss_coef * beyond_soft_bound(mean) * share[lane];
      sums.log_std[i][lane] += grad_log_prob * (z * z - 1.0f) - c.entropy_coef * share[lane];
    }
  }
}

// Writes log-softmax of count rows of logits.
RLGPU_CPU_CLONES void log_softmax(const float (*__restrict__ logits_in)[kLanes], int64_t count,
                                  float (*__restrict__ log_probs_out)[kLanes]) {
  float most[kLanes], sum[kLanes] = {};
  for (int lane = 0; lane < kLanes; ++lane) most[lane] = logits_in[0][lane];
  for (int64_t i = 1; i < count; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) {
      most[lane] = logits_in[i][lane] > most[lane] ? logits_in[i][lane] : most[lane];
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sum[lane] += exp_vectorized(logits_in[i][lane] - most[lane]);
    }
  }
  for (int lane = 0; lane < kLanes; ++lane) most[lane] += std::log(sum[lane]);
  for (int64_t i = 0; i < count; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) {
      log_probs_out[i][lane] = logits_in[i][lane] - most[lane];
    }
  }
}

// The old log-probabilities are computed again from the logits: then the ratio is exactly 1 as long
// as the network is the one that acted.
RLGPU_CPU_CLONES void categorical_terms(const std::vector<int64_t>& choices, Block& block,
                                        Terms& terms, Choices& out) {
  terms = Terms{};
  float old_log_probs[kMaxOutputs][kLanes];
  std::fill_n(block.old_log_probs, kLanes, 0.0f);
  int64_t first = 0;
  for (size_t a = 0; a < choices.size(); first += choices[a], ++a) {
    log_softmax(block.outputs + first, choices[a], out.log_probs + first);
    log_softmax(block.old_outputs + first, choices[a], old_log_probs);
    float entropy[kLanes] = {};
    for (int64_t i = 0; i < choices[a]; ++i) {
      const float number = static_cast<float>(i);
      for (int lane = 0; lane < kLanes; ++lane) {
        const float now = out.log_probs[first + i][lane], old = old_log_probs[i][lane];
        const float taken = block.actions[a][lane] == number ? 1.0f : 0.0f;
        terms.log_prob[lane] += taken * now;
        block.old_log_probs[lane] += taken * old;
        entropy[lane] -= exp_vectorized(now) * now;
        terms.kl[lane] += exp_vectorized(old) * (old - now);
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      out.entropy[a][lane] = entropy[lane];
      terms.entropy[lane] += entropy[lane];
    }
  }
}

RLGPU_CPU_CLONES void categorical_gradients(const std::vector<int64_t>& choices,
                                            const PpoCoefficients& c, const float* share,
                                            const Terms& terms, const Choices& found,
                                            Block& block) {
  int64_t first = 0;
  for (size_t a = 0; a < choices.size(); first += choices[a], ++a) {
    for (int64_t i = 0; i < choices[a]; ++i) {
      const float number = static_cast<float>(i);
      for (int lane = 0; lane < kLanes; ++lane) {
        const float log_prob = found.log_probs[first + i][lane], prob = exp_vectorized(log_prob);
        const float taken = block.actions[a][lane] == number ? 1.0f : 0.0f;
        const float pull = c.entropy_coef * share[lane] * prob;
        block.outputs[first + i][lane] =
            terms.grad_log_prob[lane] * (taken - prob) + pull * (log_prob + found.entropy[a][lane]);
      }
    }
  }
}

// Returns a row's number; 0 in lanes without a row, whose number may be infinite.
inline float if_present(const Block& block, int lane, float x) {
  return block.present[lane] > 0.0f ? x : 0.0f;
}

// Writes the gradients of the log-probabilities and of the values, and adds the metrics.
RLGPU_CPU_CLONES void clipped_losses(const PpoCoefficients& c, const float* share, Block& block,
                                     Terms& terms, LossSums& sums) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const float ratio = exp_vectorized(terms.log_prob[lane] - block.old_log_probs[lane]);
    const SurrogateTerm surrogate = surrogate_term(ratio, block.advantages[lane], c);
    terms.grad_log_prob[lane] = surrogate.grad_log_prob * share[lane];
    sums.metrics[kSurrogateLoss][lane] += if_present(block, lane, surrogate.loss);
    sums.metrics[kClipFraction][lane] += if_present(block, lane, surrogate.is_outside);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    float grad;
    const float loss =
        value_term(block.values[lane], block.old_values[lane], block.returns[lane], c, grad);
    block.values[lane] = c.value_loss_coef * grad * share[lane];
    sums.metrics[kValueLoss][lane] += if_present(block, lane, loss);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    sums.metrics[kEntropy][lane] += if_present(block, lane, terms.entropy[lane]);
    sums.metrics[kBoundsLoss][lane] += if_present(block, lane, terms.bounds[lane]);
    sums.metrics[kApproxKl][lane] += if_present(block, lane, terms.kl[lane]);
  }
}

// Fills a block with up to 16 rows.
void gather(const Rollout& rollout, const int64_t* ids, int64_t count, const tiles::Matrix& outputs,
            const tiles::Matrix& values, Block& block) {
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    const int64_t row = std::min(lane, count - 1), id = ids[row];
    for (int64_t i = 0; i < rollout.num_outputs; ++i) {
      block.outputs[i][lane] = outputs.at[row * outputs.stride + i];
      block.old_outputs[i][lane] = rollout.parameters[id * rollout.num_outputs + i];
    }
    for (int64_t i = 0; i < rollout.num_actions; ++i) {
      block.actions[i][lane] = rollout.actions[id * rollout.num_actions + i];
    }
    block.values[lane] = values.at[row * values.stride];
    block.old_log_probs[lane] = rollout.log_probs[id];
    block.old_values[lane] = rollout.values[id];
    block.advantages[lane] = rollout.advantages[id];
    block.returns[lane] = rollout.returns[id];
    block.present[lane] = lane < count ? 1.0f : 0.0f;
  }
}

void scatter(const Block& block, int64_t num_outputs, int64_t count, const tiles::Matrix& outputs,
             const tiles::Matrix& values) {
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t i = 0; i < num_outputs; ++i) {
      outputs.at[row * outputs.stride + i] = block.outputs[i][row];
    }
    values.at[row * values.stride] = block.values[row];
  }
}

}  // namespace

void add_loss(const Distribution& distribution, const PpoCoefficients& c, int64_t minibatch_rows,
              const Rollout& rollout, const int64_t* ids, int64_t num_rows,
              const tiles::Matrix& outputs, const tiles::Matrix& values, LossSums& sums) {
  const float scale = 1.0f / static_cast<float>(minibatch_rows);
  Block block;
  Terms terms;
  Choices choices;
  alignas(64) float share[kLanes];
  for (int64_t first = 0; first < num_rows; first += kLanes) {
    const int64_t count = std::min<int64_t>(kLanes, num_rows - first);
    const tiles::Matrix these{outputs.at + first * outputs.stride, outputs.stride};
    const tiles::Matrix their_values{values.at + first * values.stride, values.stride};
    gather(rollout, ids + first, count, these, their_values, block);
    for (int lane = 0; lane < kLanes; ++lane) share[lane] = scale * block.present[lane];
    if (distribution.choices.empty()) {
      gaussian_terms(distribution.scales, distribution.num_actions, block, terms);
      clipped_losses(c, share, block, terms, sums);
      gaussian_gradients(distribution.scales, distribution.num_actions, c, share, terms, block,
                         sums);
    } else {
      categorical_terms(distribution.choices, block, terms, choices);
      clipped_losses(c, share, block, terms, sums);
      categorical_gradients(distribution.choices, c, share, terms, choices, block);
    }
    scatter(block, rollout.num_outputs, count, these, their_values);
  }
}

}  // namespace rlgpu::ppo
