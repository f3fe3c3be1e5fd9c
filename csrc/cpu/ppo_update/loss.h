// PPO's loss and its gradients for rows of a rollout, on the CPU.
#pragma once

#include <cstdint>
#include <vector>

#include "../../kernels/gaussian_ppo_loss.cuh"
#include "../tiles/tiles.h"

namespace rlgpu::ppo {

constexpr int kLanes = 16;       // rows side by side, whatever the vectors' width
constexpr int kMaxOutputs = 64;  // parameters of the actions' distributions

// A rollout, flattened to rows.
struct Rollout {
  const float* observations;
  const float* actions;
  const float* log_probs;
  const float* parameters;  // of the distributions that actions were sampled from
  const float* values;
  const float* advantages;
  const float* returns;
  int64_t num_observations;
  int64_t num_actions;
  int64_t num_outputs;  // parameters of a row
};

// The actions' distribution: Gaussians, or choices for each action.
struct Distribution {
  std::vector<int64_t> choices;  // their numbers; empty for Gaussians
  int64_t num_actions;
  ActionScale scales[kMaxOutputs];  // of Gaussians
};

// Sums over rows, for each of the lanes.
struct LossSums {
  alignas(64) float log_std[kMaxOutputs][kLanes];
  alignas(64) float metrics[kNumPpoMetrics][kLanes];
};

// Replaces the outputs of some rows, [rows, P], and their values by the loss's gradients, divided
// by minibatch_rows, and adds to sums.
void add_loss(const Distribution& distribution, const PpoCoefficients& c, int64_t minibatch_rows,
              const Rollout& rollout, const int64_t* ids, int64_t num_rows,
              const tiles::Matrix& outputs, const tiles::Matrix& values, LossSums& sums);

}  // namespace rlgpu::ppo
