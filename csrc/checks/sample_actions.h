// What the CPU and the CUDA host function of sample_actions check alike.
#pragma once

#include "tensor.h"

namespace rlgpu {

inline void check_sample_actions(const at::Tensor& mean, const at::Tensor& log_std,
                                 const at::Tensor& rng_state, const at::Tensor& actions,
                                 const at::Tensor& log_probs) {
  const char* op = "sample_actions";
  check_dim(op, "mean", mean, 2);
  const auto device = mean.device();
  check_tensor(op, "mean", mean, mean.sizes(), at::kFloat, device);
  check_tensor(op, "log_std", log_std, mean.size(1), at::kFloat, device);
  check_tensor(op, "rng_state", rng_state, 2, at::kLong, device);
  check_tensor(op, "actions", actions, mean.sizes(), at::kFloat, device);
  check_tensor(op, "log_probs", log_probs, mean.size(0), at::kFloat, device);
  check_contiguous(op, "rng_state", rng_state);
  check_contiguous(op, "actions", actions);
  check_contiguous(op, "log_probs", log_probs);
}

}  // namespace rlgpu
