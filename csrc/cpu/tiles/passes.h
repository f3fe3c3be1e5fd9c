// Forward and backward passes of a group of rows through all layers, for one instruction set.
//
// The products of a layer are those of the header that was included before: products.h or
// amx_products.h.
#pragma once

#include "activation.h"

namespace rlgpu::tiles {
namespace {

template <Activation kActivation>
void forward_of(const Network& network, const Matrix* values, int64_t num_rows) {
  for (int64_t l = 0; l < network.num_layers; ++l) {
    const Layer& layer = network.layers[l];
    const Matrix below = values[l], out = values[l + 1];
    outputs_of(layer, below, out, num_rows, [&](int64_t first) {
      if (l + 1 < network.num_layers) {
        activate_panel<kActivation>(out.at + first, out.stride, num_rows, kPanel);
      }
    });
  }
}

// Sums over rows of each column, up to four vectors side by side.
RLGPU_INLINE void add_columns(Matrix from, int64_t num_rows, int64_t columns, bool adds,
                              float* sums) {
  constexpr int L = Vec::kLanes, kMost = 4;
  for (int64_t first = 0; first < columns; first += kMost * L) {
    const int64_t left = (columns - first) / L;
    const int count = static_cast<int>(left < kMost ? left : kMost);
    Vec::Reg total[kMost];
    for (int n = 0; n < count; ++n) {
      total[n] = adds ? Vec::load(sums + first + n * L) : Vec::all(0.0f);
    }
    const float* at = from.at + first;
    for (int64_t row = 0; row < num_rows; ++row, at += from.stride) {
      for (int n = 0; n < count; ++n) total[n] += Vec::load(at + n * L);
    }
    for (int n = 0; n < count; ++n) Vec::store(sums + first + n * L, total[n]);
  }
}

template <Activation kActivation>
void backward_of(const Network& network, const Matrix* values, int64_t num_rows, bool adds,
                 bool input_gradient, float* sums) {
  int64_t end = 0;
  const auto whole_panels = [](int64_t size) { return (size + kPanel - 1) / kPanel * kPanel; };
  const auto size_of = [&](const Layer& layer) {
    return whole_panels(layer.width) * layer.units + whole_panels(layer.units);
  };
  for (int64_t l = 0; l < network.num_layers; ++l) end += size_of(network.layers[l]);
  for (int64_t l = network.num_layers; l-- > 0;) {
    const Layer& layer = network.layers[l];
    const Matrix grad = values[l + 1], below = values[l];
    end -= size_of(layer);
    float* out = sums + end;
    weight_gradient_of(layer, grad, below, num_rows, adds, out);
    out += whole_panels(layer.width) * layer.units;
    add_columns(grad, num_rows, whole_panels(layer.units), adds, out);
    if (l > 0) {
      input_gradient_of<kActivation>(layer, grad, below, num_rows);
    } else if (input_gradient) {
      input_gradient_of<Activation::kNone>(layer, grad, below, num_rows);
    }
  }
}

void forward(const Network& network, const Matrix* values, int64_t num_rows) {
  switch (network.activation) {
    case Activation::kRelu:
      return forward_of<Activation::kRelu>(network, values, num_rows);
    case Activation::kTanh:
      return forward_of<Activation::kTanh>(network, values, num_rows);
    default:
      return forward_of<Activation::kElu>(network, values, num_rows);
  }
}

void backward(const Network& network, const Matrix* values, int64_t num_rows, bool adds,
              bool input_gradient, float* sums) {
  switch (network.activation) {
    case Activation::kRelu:
      return backward_of<Activation::kRelu>(network, values, num_rows, adds, input_gradient, sums);
    case Activation::kTanh:
      return backward_of<Activation::kTanh>(network, values, num_rows, adds, input_gradient, sums);
    default:
      return backward_of<Activation::kElu>(network, values, num_rows, adds, input_gradient, sums);
  }
}

}  // namespace
}  // namespace rlgpu::tiles
