// The layers of a network on vectors, compiled once per instruction set: what callers see of it.
//
// A group of rows goes through all layers, forward and backward, while it stays in a core's second
// level cache. Memory belongs to the caller, and nothing here allocates: what is compiled for wide
// vectors must never be linked into code that runs on other CPUs.
#pragma once

#include <cstdint>

#include "../../kernels/mlp.cuh"

namespace rlgpu::tiles {

// Rows of floats, each padded with zeros to whole panels.
struct Matrix {
  float* at;
  int64_t stride;
};

// One layer, y = x w^T + b, with its weights in panels: a panel's columns lie side by side.
struct Layer {
  int64_t width, units;
  float* columns;  // w^T in panels of units, [ceil(units / panel)][width][panel]: for the outputs
  float* rows;     // w in panels of inputs, [ceil(width / panel)][units][panel]: for the gradients
  float* bias;     // padded to whole panels
  int64_t column_depth, row_depth;  // of a panel: width and units, less where weights are halves
};

struct Network {
  const Layer* layers;
  int64_t num_layers;
  Activation activation;  // between the layers
};

// The functions of one instruction set. values[0] is the input and values[i] the output of layer i.
struct Tiles {
  int64_t panel;  // columns of a panel

  // Writes the values of all layers; the last one has no activation.
  void (*forward)(const Network& network, const Matrix* values, int64_t num_rows);

  // Given the gradients of the outputs in place of the last values, writes to sums each layer's
  // gradients: of the weights in the panels of `rows`, then of the bias, padded. It adds to them
  // if adds. The values are overwritten with their gradients, the input's only if asked for.
  void (*backward)(const Network& network, const Matrix* values, int64_t num_rows, bool adds,
                   bool input_gradient, float* sums);

  // Where operands are rounded to bfloat16, packs a panel, [depth][panel], as pairs of halves,
  // [ceil(depth / kHalfDepth) * kHalfDepth / 2][panel][2]; otherwise null.
  void (*pack_pairs)(const float* panel, int64_t depth, float* out);
};

constexpr int64_t kHalfDepth = 32;        // pairs come in multiples of this depth
constexpr int64_t kMostHalfDepth = 1024;  // inputs and units of a layer, with halves

const Tiles& avx2_tiles();
const Tiles& avx512_tiles();
const Tiles& amx_tiles();

// Returns the widest tiles that this CPU has, or null: then layers are products of a library.
const Tiles* tiles();

// Returns tiles that round operands to bfloat16, or null: without AMX, or a system's leave to use
// it.
const Tiles* half_tiles();

// Limits the vectors of tiles to this many floats: 0 means no tiles, a negative number no limit.
// Returns the previous limit. For tests, while no op is running.
int64_t limit_lanes(int64_t lanes);

}  // namespace rlgpu::tiles
