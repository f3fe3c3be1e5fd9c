// Argument checks shared by the CPU and CUDA host functions of gaussian_ppo_loss.
#pragma once

#include "tensor.h"
#include "../kernels/gaussian_ppo_loss.cuh"

namespace rlgpu {

// After the checks and contiguous(), every tensor is contiguous float32; the caller must keep them
// alive.
struct PpoTensors {
  at::Tensor mean, log_std, values, actions, old_log_probs, old_mean, old_log_std, old_values,
      advantages, returns, coefficients;
};

inline void check_gaussian_ppo_loss(const PpoTensors& t) {
  const char* op = "gaussian_ppo_loss";
  check_dim(op, "mean", t.mean, 2);
  const int64_t rows = t.mean.size(0), num_actions = t.mean.size(1);
  TORCH_CHECK_VALUE(num_actions <= kMaxActions, op, ": mean has ", num_actions,
                    " actions, at most ", kMaxActions, " are supported; use kernels=torch");
  const auto check = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef shape) {
    check_tensor(op, name, tensor, shape, at::kFloat, t.mean.device());
  };
  check("mean", t.mean, {rows, num_actions});
  check("log_std", t.log_std, {num_actions});
  check("values", t.values, {rows});
  check("actions", t.actions, {rows, num_actions});
  check("old_log_probs", t.old_log_probs, {rows});
  check("old_mean", t.old_mean, {rows, num_actions});
  check("old_log_std", t.old_log_std, {num_actions});
  check("old_values", t.old_values, {rows});
  check("advantages", t.advantages, {rows});
  check("returns", t.returns, {rows});
  check("coefficients", t.coefficients, {kNumPpoCoefficients});
}

inline PpoTensors contiguous(const PpoTensors& t) {
  return {t.mean.contiguous(),        t.log_std.contiguous(),       t.values.contiguous(),
          t.actions.contiguous(),     t.old_log_probs.contiguous(), t.old_mean.contiguous(),
          t.old_log_std.contiguous(), t.old_values.contiguous(),    t.advantages.contiguous(),
          t.returns.contiguous(),     t.coefficients.contiguous()};
}

inline PpoInputs inputs(const PpoTensors& t) {
  return {t.mean.const_data_ptr<float>(),
          t.log_std.const_data_ptr<float>(),
          t.values.const_data_ptr<float>(),
          t.actions.const_data_ptr<float>(),
          t.old_log_probs.const_data_ptr<float>(),
          t.old_mean.const_data_ptr<float>(),
          t.old_log_std.const_data_ptr<float>(),
          t.old_values.const_data_ptr<float>(),
          t.advantages.const_data_ptr<float>(),
          t.returns.const_data_ptr<float>(),
          t.mean.size(0),
          t.mean.size(1)};
}

}  // namespace rlgpu
