// policy_act on the CPU: a thread takes a group of rows through normalisation, all layers and the
// sampling, so that only what a rollout keeps is written.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <optional>

#include "../checks/mlp.h"
#include "../checks/networks.h"
#include "../checks/policy_act.h"
#include "tiles/parallel.h"

namespace rlgpu {
namespace {

// What rows are acted on with, and where the results go.
struct Acting {
  std::vector<tiles::PackedNetwork> networks;
  Normalization normalization;
  const float *observations, *log_std;
  int64_t num_observations, num_actions;
  uint64_t seed, call;
  float* normalized_out;
  SampleOutputs out;
};

void act_on_group(const Acting& a, std::vector<tiles::Workspace>& workspaces, int64_t begin,
                  int64_t count) {
  for (int64_t row = 0; row < count; ++row) {
    const int64_t at = (begin + row) * a.num_observations;
    normalize_row(a.observations + at, a.normalization, a.num_observations, a.normalized_out + at);
    for (auto& workspace : workspaces) workspace.set_input(row, a.normalized_out + at);
  }
  for (size_t n = 0; n < a.networks.size(); ++n) {
    a.networks[n].forward(workspaces[n].values(), count);
  }
  const tiles::Matrix means = workspaces.front().output(), last = workspaces.back().output();
  const float* values = last.at + (a.networks.size() == 1 ? a.num_actions : 0);
  for (int64_t row = 0; row < count; ++row) {
    const int64_t slot = begin + row;
    const float* mean = means.at + row * means.stride;
    sample_row(mean, a.log_std, a.seed, a.call, static_cast<uint64_t>(slot), a.num_actions,
               a.out.actions + slot * a.num_actions, a.out.log_probs + slot);
    std::copy_n(mean, a.num_actions, a.out.mean + slot * a.num_actions);
    a.out.values[slot] = values[row * last.stride];
  }
}

void act_on_all(Acting& a, int64_t num_rows) {
  const int64_t threads = at::get_num_threads();
  for (tiles::PackedNetwork& network : a.networks) {
    tiles::in_parallel(threads, network.num_pieces(),
                       [&](int64_t, int64_t piece) { network.pack(piece); });
  }
  const int64_t num_groups = (num_rows + tiles::kGroupRows - 1) / tiles::kGroupRows;
  std::vector<std::vector<tiles::Workspace>> workers(tiles::num_workers(threads, num_groups));
  tiles::in_parallel(threads, num_groups, [&](int64_t worker, int64_t group) {
    std::vector<tiles::Workspace>& own = workers[worker];
    if (own.empty()) own = tiles::workspaces_of(a.networks);
    const int64_t begin = group * tiles::kGroupRows;
    act_on_group(a, own, begin, std::min(tiles::kGroupRows, num_rows - begin));
  });
}

void policy_act_cpu(const at::Tensor& observations, const std::optional<at::Tensor>& scale,
                    const std::optional<at::Tensor>& offset, double clip, const at::Tensor& params,
                    at::IntArrayRef layers, at::IntArrayRef columns, c10::string_view activation,
                    c10::string_view precision, int64_t log_std, at::Tensor& rng_state,
                    at::Tensor& normalized, at::Tensor& actions, at::Tensor& log_probs,
                    at::Tensor& means, at::Tensor& values) {
  check_policy_act({observations, scale, offset, params, rng_state, normalized, actions, log_probs,
                    means, values},
                   log_std);
  int64_t* state = rng_state.mutable_data_ptr<int64_t>();
  Acting a{};
  a.observations = observations.const_data_ptr<float>();
  a.log_std = params.const_data_ptr<float>() + log_std;
  a.num_observations = observations.size(1), a.num_actions = actions.size(1);
  a.seed = static_cast<uint64_t>(state[0]), a.call = static_cast<uint64_t>(state[1]);
  if (scale) {
    a.normalization = {scale->const_data_ptr<float>(), offset->const_data_ptr<float>(),
                       static_cast<float>(clip)};
  }
  a.normalized_out = normalized.mutable_data_ptr<float>();
  a.out = {actions.mutable_data_ptr<float>(), log_probs.mutable_data_ptr<float>(),
           means.mutable_data_ptr<float>(), values.mutable_data_ptr<float>()};
  const Activation kind = parse_activation(kPolicyAct, activation);
  const auto networks =
      read_networks(kPolicyAct, layers, columns, params, a.num_observations, a.num_actions);
  const tiles::Tiles& tiles =
      tiles_for(kPolicyAct, parse_precision(kPolicyAct, precision), networks);
  for (const tiles::GivenNetwork& network : networks) {
    a.networks.emplace_back(tiles, network, kind, static_cast<int64_t>(network.layers.size()));
  }
  act_on_all(a, observations.size(0));
  state[1] += 1;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("policy_act", &rlgpu::policy_act_cpu); }
