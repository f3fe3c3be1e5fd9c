// Argument checks of ppo_update, and what its lists of tensors and numbers mean.
#pragma once

#include <c10/util/string_view.h>

#include "../kernels/ppo_update.cuh"
#include "tensor.h"

namespace rlgpu {

constexpr const char* kPpoUpdate = "ppo_update";

// The lists of tensors, in the order of rlgpu/ops/ppo_update.py.
struct PpoTrained {
  at::Tensor params, grads, exp_avg, exp_avg_sq, step, nonfinite_steps;
};
struct PpoProgressTensors {
  at::Tensor stop, stopped_before, steps, sums, last_kl, grad_norm, epoch_kl;
};
struct PpoRolloutTensors {
  at::Tensor observations, actions, log_probs, parameters, values, advantages, returns;
};

template <typename Struct>
Struct named(const char* list, at::TensorList tensors) {
  constexpr size_t kCount = sizeof(Struct) / sizeof(at::Tensor);
  TORCH_CHECK_VALUE(tensors.size() == kCount, kPpoUpdate, ": ", list, " has ", tensors.size(),
                    " tensors, wanted ", kCount);
  Struct result;
  auto* to = reinterpret_cast<at::Tensor*>(&result);
  std::copy(tensors.begin(), tensors.end(), to);
  return result;
}

// Everything is contiguous, and on one device.
inline void check_ppo_tensor(const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                             at::ScalarType dtype = at::kFloat) {
  check_tensor(kPpoUpdate, name, tensor, shape, dtype, at::kCPU);
  check_contiguous(kPpoUpdate, name, tensor);
}

inline void check_ppo_trained(const PpoTrained& t, int64_t num_groups) {
  check_dim(kPpoUpdate, "params", t.params, 1);
  check_ppo_tensor("params", t.params, t.params.sizes());
  check_ppo_tensor("grads", t.grads, t.params.sizes());
  check_ppo_tensor("exp_avg", t.exp_avg, t.params.sizes());
  check_ppo_tensor("exp_avg_sq", t.exp_avg_sq, t.params.sizes());
  check_ppo_tensor("step", t.step, num_groups, at::kLong);
  check_ppo_tensor("nonfinite_steps", t.nonfinite_steps, num_groups, at::kLong);
}

inline void check_ppo_progress(const PpoProgressTensors& t) {
  check_ppo_tensor("stop", t.stop, {}, at::kBool);
  check_ppo_tensor("stopped_before", t.stopped_before, {}, at::kBool);
  check_ppo_tensor("steps", t.steps, {});
  check_ppo_tensor("sums", t.sums, kNumPpoMetrics);
  check_ppo_tensor("last_kl", t.last_kl, {});
  check_ppo_tensor("grad_norm", t.grad_norm, {});
  check_ppo_tensor("epoch_kl", t.epoch_kl, 2);
}

inline void check_ppo_rollout(const PpoRolloutTensors& t, const at::Tensor& ids,
                              int64_t num_minibatches) {
  check_dim(kPpoUpdate, "observations", t.observations, 2);
  check_dim(kPpoUpdate, "actions", t.actions, 2);
  check_dim(kPpoUpdate, "parameters", t.parameters, 2);
  check_dim(kPpoUpdate, "ids", ids, 2);
  const int64_t rows = t.observations.size(0);
  check_ppo_tensor("observations", t.observations, t.observations.sizes());
  check_ppo_tensor("actions", t.actions, {rows, t.actions.size(1)});
  check_ppo_tensor("parameters", t.parameters, {rows, t.parameters.size(1)});
  check_ppo_tensor("log_probs", t.log_probs, rows);
  check_ppo_tensor("values", t.values, rows);
  check_ppo_tensor("advantages", t.advantages, rows);
  check_ppo_tensor("returns", t.returns, rows);
  check_ppo_tensor("ids", ids, {ids.size(0), rows}, at::kLong);
  TORCH_CHECK_VALUE(num_minibatches > 0 && rows > 0 && rows % num_minibatches == 0, kPpoUpdate,
                    ": got ", num_minibatches, " minibatches of ", rows,
                    " rows, wanted a positive number that divides them");
  const int64_t* first = ids.const_data_ptr<int64_t>();
  const bool all_exist =
      std::all_of(first, first + ids.numel(), [rows](int64_t id) { return id >= 0 && id < rows; });
  TORCH_CHECK_VALUE(all_exist, kPpoUpdate, ": ids has one outside the ", rows, " rows");
}

inline AdaptWhen parse_adapt_when(c10::string_view name) {
  if (name == "never") return AdaptWhen::kNever;
  if (name == "after_step") return AdaptWhen::kAfterStep;
  if (name == "before_step") return AdaptWhen::kBeforeStep;
  TORCH_CHECK_VALUE(name == "after_epoch", kPpoUpdate, ": adapt_when is ", name,
                    ", wanted never, after_step, before_step or after_epoch");
  return AdaptWhen::kAfterEpoch;
}

}  // namespace rlgpu
