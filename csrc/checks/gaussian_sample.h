// Argument checks shared by the CPU and CUDA host functions of gaussian_sample.
#pragma once

#include "../kernels/gaussian_sample.cuh"
#include "tensor.h"

namespace rlgpu {

// The op's inputs and outputs; the caller must keep the tensors alive.
struct SampleTensors {
  at::Tensor mean, values, log_std, rng_state, actions, log_probs, mean_out, values_out;
};

inline void check_gaussian_sample(const SampleTensors& t) {
  const char* op = "gaussian_sample";
  check_dim(op, "mean", t.mean, 2);
  const auto device = t.mean.device();
  const auto shape = t.mean.sizes();
  check_tensor(op, "mean", t.mean, shape, at::kFloat, device);
  check_tensor(op, "values", t.values, shape[0], at::kFloat, device);
  check_tensor(op, "log_std", t.log_std, shape[1], at::kFloat, device);
  const auto written = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef wanted,
                           at::ScalarType dtype) {
    check_tensor(op, name, tensor, wanted, dtype, device);
    check_contiguous(op, name, tensor);
  };
  written("rng_state", t.rng_state, 2, at::kLong);
  written("actions", t.actions, shape, at::kFloat);
  written("log_probs", t.log_probs, shape[0], at::kFloat);
  written("mean_out", t.mean_out, shape, at::kFloat);
  written("values_out", t.values_out, shape[0], at::kFloat);
}

// Rows may be strided, as views of one output matrix are; elements within a row must be contiguous.
inline SampleTensors readable(const SampleTensors& t) {
  SampleTensors result = t;
  if (t.mean.size(1) > 1 && t.mean.stride(1) != 1) result.mean = t.mean.contiguous();
  result.log_std = t.log_std.contiguous();
  return result;
}

inline SampleInputs inputs(const SampleTensors& t) {
  return {t.mean.const_data_ptr<float>(),
          t.mean.stride(0),
          t.values.const_data_ptr<float>(),
          t.values.stride(0),
          t.log_std.const_data_ptr<float>(),
          t.mean.size(0),
          t.mean.size(1)};
}

inline SampleOutputs outputs(const SampleTensors& t) {
  return {t.actions.mutable_data_ptr<float>(), t.log_probs.mutable_data_ptr<float>(),
          t.mean_out.mutable_data_ptr<float>(), t.values_out.mutable_data_ptr<float>()};
}

}  // namespace rlgpu
