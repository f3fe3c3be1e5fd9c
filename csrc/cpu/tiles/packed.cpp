// Packing of weights into panels, and sums of gradients out of them.
#include "packed.h"

#include <utility>

#include "../../kernels/portable.h"

namespace rlgpu::tiles {
namespace {

// Blocks of a transposition: the lines that it reads stay in the first-level cache.
constexpr int64_t kBlock = 16;

// w^T of units first, first + 1, ...: out[i][j] = weight[first + j][i], and zeros beyond the units.
void pack_columns(const GivenLayer& layer, int64_t first, int64_t panel, float* out) {
  const int64_t count = std::min(panel, layer.units - first), width = layer.width;
  for (int64_t begin = 0; begin < width; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, width);
    for (int64_t j = 0; j < panel; ++j) {
      const float* row = layer.weight + (first + j) * width;
      for (int64_t i = begin; i < end; ++i) out[i * panel + j] = j < count ? row[i] : 0.0f;
    }
  }
}

// w of inputs first, first + 1, ...: out[u][j] = weight[u][first + j], and zeros beyond the width.
void pack_rows(const GivenLayer& layer, int64_t first, int64_t panel, float* out) {
  const int64_t count = std::min(panel, layer.width - first);
  for (int64_t u = 0; u < layer.units; ++u, out += panel) {
    std::copy_n(layer.weight + u * layer.width + first, count, out);
    std::fill(out + count, out + panel, 0.0f);
  }
}

RLGPU_CPU_CLONES void add_in_place(const float* __restrict__ x_in, int64_t count,
                                   float* __restrict__ sum_out) {
  for (int64_t i = 0; i < count; ++i) sum_out[i] += x_in[i];
}

// Rows begin an odd number of cache lines apart: otherwise they compete for the same cache sets.
int64_t row_stride(int64_t size, int64_t panel) {
  constexpr int64_t kLine = 16;
  const int64_t lines = (size + panel - 1) / panel * panel / kLine;
  return kLine * (lines | 1);
}

}  // namespace

Floats floats(int64_t count) {
  const size_t bytes = std::max<int64_t>(count, 1) * sizeof(float);
  return Floats(static_cast<float*>(::operator new[](bytes, std::align_val_t{64})));
}

PackedNetwork::PackedNetwork(const Tiles& tiles, GivenNetwork given, Activation activation,
                             int64_t first_gradient)
    : tiles_(tiles), given_(std::move(given)) {
  for (size_t l = 0; l < given_.layers.size(); ++l) {
    const GivenLayer& layer = given_.layers[l];
    const int64_t units = num_panels(layer.units), width = num_panels(layer.width);
    const bool has_gradient = static_cast<int64_t>(l) >= first_gradient;
    const int64_t column_depth = stored_depth(layer.width), row_depth = stored_depth(layer.units);
    const int64_t sizes[3] = {units * tiles.panel * column_depth,
                              has_gradient ? width * tiles.panel * row_depth : 0,
                              units * tiles.panel};
    float* at[3];
    for (int i = 0; i < 3; ++i) {
      memory_.push_back(floats(sizes[i]));
      at[i] = memory_.back().get();
    }
    layers_.push_back({layer.width, layer.units, at[0], at[1], at[2], column_depth, row_depth});
    for (int64_t i = 0; i < units; ++i) pieces_.push_back({l, i, true});
    for (int64_t i = 0; i < width; ++i) {
      if (has_gradient) pieces_.push_back({l, i, false});
      gradient_pieces_.push_back({l, i, false});
    }
    sums_at_.push_back(sums_size_);
    sums_size_ += (width * layer.units + units) * tiles.panel;
  }
  network_ = {layers_.data(), static_cast<int64_t>(layers_.size()), activation};
}

int64_t PackedNetwork::stored_depth(int64_t depth) const {
  if (tiles_.pack_pairs == nullptr) return depth;
  return (depth + kHalfDepth - 1) / kHalfDepth * kHalfDepth / 2;
}

template <typename Pack>
void PackedNetwork::pack_panel(int64_t depth, float* out, Pack pack) const {
  if (tiles_.pack_pairs == nullptr) return pack(out);
  const Floats panel = floats(depth * tiles_.panel);
  pack(panel.get());
  tiles_.pack_pairs(panel.get(), depth, out);
}

void PackedNetwork::pack(int64_t number) {
  const Piece& piece = pieces_[number];
  const GivenLayer& given = given_.layers[piece.layer];
  const Layer& layer = layers_[piece.layer];
  const int64_t first = piece.panel * tiles_.panel;
  if (!piece.is_column) {
    return pack_panel(given.units, layer.rows + first * layer.row_depth,
                      [&](float* out) { pack_rows(given, first, tiles_.panel, out); });
  }
  if (given.bias == nullptr) return;  // only gradients are wanted
  pack_panel(given.width, layer.columns + first * layer.column_depth,
             [&](float* out) { pack_columns(given, first, tiles_.panel, out); });
  const int64_t count = std::min(tiles_.panel, layer.units - first);
  std::copy_n(given.bias + first, count, layer.bias + first);
  std::fill(layer.bias + first + count, layer.bias + first + tiles_.panel, 0.0f);
}

void PackedNetwork::add_slices(int64_t number, const float* sums, int64_t stride,
                               int64_t num_slices, float* grads_out) const {
  const Piece& piece = gradient_pieces_[number];
  const GivenLayer& layer = given_.layers[piece.layer];
  const int64_t panel = tiles_.panel, first = piece.panel * panel;
  const int64_t count = std::min(panel, layer.width - first);
  std::vector<float> total(std::max(layer.units * panel, layer.units));
  const auto add_up = [&](const float* from, int64_t size) {
    std::copy_n(from, size, total.data());
    for (int64_t s = 1; s < num_slices; ++s) add_in_place(from + s * stride, size, total.data());
  };
  const float* from = sums + sums_at_[piece.layer];
  add_up(from + first * layer.units, layer.units * panel);
  float* weight = grads_out + layer.weight_grad + first;
  for (int64_t u = 0; u < layer.units; ++u) {
    std::copy_n(total.data() + u * panel, count, weight + u * layer.width);
  }
  if (piece.panel != 0) return;
  add_up(from + num_panels(layer.width) * panel * layer.units, layer.units);
  std::copy_n(total.data(), layer.units, grads_out + layer.bias_grad);
}

Workspace::Workspace(const PackedNetwork& network, const Workspace* input_of)
    : network_(network), shares_input_(input_of != nullptr) {
  const auto add = [&](int64_t size) {
    const int64_t stride = row_stride(size, network.panel());
    memory_.push_back(floats(kGroupRows * stride));
    values_.push_back({memory_.back().get(), stride});
  };
  if (input_of == nullptr) {
    add(network.layers().front().width);
    std::fill_n(values_[0].at, kGroupRows * values_[0].stride, 0.0f);  // the padding must be zero
  } else {
    values_.push_back(input_of->values_[0]);
  }
  for (const GivenLayer& layer : network.layers()) add(layer.units);
}

std::vector<Workspace> workspaces_of(const std::vector<PackedNetwork>& networks) {
  std::vector<Workspace> made;
  for (const PackedNetwork& network : networks) {
    const bool shares = !made.empty() && network.columns() == networks.front().columns();
    made.emplace_back(network, shares ? &made.front() : nullptr);
  }
  return made;
}

}  // namespace rlgpu::tiles
