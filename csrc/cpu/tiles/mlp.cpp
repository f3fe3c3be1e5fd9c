// mlp_forward and mlp_backward on tiles: groups of rows in parallel, gradients summed by slices.
#include "mlp.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "packed.h"
#include "parallel.h"

namespace rlgpu::tiles {
namespace {

std::vector<at::Tensor> contiguous(at::TensorList tensors) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : tensors) result.push_back(tensor.contiguous());
  return result;
}

// Layers whose gradients follow each other, weights before biases. Without biases none is packed.
std::vector<GivenLayer> given_layers(const std::vector<at::Tensor>& weights,
                                     const std::vector<at::Tensor>& biases) {
  std::vector<GivenLayer> result;
  int64_t at = 0;
  for (size_t l = 0; l < weights.size(); ++l) {
    const int64_t units = weights[l].size(0), width = weights[l].size(1);
    result.push_back({width, units, weights[l].const_data_ptr<float>(),
                      biases.empty() ? nullptr : biases[l].const_data_ptr<float>(), at,
                      at + units * width});
    at += units * width + units;
  }
  return result;
}

// One workspace for each worker, made by the worker itself.
class Workspaces {
 public:
  Workspaces(const PackedNetwork& network, int64_t count) : network_(network), each_(count) {}
  Workspace& of(int64_t worker) {
    if (!each_[worker]) each_[worker].emplace(network_);
    return *each_[worker];
  }

 private:
  const PackedNetwork& network_;
  std::vector<std::optional<Workspace>> each_;
};

void copy_rows(const float* from, int64_t from_stride, int64_t num_rows, int64_t width, float* to,
               int64_t to_stride) {
  for (int64_t row = 0; row < num_rows; ++row) {
    std::copy_n(from + row * from_stride, width, to + row * to_stride);
  }
}

}  // namespace

std::vector<at::Tensor> mlp_forward(const Tiles& tiles, const at::Tensor& x, at::TensorList weights,
                                    at::TensorList biases, Activation activation) {
  const std::vector<at::Tensor> kept_weights = contiguous(weights),
                                kept_biases = contiguous(biases);
  const at::Tensor input = x.contiguous();
  const int64_t num_rows = x.size(0), width = x.size(1), threads = at::get_num_threads();
  std::vector<at::Tensor> activations;
  std::vector<float*> out;
  for (const at::Tensor& weight : weights) {
    activations.push_back(at::empty({num_rows, weight.size(0)}, x.options()));
    out.push_back(activations.back().mutable_data_ptr<float>());
  }
  if (num_rows == 0) return activations;
  const int64_t num_layers = static_cast<int64_t>(weights.size());
  PackedNetwork network(tiles, {given_layers(kept_weights, kept_biases)}, activation, num_layers);
  for (int64_t piece = 0; piece < network.num_pieces(); ++piece) network.pack(piece);
  const int64_t num_groups = (num_rows + kGroupRows - 1) / kGroupRows;
  Workspaces workspaces(network, num_workers(threads, num_groups));
  const float* x_in = input.const_data_ptr<float>();
  in_parallel(threads, num_groups, [&](int64_t worker, int64_t group) {
    Workspace& workspace = workspaces.of(worker);
    const int64_t begin = group * kGroupRows, count = std::min(kGroupRows, num_rows - begin);
    for (int64_t row = 0; row < count; ++row) {
      workspace.set_input(row, x_in + (begin + row) * width);
    }
    network.forward(workspace.values(), count);
    for (int64_t l = 0; l < num_layers; ++l) {
      const Matrix values = workspace.values()[l + 1];
      const int64_t units = network.layers()[l].units;
      copy_rows(values.at, values.stride, count, units, out[l] + begin * units, units);
    }
  });
  return activations;
}

std::tuple<at::Tensor, at::Tensor> mlp_backward(const Tiles& tiles, const at::Tensor& grad,
                                                const at::Tensor& x, at::TensorList weights,
                                                at::TensorList activations, Activation activation,
                                                bool input_gradient) {
  const std::vector<at::Tensor> kept_weights = contiguous(weights);
  // Values of each layer; the gradients of the outputs take the place of the last.
  std::vector<at::Tensor> kept = contiguous(activations.slice(0, activations.size() - 1));
  kept.insert(kept.begin(), x.contiguous());
  kept.push_back(grad.contiguous());
  const int64_t num_rows = x.size(0), width = x.size(1), threads = at::get_num_threads();
  PackedNetwork network(tiles, {given_layers(kept_weights, {})}, activation,
                        input_gradient ? 0 : 1);
  int64_t size = 0;
  for (const GivenLayer& layer : network.layers()) size += (layer.width + 1) * layer.units;
  at::Tensor grad_x = at::empty({input_gradient ? num_rows : 0, width}, x.options());
  if (num_rows == 0) return {at::zeros({size}, x.options()), grad_x};
  in_parallel(threads, network.num_pieces(), [&](int64_t, int64_t piece) { network.pack(piece); });
  const int64_t rows = slice_rows(num_rows), num_slices = (num_rows + rows - 1) / rows;
  const Floats sums = floats(num_slices * network.sums_size());
  Workspaces workspaces(network, num_workers(threads, num_slices));
  std::vector<const float*> values_in;
  for (const at::Tensor& values : kept) values_in.push_back(values.const_data_ptr<float>());
  float* grad_x_out = grad_x.mutable_data_ptr<float>();
  in_parallel(threads, num_slices, [&](int64_t worker, int64_t slice) {
    const Matrix* values = workspaces.of(worker).values();
    const int64_t end = std::min((slice + 1) * rows, num_rows);
    for (int64_t begin = slice * rows; begin < end; begin += kGroupRows) {
      const int64_t count = std::min(kGroupRows, end - begin);
      for (size_t l = 0; l < kept.size(); ++l) {
        const int64_t columns = kept[l].size(1);
        copy_rows(values_in[l] + begin * columns, columns, count, columns, values[l].at,
                  values[l].stride);
      }
      network.backward(values, count, begin > slice * rows, input_gradient,
                       sums.get() + slice * network.sums_size());
      if (!input_gradient) continue;
      copy_rows(values[0].at, values[0].stride, count, width, grad_x_out + begin * width, width);
    }
  });
  at::Tensor flat = at::empty({size}, x.options());
  float* flat_out = flat.mutable_data_ptr<float>();
  in_parallel(threads, network.num_gradient_pieces(), [&](int64_t, int64_t piece) {
    network.add_slices(piece, sums.get(), network.sums_size(), num_slices, flat_out);
  });
  return {flat, grad_x};
}

}  // namespace rlgpu::tiles
