// The ops mlp_forward and mlp_backward on tiles, for arguments that are checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>
#include <vector>

#include "tiles.h"

namespace rlgpu::tiles {

std::vector<at::Tensor> mlp_forward(const Tiles& tiles, const at::Tensor& x, at::TensorList weights,
                                    at::TensorList biases, Activation activation);

std::tuple<at::Tensor, at::Tensor> mlp_backward(const Tiles& tiles, const at::Tensor& grad,
                                                const at::Tensor& x, at::TensorList weights,
                                                at::TensorList activations, Activation activation,
                                                bool input_gradient);

}  // namespace rlgpu::tiles
