// Argument checks of policy_act.
#pragma once

#include <optional>

#include "../kernels/policy_act.cuh"
#include "tensor.h"

namespace rlgpu {

constexpr const char* kPolicyAct = "policy_act";

// The op's tensors; the caller must keep them alive.
struct ActTensors {
  at::Tensor observations;
  std::optional<at::Tensor> scale, offset;
  at::Tensor params, rng_state, normalized, actions, log_probs, means, values;
};

inline void check_policy_act(const ActTensors& t, int64_t log_std) {
  const auto check = [](const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                        at::ScalarType dtype = at::kFloat) {
    check_tensor(kPolicyAct, name, tensor, shape, dtype, at::kCPU);
    check_contiguous(kPolicyAct, name, tensor);
  };
  check_dim(kPolicyAct, "observations", t.observations, 2);
  check_dim(kPolicyAct, "actions", t.actions, 2);
  check_dim(kPolicyAct, "params", t.params, 1);
  const int64_t rows = t.observations.size(0), width = t.observations.size(1);
  const int64_t num_actions = t.actions.size(1);
  check("observations", t.observations, {rows, width});
  TORCH_CHECK_VALUE(t.scale.has_value() == t.offset.has_value(), kPolicyAct,
                    ": scale and offset must be given together, or neither");
  if (t.scale) check("scale", *t.scale, width);
  if (t.offset) check("offset", *t.offset, width);
  check("params", t.params, t.params.sizes());
  check("rng_state", t.rng_state, 2, at::kLong);
  check("normalized", t.normalized, {rows, width});
  check("actions", t.actions, {rows, num_actions});
  check("log_probs", t.log_probs, rows);
  check("means", t.means, {rows, num_actions});
  check("values", t.values, rows);
  TORCH_CHECK_VALUE(log_std >= 0 && log_std + num_actions <= t.params.numel(), kPolicyAct,
                    ": log_std begins at ", log_std, ", wanted a place for ", num_actions,
                    " within ", t.params.numel(), " parameters");
}

}  // namespace rlgpu
