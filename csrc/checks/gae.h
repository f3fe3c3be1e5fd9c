// Argument checks and preparation shared by the CPU and CUDA host functions of gae.
#pragma once

#include "../kernels/gae.cuh"
#include "tensor.h"

namespace rlgpu {

struct GaeTensors {
  at::Tensor rewards, values, terminated, truncated, final_values, last_values;
};

inline void check_gae(const GaeTensors& t) {
  check_dim("gae", "rewards", t.rewards, 2);
  const auto shape = t.rewards.sizes();
  const auto device = t.rewards.device();
  check_tensor("gae", "rewards", t.rewards, shape, at::kFloat, device);
  check_tensor("gae", "values", t.values, shape, at::kFloat, device);
  check_tensor("gae", "terminated", t.terminated, shape, at::kBool, device);
  check_tensor("gae", "truncated", t.truncated, shape, at::kBool, device);
  check_tensor("gae", "final_values", t.final_values, shape, at::kFloat, device);
  check_tensor("gae", "last_values", t.last_values, shape[1], at::kFloat, device);
}

inline GaeTensors contiguous(const GaeTensors& t) {
  return {t.rewards.contiguous(),   t.values.contiguous(),       t.terminated.contiguous(),
          t.truncated.contiguous(), t.final_values.contiguous(), t.last_values.contiguous()};
}

// The caller must keep the tensors alive.
inline GaeInputs inputs(const GaeTensors& t, double gamma, double gae_lambda) {
  return {t.rewards.const_data_ptr<float>(),
          t.values.const_data_ptr<float>(),
          t.terminated.const_data_ptr<bool>(),
          t.truncated.const_data_ptr<bool>(),
          t.final_values.const_data_ptr<float>(),
          t.last_values.const_data_ptr<float>(),
          t.rewards.size(0),
          t.rewards.size(1),
          static_cast<float>(gamma),
          static_cast<float>(gae_lambda)};
}

}  // namespace rlgpu
