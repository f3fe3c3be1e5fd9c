// mlp on CUDA: checks, device guard, current stream, launches layer by layer, launch checks.
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

#include "../checks/mlp.h"
#include "../kernels/mlp.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

LayerSizes sizes(const at::Tensor& x, const at::Tensor& weight) {
  return {x.size(0), weight.size(1), weight.size(0)};
}

std::vector<at::Tensor> contiguous(at::TensorList tensors) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : tensors) result.push_back(tensor.contiguous());
  return result;
}

std::vector<at::Tensor> mlp_forward_cuda(const at::Tensor& x, at::TensorList given_weights,
                                         at::TensorList given_biases,
                                         c10::string_view precision_name,
                                         c10::string_view activation_name) {
  check_mlp("mlp_forward", x, given_weights, given_biases);
  const Precision precision = parse_precision("mlp_forward", precision_name);
  const Activation activation = parse_activation("mlp_forward", activation_name);
  const c10::cuda::CUDAGuard guard(x.device());
  const auto weights = contiguous(given_weights), biases = contiguous(given_biases);
  std::vector<at::Tensor> activations;
  at::Tensor below = x.contiguous();
  for (size_t layer = 0; layer < weights.size(); ++layer) {
    at::Tensor out = at::empty({x.size(0), weights[layer].size(0)}, x.options());
    if (out.numel() > 0) {
      check_launch("mlp_forward",
                   launch_mlp_layer(precision, below.const_data_ptr<float>(),
                                    weights[layer].const_data_ptr<float>(),
                                    biases[layer].const_data_ptr<float>(), sizes(x, weights[layer]),
                                    layer + 1 < weights.size() ? activation : Activation::kNone,
                                    out.mutable_data_ptr<float>(), current_stream()));
    }
    activations.push_back(out);
    below = out;
  }
  return activations;
}

std::tuple<at::Tensor, at::Tensor> mlp_backward_cuda(const at::Tensor& grad, const at::Tensor& x,
                                                     at::TensorList given_weights,
                                                     at::TensorList activations,
                                                     c10::string_view precision_name,
                                                     c10::string_view activation_name,
                                                     bool input_gradient) {
  check_mlp_backward(grad, x, given_weights, activations);
  const Precision precision = parse_precision("mlp_backward", precision_name);
  const Activation activation = parse_activation("mlp_backward", activation_name);
  const c10::cuda::CUDAGuard guard(x.device());
  const auto weights = contiguous(given_weights);
  int64_t count = 0;
  for (const at::Tensor& weight : weights) count += weight.numel() + weight.size(0);
  const int64_t num_slices = mlp_num_slices(x.size(0));
  at::Tensor flat =
      num_slices > 0 ? at::empty({count}, x.options()) : at::zeros({count}, x.options());
  at::Tensor partials = at::empty({num_slices, count}, x.options());

  const at::Tensor input = x.contiguous();
  at::Tensor g = grad.contiguous();
  int64_t end = count;
  for (size_t layer = weights.size(); layer-- > 0 && num_slices > 0;) {
    const at::Tensor& below = layer == 0 ? input : activations[layer - 1];
    const LayerSizes n = sizes(x, weights[layer]);
    end -= n.units * n.width + n.units;
    check_launch("mlp_backward",
                 launch_mlp_weight_gradient(
                     precision, g.const_data_ptr<float>(), below.const_data_ptr<float>(), n, count,
                     partials.mutable_data_ptr<float>() + end, current_stream()));
    if (layer == 0 && !input_gradient) break;
    at::Tensor grad_below = at::empty({n.rows, n.width}, x.options());
    check_launch("mlp_backward",
                 launch_mlp_input_gradient(
                     precision, g.const_data_ptr<float>(), weights[layer].const_data_ptr<float>(),
                     below.const_data_ptr<float>(), n, layer > 0 ? activation : Activation::kNone,
                     grad_below.mutable_data_ptr<float>(), current_stream()));
    g = grad_below;
  }
  if (num_slices > 0) {
    check_launch("mlp_backward",
                 launch_mlp_sum_slices(partials.const_data_ptr<float>(), num_slices, count,
                                       flat.mutable_data_ptr<float>(), current_stream()));
  }
  return {flat, input_gradient && num_slices > 0 ? g : at::zeros({0, x.size(1)}, x.options())};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) {
  m.impl("mlp_forward", &rlgpu::mlp_forward_cuda);
  m.impl("mlp_backward", &rlgpu::mlp_backward_cuda);
}
