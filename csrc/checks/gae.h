// What the CPU and the CUDA host function of gae check alike.
#pragma once

#include "tensor.h"

namespace rlgpu {

inline void check_gae(const at::Tensor& rewards, const at::Tensor& values,
                      const at::Tensor& terminated, const at::Tensor& truncated,
                      const at::Tensor& final_values, const at::Tensor& last_values) {
  check_dim("gae", "rewards", rewards, 2);
  const auto shape = rewards.sizes();
  const auto device = rewards.device();
  check_tensor("gae", "rewards", rewards, shape, at::kFloat, device);
  check_tensor("gae", "values", values, shape, at::kFloat, device);
  check_tensor("gae", "terminated", terminated, shape, at::kBool, device);
  check_tensor("gae", "truncated", truncated, shape, at::kBool, device);
  check_tensor("gae", "final_values", final_values, shape, at::kFloat, device);
  check_tensor("gae", "last_values", last_values, shape[1], at::kFloat, device);
}

}  // namespace rlgpu
