// Argument checks shared by the CPU and CUDA host functions of mlp.
#pragma once

#include <ATen/core/Tensor.h>

#include <c10/util/string_view.h>

#include "../kernels/mlp.cuh"
#include "tensor.h"

namespace rlgpu {

inline Precision parse_precision(const char* op, c10::string_view name) {
  if (name == "fp32") return Precision::kFp32;
  if (name == "tf32") return Precision::kTf32;
  TORCH_CHECK_VALUE(name == "bf16", op, ": precision is ", name, ", wanted fp32, tf32 or bf16");
  return Precision::kBf16;
}

inline Activation parse_activation(const char* op, c10::string_view name) {
  if (name == "elu") return Activation::kElu;
  if (name == "relu") return Activation::kRelu;
  TORCH_CHECK_VALUE(name == "tanh", op, ": activation is ", name, ", wanted elu, relu or tanh");
  return Activation::kTanh;
}

inline void check_mlp(const char* op, const at::Tensor& x, at::TensorList weights,
                      at::TensorList biases) {
  check_dim(op, "x", x, 2);
  TORCH_CHECK_VALUE(!weights.empty() && weights.size() == biases.size(), op, ": got ",
                    weights.size(), " weights and ", biases.size(),
                    " biases, wanted equal numbers of each and at least one");
  check_tensor(op, "x", x, x.sizes(), at::kFloat, x.device());
  int64_t width = x.size(1);
  for (size_t layer = 0; layer < weights.size(); ++layer) {
    check_dim(op, "weights", weights[layer], 2);
    const int64_t units = weights[layer].size(0);
    check_tensor(op, "weights", weights[layer], {units, width}, at::kFloat, x.device());
    check_tensor(op, "biases", biases[layer], units, at::kFloat, x.device());
    width = units;
  }
}

inline void check_mlp_backward(const at::Tensor& grad, const at::Tensor& x, at::TensorList weights,
                               at::TensorList activations) {
  TORCH_CHECK_VALUE(activations.size() == weights.size(), "mlp_backward: got ", activations.size(),
                    " activations for ", weights.size(), " layers");
  check_tensor("mlp_backward", "grad", grad, activations.back().sizes(), at::kFloat, x.device());
}

}  // namespace rlgpu
