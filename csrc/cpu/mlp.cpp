// A multilayer perceptron on the CPU, forward and backward.
//
// The one idea: a thread takes a group of rows through all layers before it starts the next group,
// so activations stay in its cache and threads synchronise once per pass, not once per layer. The
// products are tiles (tiles/); on CPUs without AVX2, and in bfloat16, they are torch's.
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <tuple>
#include <vector>

#include "../checks/mlp.h"
#include "../kernels/mlp.cuh"
#include "tiles/mlp.h"

namespace rlgpu {
namespace {

// Fixed, so that sums do not depend on the number of threads; the activations of a group of this
// size fit a core's second-level cache for layers of a few hundred units.
constexpr int64_t kRowsPerGroup = 256;

RLGPU_CPU_CLONES void activate_in_place(Activation activation, int64_t count,
                                        float* __restrict__ x_out) {
  if (activation == Activation::kElu) {
    for (int64_t i = 0; i < count; ++i) x_out[i] = elu(x_out[i]);
  } else if (activation == Activation::kRelu) {
    for (int64_t i = 0; i < count; ++i) x_out[i] = relu(x_out[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) x_out[i] = tanh_of(x_out[i]);
  }
}

// Multiplies gradients for an activation's values y by its derivative.
RLGPU_CPU_CLONES void differentiate_in_place(Activation activation, const float* __restrict__ y_in,
                                             int64_t count, float* __restrict__ grad_out) {
  if (activation == Activation::kElu) {
    for (int64_t i = 0; i < count; ++i) grad_out[i] = elu_gradient(grad_out[i], y_in[i]);
  } else if (activation == Activation::kRelu) {
    for (int64_t i = 0; i < count; ++i) grad_out[i] = relu_gradient(grad_out[i], y_in[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) grad_out[i] = tanh_gradient(grad_out[i], y_in[i]);
  }
}

RLGPU_CPU_CLONES void add_columns(const float* __restrict__ rows_in, int64_t num_rows,
                                  int64_t width, float* __restrict__ sums_out) {
  for (int64_t row = 0; row < num_rows; ++row) {
    for (int64_t i = 0; i < width; ++i) sums_out[i] += rows_in[row * width + i];
  }
}

RLGPU_CPU_CLONES void add_in_place(const float* __restrict__ x_in, int64_t count,
                                   float* __restrict__ sum_out) {
  for (int64_t i = 0; i < count; ++i) sum_out[i] += x_in[i];
}

int64_t count_groups(int64_t num_rows) { return (num_rows + kRowsPerGroup - 1) / kRowsPerGroup; }

// Calls body(group, first row, number of rows) for every group, in parallel. Threads take the next
// group when they are free, so that a core shared with other processes does not delay the pass;
// which thread processes a group does not affect the result.
template <typename Body>
void for_each_group(int64_t num_rows, const Body& body) {
  const int64_t num_groups = count_groups(num_rows);
  const int64_t num_workers = std::min<int64_t>(num_groups, at::get_num_threads());
  std::atomic<int64_t> next{0};
  at::parallel_for(0, num_workers, 1, [&](int64_t, int64_t) {
    // Thread-local: ops on the worker threads would otherwise dispatch through autograd.
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    for (int64_t group = next++; group < num_groups; group = next++) {
      const int64_t begin = group * kRowsPerGroup;
      body(group, begin, std::min(kRowsPerGroup, num_rows - begin));
    }
  });
}

// Rounds operands of matrix products to the given precision, stored as float32. TF32 exists only on
// GPUs: here it means float32.
at::Tensor rounded(const at::Tensor& x, Precision precision) {
  return precision == Precision::kBf16 ? x.to(at::kBFloat16).to(at::kFloat) : x;
}

std::vector<at::Tensor> rounded(at::TensorList tensors, Precision precision) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : tensors) result.push_back(rounded(tensor, precision));
  return result;
}

// Returns the tiles that compute some layers in a precision, or null.
const tiles::Tiles* tiles_for(Precision precision, at::TensorList weights) {
  if (precision != Precision::kBf16) return tiles::tiles();
  for (const at::Tensor& weight : weights) {
    if (std::max(weight.size(0), weight.size(1)) > tiles::kMostHalfDepth) return nullptr;
  }
  return tiles::half_tiles();
}

std::vector<at::Tensor> mlp_forward_cpu(const at::Tensor& x, at::TensorList given_weights,
                                        at::TensorList biases, c10::string_view precision_name,
                                        c10::string_view activation_name) {
  check_mlp("mlp_forward", x, given_weights, biases);
  const Precision precision = parse_precision("mlp_forward", precision_name);
  const Activation activation = parse_activation("mlp_forward", activation_name);
  if (const tiles::Tiles* fast = tiles_for(precision, given_weights)) {
    return tiles::mlp_forward(*fast, x, given_weights, biases, activation);
  }
  const std::vector<at::Tensor> weights = rounded(given_weights, precision);
  const at::Tensor input = x.contiguous();
  const int64_t num_rows = x.size(0);
  std::vector<at::Tensor> activations, transposed;
  for (const at::Tensor& weight : weights) {
    activations.push_back(at::empty({num_rows, weight.size(0)}, x.options()));
    transposed.push_back(weight.t());
  }
  for_each_group(num_rows, [&](int64_t, int64_t begin, int64_t count) {
    at::Tensor below = input.narrow(0, begin, count);
    for (size_t layer = 0; layer < weights.size(); ++layer) {
      at::Tensor out = activations[layer].narrow(0, begin, count);
      at::addmm_out(out, biases[layer], rounded(below, precision), transposed[layer]);
      if (layer + 1 < weights.size()) {
        activate_in_place(activation, out.numel(), out.mutable_data_ptr<float>());
      }
      below = out;
    }
  });
  return activations;
}

// Matrix products are slow if the row length is not a multiple of a vector's 16 floats, as is often
// the case for observations: such a layer's gradient stays transposed until the groups are summed.
bool is_transposed(const at::Tensor& weight) {
  return weight.size(1) % 16 != 0 && weight.size(0) % 16 == 0;
}

// Writes the gradients of one group of rows to flat: weights, then biases, layer by layer. Returns
// the gradient for x where it is wanted.
at::Tensor backward_group(const at::Tensor& grad, const at::Tensor& x, at::TensorList weights,
                          at::TensorList activations, Precision precision, Activation activation,
                          bool input_gradient, int64_t begin, int64_t count, at::Tensor flat) {
  int64_t end = flat.numel();
  at::Tensor g = grad.narrow(0, begin, count);
  for (size_t layer = weights.size(); layer-- > 0;) {
    const int64_t units = weights[layer].size(0), width = weights[layer].size(1);
    const bool first = layer == 0;
    const at::Tensor below = (first ? x : activations[layer - 1]).narrow(0, begin, count);
    at::Tensor grad_bias = flat.narrow(0, end - units, units);
    at::Tensor grad_weight = flat.narrow(0, end - units - units * width, units * width);
    end -= units + units * width;
    grad_bias.zero_();
    add_columns(g.const_data_ptr<float>(), count, units, grad_bias.mutable_data_ptr<float>());
    const at::Tensor left = rounded(g, precision), right = rounded(below, precision);
    if (is_transposed(weights[layer])) {
      at::Tensor out = grad_weight.view({width, units});
      at::mm_out(out, right.t(), left);
    } else {
      at::Tensor out = grad_weight.view({units, width});
      at::mm_out(out, left.t(), right);
    }
    if (first && !input_gradient) return {};
    g = at::mm(left, weights[layer]);
    if (first) return g;
    differentiate_in_place(activation, below.const_data_ptr<float>(), g.numel(),
                           g.mutable_data_ptr<float>());
  }
  return {};
}

std::tuple<at::Tensor, at::Tensor> mlp_backward_cpu(const at::Tensor& grad, const at::Tensor& x,
                                                    at::TensorList given_weights,
                                                    at::TensorList activations,
                                                    c10::string_view precision_name,
                                                    c10::string_view activation_name,
                                                    bool input_gradient) {
  check_mlp_backward(grad, x, given_weights, activations);
  const Precision precision = parse_precision("mlp_backward", precision_name);
  const Activation activation = parse_activation("mlp_backward", activation_name);
  if (const tiles::Tiles* fast = tiles_for(precision, given_weights)) {
    return tiles::mlp_backward(*fast, grad, x, given_weights, activations, activation,
                               input_gradient);
  }
  const std::vector<at::Tensor> weights = rounded(given_weights, precision);
  const at::Tensor input = x.contiguous(), grad_c = grad.contiguous();
  const int64_t num_rows = x.size(0);
  int64_t size = 0;
  for (const at::Tensor& weight : weights) size += weight.numel() + weight.size(0);
  const int64_t num_groups = count_groups(num_rows);
  at::Tensor partials = at::empty({std::max<int64_t>(num_groups, 1), size}, x.options());
  if (num_groups == 0) partials.zero_();
  at::Tensor grad_x = at::empty({input_gradient ? num_rows : 0, x.size(1)}, x.options());
  for_each_group(num_rows, [&](int64_t group, int64_t begin, int64_t count) {
    const at::Tensor found =
        backward_group(grad_c, input, weights, activations, precision, activation, input_gradient,
                       begin, count, partials.select(0, group));
    if (input_gradient) grad_x.narrow(0, begin, count).copy_(found);
  });
  float* sum_out = partials.mutable_data_ptr<float>();
  at::parallel_for(0, size, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t group = 1; group < num_groups; ++group) {
      add_in_place(sum_out + group * size + begin, end - begin, sum_out + begin);
    }
  });
  at::Tensor flat = partials.select(0, 0).clone();
  int64_t start = 0;
  for (const at::Tensor& weight : weights) {
    at::Tensor grad_weight = flat.narrow(0, start, weight.numel());
    if (is_transposed(weight)) {
      const at::Tensor upright =
          grad_weight.view({weight.size(1), weight.size(0)}).t().contiguous();
      grad_weight.copy_(upright.view(-1));
    }
    start += weight.numel() + weight.size(0);
  }
  return {flat, grad_x};
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) {
  m.impl("mlp_forward", &rlgpu::mlp_forward_cpu);
  m.impl("mlp_backward", &rlgpu::mlp_backward_cpu);
}
