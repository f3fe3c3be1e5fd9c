// Networks whose weights are packed into panels, a thread's memory for a group of rows, and the
// sums over all rows.
//
// The one idea: gradients are summed over the rows of a slice in the order of the rows, and slices
// are added in order. Their size depends only on the number of rows, so neither threads nor groups
// change a bit.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "tiles.h"

namespace rlgpu::tiles {

constexpr int64_t kGroupRows = 64;  // 32 costs 2 to 7 %; up to 256 rows are alike

// Rows whose gradients one thread sums. Few, large slices cost less memory; many keep threads busy.
inline int64_t slice_rows(int64_t num_rows) {
  const int64_t share = (num_rows / 16 + kGroupRows - 1) / kGroupRows * kGroupRows;
  return std::clamp<int64_t>(share, 256, 1024);
}

struct Free {
  void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using Floats = std::unique_ptr<float[], Free>;
Floats floats(int64_t count);  // not initialised

// A layer as its owner holds it.
struct GivenLayer {
  int64_t width, units;
  const float* weight;             // [units, width]
  const float* bias;               // [units]; null if no outputs are wanted
  int64_t weight_grad, bias_grad;  // where their gradients begin in a flat buffer
};

// A network as its owner holds it.
struct GivenNetwork {
  std::vector<GivenLayer> layers;
  std::vector<int64_t> columns = {};  // that the first layer sees of the input; empty: all
};

class PackedNetwork {
 public:
  // first_gradient: the first layer whose input needs a gradient. The number of layers: none does.
  PackedNetwork(const Tiles& tiles, GivenNetwork given, Activation activation,
                int64_t first_gradient);

  // Packs the current weights. Pieces are independent.
  int64_t num_pieces() const { return static_cast<int64_t>(pieces_.size()); }
  void pack(int64_t piece);

  // Adds slices' sums, which begin stride apart, and writes them to the flat gradients.
  int64_t sums_size() const { return sums_size_; }
  int64_t num_gradient_pieces() const { return static_cast<int64_t>(gradient_pieces_.size()); }
  void add_slices(int64_t piece, const float* sums, int64_t stride, int64_t num_slices,
                  float* grads_out) const;

  void forward(const Matrix* values, int64_t num_rows) const {
    tiles_.forward(network_, values, num_rows);
  }
  void backward(const Matrix* values, int64_t num_rows, bool adds, bool input_gradient,
                float* sums) const {
    tiles_.backward(network_, values, num_rows, adds, input_gradient, sums);
  }
  const std::vector<GivenLayer>& layers() const { return given_.layers; }
  const std::vector<int64_t>& columns() const { return given_.columns; }
  int64_t panel() const { return tiles_.panel; }

 private:
  struct Piece {
    size_t layer;
    int64_t panel;
    bool is_column;  // a panel of columns, otherwise of rows
  };
  int64_t num_panels(int64_t size) const { return (size + tiles_.panel - 1) / tiles_.panel; }
  int64_t stored_depth(int64_t depth) const;  // of a panel, in rows of floats
  template <typename Pack>
  void pack_panel(int64_t depth, float* out, Pack pack) const;

  const Tiles& tiles_;
  GivenNetwork given_;
  std::vector<Layer> layers_;
  std::vector<Floats> memory_;
  std::vector<Piece> pieces_, gradient_pieces_;
  std::vector<int64_t> sums_at_;
  int64_t sums_size_ = 0;
  Network network_;
};

// A thread's values of one group of rows: the input, then those of each layer. The network must
// outlive it.
class Workspace {
 public:
  // input_of: another network's workspace with the same input, which is then shared.
  explicit Workspace(const PackedNetwork& network, const Workspace* input_of = nullptr);

  // Copies a row of the input, or the columns of it that the network sees.
  void set_input(int64_t row, const float* x) {
    if (shares_input_) return;
    float* const to = values_[0].at + row * values_[0].stride;
    const std::vector<int64_t>& columns = network_.columns();
    if (columns.empty()) std::copy_n(x, network_.layers().front().width, to);
    for (size_t i = 0; i < columns.size(); ++i) to[i] = x[columns[i]];
  }
  const Matrix* values() const { return values_.data(); }
  Matrix output() const { return values_.back(); }

 private:
  const PackedNetwork& network_;
  bool shares_input_;
  std::vector<Floats> memory_;
  std::vector<Matrix> values_;
};

// One for each of some networks with one input, which those that see the same columns share.
std::vector<Workspace> workspaces_of(const std::vector<PackedNetwork>& networks);

}  // namespace rlgpu::tiles
