// ppo_update on the CPU: reads its arguments, then takes minibatch after minibatch (ppo_update/).
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "../checks/mlp.h"
#include "../checks/networks.h"
#include "../checks/ppo_update.h"
#include "ppo_update/update.h"

namespace rlgpu {
namespace {

using ppo::Problem;

PpoProgress read_progress(const PpoProgressTensors& t) {
  PpoProgress p{};
  p.stop = *t.stop.const_data_ptr<bool>();
  p.stopped_before = *t.stopped_before.const_data_ptr<bool>();
  p.steps = *t.steps.const_data_ptr<float>();
  std::copy_n(t.sums.const_data_ptr<float>(), kNumPpoMetrics, p.sums);
  p.last_kl = *t.last_kl.const_data_ptr<float>();
  p.grad_norm = *t.grad_norm.const_data_ptr<float>();
  std::copy_n(t.epoch_kl.const_data_ptr<float>(), 2, p.epoch_kl);
  return p;
}

void write_progress(const PpoProgress& p, const PpoProgressTensors& t) {
  *t.stop.mutable_data_ptr<bool>() = p.stop;
  *t.stopped_before.mutable_data_ptr<bool>() = p.stopped_before;
  *t.steps.mutable_data_ptr<float>() = p.steps;
  std::copy_n(p.sums, kNumPpoMetrics, t.sums.mutable_data_ptr<float>());
  *t.last_kl.mutable_data_ptr<float>() = p.last_kl;
  *t.grad_norm.mutable_data_ptr<float>() = p.grad_norm;
  std::copy_n(p.epoch_kl, 2, t.epoch_kl.mutable_data_ptr<float>());
}

ppo::Rollout read_rollout(const PpoRolloutTensors& t) {
  const auto at = [](const at::Tensor& x) { return x.const_data_ptr<float>(); };
  return {at(t.observations), at(t.actions),       at(t.log_probs), at(t.parameters),
          at(t.values),       at(t.advantages),    at(t.returns),   t.observations.size(1),
          t.actions.size(1),  t.parameters.size(1)};
}

std::vector<ppo::Group> read_groups(at::IntArrayRef ends, at::ArrayRef<double> ratios,
                                    int64_t num_params) {
  TORCH_CHECK_VALUE(!ends.empty() && ends.size() == ratios.size() && ends.back() == num_params &&
                        std::is_sorted(ends.begin(), ends.end()) && ends.front() >= 0,
                    kPpoUpdate, ": groups end at ", ends, " with ratios ", ratios,
                    ", wanted one ratio each, and ends that rise to ", num_params);
  std::vector<ppo::Group> groups;
  for (size_t i = 0; i < ends.size(); ++i) {
    groups.push_back({i == 0 ? 0 : ends[i - 1], ends[i], static_cast<float>(ratios[i])});
  }
  return groups;
}

// Checks the actions' distribution: Gaussians with a log-std of their own, or choices.
void check_distribution(const Problem& p, const at::Tensor& old_log_std) {
  const ppo::Rollout& r = p.rollout;
  TORCH_CHECK_VALUE(r.num_outputs <= ppo::kMaxOutputs && r.num_actions <= ppo::kMaxOutputs,
                    kPpoUpdate, ": parameters has ", r.num_outputs, " columns, at most ",
                    ppo::kMaxOutputs, " are supported; use the ops one by one");
  int64_t total = 0;
  for (const int64_t count : p.choices) total += std::max<int64_t>(count, 1);
  if (p.choices.empty()) {
    check_ppo_tensor("old_log_std", old_log_std, r.num_actions);
    TORCH_CHECK_VALUE(p.log_std >= 0 && p.log_std + r.num_actions <= p.num_params, kPpoUpdate,
                      ": log_std begins at ", p.log_std, ", wanted a place for ", r.num_actions,
                      " within ", p.num_params, " parameters");
    total = r.num_actions;
  }
  TORCH_CHECK_VALUE(
      total == r.num_outputs &&
          (p.choices.empty() || static_cast<int64_t>(p.choices.size()) == r.num_actions),
      kPpoUpdate, ": got ", r.num_actions, " actions with ", p.choices.size(),
      " numbers of choices and ", r.num_outputs, " parameters, wanted ", total);
}

PpoRules read_rules(at::ArrayRef<double> x, c10::string_view adapt_when, bool adapt_from_start) {
  TORCH_CHECK_VALUE(x.size() == 6, kPpoUpdate, ": rules has ", x.size(), " numbers, wanted 6");
  const auto f = [&](int i) { return static_cast<float>(x[i]); };
  return {f(0), parse_adapt_when(adapt_when), adapt_from_start, f(1), f(2), f(3), f(4), f(5)};
}

AdamHyperparameters read_adam(at::ArrayRef<double> x) {
  TORCH_CHECK_VALUE(x.size() == 4, kPpoUpdate, ": adam has ", x.size(), " numbers, wanted 4");
  const auto f = [&](int i) { return static_cast<float>(x[i]); };
  return {f(0), f(1), f(2), f(3)};
}

AdamBuffers read_buffers(const PpoTrained& t) {
  return {t.params.mutable_data_ptr<float>(), t.exp_avg.mutable_data_ptr<float>(),
          t.exp_avg_sq.mutable_data_ptr<float>(), t.step.mutable_data_ptr<int64_t>(),
          t.nonfinite_steps.mutable_data_ptr<int64_t>()};
}

// Trains on minibatch after minibatch, until the KL is too large.
void train(const tiles::Tiles& tiles, const Problem& problem, const at::Tensor& ids,
           int64_t num_minibatches, PpoProgress& progress, float& learning_rate) {
  ppo::Update update(tiles, problem, at::get_num_threads());
  const int64_t* next = ids.const_data_ptr<int64_t>();
  const int64_t total = ids.size(0) * num_minibatches;
  for (int64_t i = 0; i < total && !progress.stop; ++i, next += problem.minibatch_rows) {
    update.gradients(next);
    update.step((i + 1) % num_minibatches == 0, progress, learning_rate);
  }
}

void ppo_update_cpu(at::TensorList trained, at::TensorList progress_list, at::Tensor& learning_rate,
                    at::TensorList rollout_list, const at::Tensor& ids,
                    const at::Tensor& old_log_std, const at::Tensor& coefficients,
                    at::IntArrayRef layers, at::IntArrayRef columns, c10::string_view activation,
                    c10::string_view precision, int64_t log_std, at::IntArrayRef choices,
                    at::IntArrayRef group_ends, at::ArrayRef<double> rate_ratios,
                    int64_t num_minibatches, at::ArrayRef<double> adam, at::ArrayRef<double> rules,
                    c10::string_view adapt_when, bool adapt_from_start) {
  const auto t = named<PpoTrained>("trained", trained);
  const auto progress_tensors = named<PpoProgressTensors>("progress", progress_list);
  const auto rollout = named<PpoRolloutTensors>("rollout", rollout_list);
  check_ppo_trained(t, static_cast<int64_t>(group_ends.size()));
  check_ppo_progress(progress_tensors);
  check_ppo_rollout(rollout, ids, num_minibatches);
  check_ppo_tensor("learning_rate", learning_rate, {});
  check_ppo_tensor("coefficients", coefficients, kNumPpoCoefficients);
  Problem p{};
  p.rollout = read_rollout(rollout);
  p.networks = read_networks(kPpoUpdate, layers, columns, t.params, p.rollout.num_observations,
                             p.rollout.num_outputs);
  p.activation = parse_activation(kPpoUpdate, activation);
  p.choices = choices.vec();
  p.log_std = log_std, p.old_log_std = old_log_std.const_data_ptr<float>();
  p.minibatch_rows = rollout.observations.size(0) / num_minibatches;
  std::memcpy(&p.coefficients, coefficients.const_data_ptr<float>(), sizeof(p.coefficients));
  p.rules = read_rules(rules, adapt_when, adapt_from_start);
  p.adam = read_adam(adam);
  p.num_params = t.params.numel();
  p.groups = read_groups(group_ends, rate_ratios, p.num_params);
  p.buffers = read_buffers(t);
  p.grads = t.grads.mutable_data_ptr<float>();
  check_distribution(p, old_log_std);
  PpoProgress progress = read_progress(progress_tensors);
  const tiles::Tiles& tiles =
      tiles_for(kPpoUpdate, parse_precision(kPpoUpdate, precision), p.networks);
  train(tiles, p, ids, num_minibatches, progress, *learning_rate.mutable_data_ptr<float>());
  write_progress(progress, progress_tensors);
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("ppo_update", &rlgpu::ppo_update_cpu); }
