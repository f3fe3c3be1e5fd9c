// A multilayer perceptron with ELU on CUDA: the library's matrix products, our activations.
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/library.h>

#include <vector>

#include "../checks/mlp.h"
#include "../kernels/mlp.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

std::vector<at::Tensor> mlp_forward_cuda(const at::Tensor& x, at::TensorList weights,
                                         at::TensorList biases) {
  check_mlp("mlp_forward", x, weights, biases);
  const c10::cuda::CUDAGuard guard(x.device());
  std::vector<at::Tensor> activations;
  at::Tensor below = x;
  for (size_t layer = 0; layer < weights.size(); ++layer) {
    at::Tensor out = at::addmm(biases[layer], below, weights[layer].t());
    if (layer + 1 < weights.size() && out.numel() > 0) {
      check_launch("mlp_forward",
                   launch_elu(out.numel(), out.mutable_data_ptr<float>(), current_stream()));
    }
    activations.push_back(out);
    below = out;
  }
  return activations;
}

std::vector<at::Tensor> mlp_backward_cuda(const at::Tensor& grad, const at::Tensor& x,
                                          at::TensorList weights, at::TensorList activations) {
  check_mlp_backward(grad, x, weights, activations);
  const c10::cuda::CUDAGuard guard(x.device());
  std::vector<at::Tensor> grads(2 * weights.size());
  at::Tensor g = grad.contiguous();
  for (size_t layer = weights.size(); layer-- > 0;) {
    const at::Tensor& below = layer == 0 ? x : activations[layer - 1];
    grads[2 * layer] = at::mm(g.t(), below);
    grads[2 * layer + 1] = at::sum(g, 0);
    if (layer == 0) break;
    g = at::mm(g, weights[layer]);
    if (g.numel() == 0) continue;
    check_launch("mlp_backward",
                 launch_elu_gradient(below.const_data_ptr<float>(), g.numel(),
                                     g.mutable_data_ptr<float>(), current_stream()));
  }
  return grads;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) {
  m.impl("mlp_forward", &rlgpu::mlp_forward_cuda);
  m.impl("mlp_backward", &rlgpu::mlp_backward_cuda);
}
