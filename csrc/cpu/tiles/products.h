// The products of a layer on vectors: outputs, gradients of weights and of inputs.
#pragma once

#include "tile.h"

namespace rlgpu::tiles {
namespace {

// Calls done(first) for each panel of outputs.
template <typename Done>
RLGPU_INLINE void outputs_of(const Layer& layer, Matrix below, Matrix out, int64_t num_rows,
                             Done done) {
  for (int64_t first = 0; first < layer.units; first += kPanel) {
    multiply_panel<Begin::kBias, Activation::kNone, true>(
        {below.at, below.stride, 1}, layer.columns + first * layer.column_depth, kPanel,
        layer.width, layer.bias + first, out.at + first, out.stride, num_rows);
    done(first);
  }
}

// Writes or adds the gradients of the weights, in panels of inputs.
RLGPU_INLINE void weight_gradient_of(const Layer& layer, Matrix grad, Matrix below,
                                     int64_t num_rows, bool adds, float* out) {
  for (int64_t first = 0; first < layer.width; first += kPanel, out += kPanel * layer.units) {
    const Operand left{grad.at, 1, grad.stride};
    (adds ? multiply_panel<Begin::kResult, Activation::kNone, false>
          : multiply_panel<Begin::kZero, Activation::kNone, false>)(left, below.at + first,
                                                                    below.stride, num_rows, nullptr,
                                                                    out, kPanel, layer.units);
  }
}

// Replaces the values below a layer by their gradients.
template <Activation kActivation>
void input_gradient_of(const Layer& layer, Matrix grad, Matrix below, int64_t num_rows) {
  for (int64_t first = 0; first < layer.width; first += kPanel) {
    multiply_panel<Begin::kZero, kActivation, true>(
        {grad.at, grad.stride, 1}, layer.rows + first * layer.row_depth, kPanel, layer.units,
        nullptr, below.at + first, below.stride, num_rows);
  }
}

}  // namespace
}  // namespace rlgpu::tiles
