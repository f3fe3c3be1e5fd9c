// An update of PPO on the CPU: all minibatches of all epochs, without torch.
//
// The one idea: a thread takes a group of rows through gathering, all layers, the loss and all
// layers back while they stay in its cache; nothing but gradients is written out. A minibatch has
// two halves, gradients() and step(), and what passes between them is public: sums over several
// processes, or another optimiser, would go there.
#pragma once

#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "../../kernels/adam_step.cuh"
#include "../../kernels/ppo_update.cuh"
#include "../tiles/packed.h"
#include "loss.h"

namespace rlgpu::ppo {

// A range of the parameters that has its own step count, norm and learning rate.
struct Group {
  int64_t begin, end;
  float rate_ratio;  // of its learning rate to the first group's; 0: the same rate
};

// What is trained, and how. All memory is the caller's.
struct Problem {
  // One network, whose last output is the value, or an actor and a critic. Offsets of gradients are
  // also those of the parameters.
  std::vector<tiles::GivenNetwork> networks;
  Activation activation;
  std::vector<int64_t> choices;  // of each action; empty for Gaussians
  int64_t log_std;               // where the Gaussians' log-std begins in the parameters
  const float* old_log_std;
  Rollout rollout;
  int64_t minibatch_rows;
  PpoCoefficients coefficients;
  PpoRules rules;
  AdamHyperparameters adam;
  std::vector<Group> groups;
  AdamBuffers buffers;  // step counts: one for each group
  float* grads;
  int64_t num_params;
};

class Update {
 public:
  Update(const tiles::Tiles& tiles, const Problem& problem, int64_t num_threads);

  // Writes the gradients and the metrics of a minibatch, given its rows' ids.
  void gradients(const int64_t* ids);

  // Takes the optimiser's step, unless the KL has ended the update or a gradient is not finite, and
  // decides on the learning rate.
  void step(bool ends_epoch, PpoProgress& progress, float& learning_rate);

  // The metrics of the minibatch, means over its rows.
  std::array<float, kNumPpoMetrics> metrics{};

 private:
  // A thread's memory.
  struct Worker {
    std::vector<tiles::Workspace> workspaces;
  };
  void add_slice(Worker& worker, const int64_t* ids, int64_t slice);
  void read_parameters();  // packs the weights and reads the log-std

  Problem p_;
  int64_t num_threads_, slice_rows_, num_slices_, sums_size_ = 0;
  std::vector<tiles::PackedNetwork> networks_;
  std::vector<std::pair<size_t, int64_t>> pieces_, gradient_pieces_;  // network, its piece
  Distribution distribution_;
  tiles::Floats sums_;
  std::vector<LossSums> loss_sums_;
  std::deque<Worker> workers_;
};

}  // namespace rlgpu::ppo
