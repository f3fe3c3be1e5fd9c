// Argument checks shared by the CPU and CUDA host functions of running_stats and normalize.
#pragma once

#include "../kernels/running_stats.cuh"
#include "tensor.h"

namespace rlgpu {

struct StatsTensors {
  at::Tensor mean, var, count, scale, offset;
};

inline void check_running_stats(const at::Tensor& x, const StatsTensors& t) {
  const char* op = "running_stats";
  check_dim(op, "x", x, 2);
  const auto device = x.device();
  check_tensor(op, "x", x, x.sizes(), at::kFloat, device);
  const auto written = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                           at::ScalarType dtype) {
    check_tensor(op, name, tensor, shape, dtype, device);
    check_contiguous(op, name, tensor);
  };
  written("mean", t.mean, x.size(1), at::kDouble);
  written("var", t.var, x.size(1), at::kDouble);
  written("count", t.count, {}, at::kDouble);
  written("scale", t.scale, x.size(1), at::kFloat);
  written("offset", t.offset, x.size(1), at::kFloat);
}

inline StatsBuffers buffers(const StatsTensors& t) {
  return {t.mean.mutable_data_ptr<double>(), t.var.mutable_data_ptr<double>(),
          t.count.mutable_data_ptr<double>(), t.scale.mutable_data_ptr<float>(),
          t.offset.mutable_data_ptr<float>()};
}

inline void check_normalize(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& offset,
                            const at::Tensor& out) {
  const char* op = "normalize";
  check_dim(op, "x", x, 2);
  check_tensor(op, "x", x, x.sizes(), at::kFloat, x.device());
  check_tensor(op, "scale", scale, x.size(1), at::kFloat, x.device());
  check_tensor(op, "offset", offset, x.size(1), at::kFloat, x.device());
  check_tensor(op, "out", out, x.sizes(), at::kFloat, x.device());
  check_contiguous(op, "out", out);
}

}  // namespace rlgpu
