// Argument checks shared by the CPU and CUDA host functions of adam_step.
#pragma once

#include "tensor.h"

namespace rlgpu {

inline void check_adam_step(const at::Tensor& params, const at::Tensor& exp_avg,
                            const at::Tensor& exp_avg_sq, const at::Tensor& step,
                            const at::Tensor& nonfinite_steps, const at::Tensor& grads,
                            const at::Tensor& learning_rate, const at::Tensor& stop) {
  const char* op = "adam_step";
  check_dim(op, "params", params, 1);
  const auto device = params.device();
  const auto written = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                           at::ScalarType dtype) {
    check_tensor(op, name, tensor, shape, dtype, device);
    check_contiguous(op, name, tensor);
  };
  written("params", params, params.sizes(), at::kFloat);
  written("exp_avg", exp_avg, params.sizes(), at::kFloat);
  written("exp_avg_sq", exp_avg_sq, params.sizes(), at::kFloat);
  written("step", step, {}, at::kLong);
  written("nonfinite_steps", nonfinite_steps, {}, at::kLong);
  check_tensor(op, "grads", grads, params.sizes(), at::kFloat, device);
  check_tensor(op, "learning_rate", learning_rate, {}, at::kFloat, device);
  check_tensor(op, "stop", stop, {}, at::kBool, device);
}

}  // namespace rlgpu
