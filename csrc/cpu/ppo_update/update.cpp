// The halves of a minibatch: gradients of its slices in parallel, then their sum and the step.
#include "update.h"

#include <cmath>

#include "../adam/adam.h"
#include "../tiles/parallel.h"

namespace rlgpu::ppo {

Update::Update(const tiles::Tiles& tiles, const Problem& problem, int64_t num_threads)
    : p_(problem),
      num_threads_(num_threads),
      slice_rows_(tiles::slice_rows(problem.minibatch_rows)),
      num_slices_((problem.minibatch_rows + slice_rows_ - 1) / slice_rows_),
      distribution_{problem.choices, problem.rollout.num_actions, {}},
      loss_sums_(num_slices_) {
  for (const tiles::GivenNetwork& network : p_.networks) {
    networks_.emplace_back(tiles, network, p_.activation, 1);
    sums_size_ += networks_.back().sums_size();
  }
  for (size_t n = 0; n < networks_.size(); ++n) {
    for (int64_t i = 0; i < networks_[n].num_pieces(); ++i) pieces_.push_back({n, i});
    for (int64_t i = 0; i < networks_[n].num_gradient_pieces(); ++i) {
      gradient_pieces_.push_back({n, i});
    }
  }
  sums_ = tiles::floats(num_slices_ * sums_size_);
  for (int64_t i = 0; i < tiles::num_workers(num_threads, num_slices_); ++i) {
    workers_.push_back({tiles::workspaces_of(networks_)});
  }
  read_parameters();
}

void Update::read_parameters() {
  tiles::in_parallel(num_threads_, static_cast<int64_t>(pieces_.size()), [&](int64_t, int64_t i) {
    networks_[pieces_[i].first].pack(pieces_[i].second);
  });
  if (!p_.choices.empty()) return;
  for (int64_t i = 0; i < p_.rollout.num_actions; ++i) {
    distribution_.scales[i] = action_scale(p_.buffers.params[p_.log_std + i], p_.old_log_std[i]);
  }
}

void Update::add_slice(Worker& worker, const int64_t* ids, int64_t slice) {
  const int64_t first = slice * slice_rows_;
  const int64_t end = std::min(first + slice_rows_, p_.minibatch_rows);
  const tiles::Matrix outputs = worker.workspaces.front().output();
  tiles::Matrix values = worker.workspaces.back().output();
  if (networks_.size() == 1) values.at += p_.rollout.num_outputs;
  LossSums& loss_sums = loss_sums_[slice];
  loss_sums = LossSums{};
  for (int64_t begin = first; begin < end; begin += tiles::kGroupRows) {
    const int64_t count = std::min(tiles::kGroupRows, end - begin);
    for (int64_t row = 0; row < count; ++row) {
      const int64_t at = ids[begin + row] * p_.rollout.num_observations;
      for (auto& workspace : worker.workspaces) {
        workspace.set_input(row, p_.rollout.observations + at);
      }
    }
    for (size_t n = 0; n < networks_.size(); ++n) {
      networks_[n].forward(worker.workspaces[n].values(), count);
    }
    add_loss(distribution_, p_.coefficients, p_.minibatch_rows, p_.rollout, ids + begin, count,
             outputs, values, loss_sums);
    float* sums = sums_.get() + slice * sums_size_;
    for (size_t n = 0; n < networks_.size(); ++n) {
      networks_[n].backward(worker.workspaces[n].values(), count, begin > first, false, sums);
      sums += networks_[n].sums_size();
    }
  }
}

void Update::gradients(const int64_t* ids) {
  tiles::in_parallel(num_threads_, num_slices_, [&](int64_t worker, int64_t slice) {
    add_slice(workers_[worker], ids, slice);
  });
  const auto num_pieces = static_cast<int64_t>(gradient_pieces_.size());
  tiles::in_parallel(num_threads_, num_pieces, [&](int64_t, int64_t i) {
    const auto [n, piece] = gradient_pieces_[i];
    const float* sums = sums_.get() + (n == 0 ? 0 : networks_[0].sums_size());
    networks_[n].add_slices(piece, sums, sums_size_, num_slices_, p_.grads);
  });
  const auto total = [&](const auto& row_of) {
    double sum = 0.0;
    for (const LossSums& slice : loss_sums_) {
      for (int lane = 0; lane < kLanes; ++lane) sum += row_of(slice)[lane];
    }
    return sum;
  };
  for (int64_t i = 0; p_.choices.empty() && i < p_.rollout.num_actions; ++i) {
    p_.grads[p_.log_std + i] =
        static_cast<float>(total([i](const LossSums& s) { return s.log_std[i]; }));
  }
  for (int i = 0; i < kNumPpoMetrics; ++i) {
    metrics[i] = static_cast<float>(total([i](const LossSums& s) { return s.metrics[i]; }) /
                                    static_cast<double>(p_.minibatch_rows));
  }
}

void Update::step(bool ends_epoch, PpoProgress& progress, float& learning_rate) {
  const PpoRules& rules = p_.rules;
  const float kl = metrics[kApproxKl];
  check_kl(rules, kl, progress);
  if (rules.adapt_when == AdaptWhen::kBeforeStep) {
    adapt(rules, kl, ends_epoch, progress, learning_rate);
  }
  float squares = 0.0f, norm = 0.0f;
  for (size_t i = 0; i < p_.groups.size(); ++i) {
    const Group& group = p_.groups[i];
    const float rate = group.rate_ratio > 0.0f ? learning_rate * group.rate_ratio : learning_rate;
    const AdamBuffers here{p_.buffers.params + group.begin, p_.buffers.exp_avg + group.begin,
                           p_.buffers.exp_avg_sq + group.begin, p_.buffers.step + i,
                           p_.buffers.nonfinite_steps + i};
    norm = static_cast<float>(take_adam_step(p_.adam, rate, progress.stop, p_.grads + group.begin,
                                             group.end - group.begin, num_threads_, here));
    squares += norm * norm;
  }
  if (p_.groups.size() > 1) norm = std::sqrt(squares);
  if (rules.adapt_when != AdaptWhen::kNever && rules.adapt_when != AdaptWhen::kBeforeStep) {
    adapt(rules, kl, ends_epoch, progress, learning_rate);
  }
  account(metrics.data(), norm, progress);
  for (int64_t i = 0; p_.choices.empty() && i < p_.rollout.num_actions; ++i) {
    float& log_std = p_.buffers.params[p_.log_std + i];
    log_std = clamp_log_std(rules, log_std);
  }
  if (!progress.stop) read_parameters();
}

}  // namespace rlgpu::ppo
