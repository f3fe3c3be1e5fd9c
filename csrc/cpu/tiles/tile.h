// Matrix products of a group of rows, in tiles that stay in registers.
//
// The one idea: C (rows x columns) is computed tile by tile, kRows x kPanel, each a sum over k in
// registers. B lies in panels as wide as a tile, so it is read in order. Every element is one chain
// of fused multiply-adds in the order of k: no size of a tile or a group changes a bit.
#pragma once

#include "activation.h"

namespace rlgpu::tiles {
namespace {

constexpr int kVectors = 2;  // side by side in a tile
constexpr int kPanel = Vec::kLanes * kVectors;

// Where a tile's sums begin: at zero, at the bias, or at what C holds.
enum class Begin { kZero, kBias, kResult };

struct Operand {  // element (row, k) of A is at[row * row_stride + k * k_stride]
  const float* at;
  int64_t row_stride, k_stride;
};

// One tile of M rows. Row k of B begins at b + k * b_stride. With kGradientOf, the result is a
// gradient, and it is multiplied by the derivative of the activation whose value is in C.
template <int M, Begin kBegin, Activation kGradientOf, bool kAlongK>
RLGPU_INLINE void tile(Operand a, const float* b, int64_t b_stride, int64_t depth,
                       const float* bias, float* c, int64_t c_stride) {
  constexpr int N = kVectors, L = Vec::kLanes;
  Vec::Reg sums[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      if constexpr (kBegin == Begin::kZero) sums[m][n] = Vec::all(0.0f);
      if constexpr (kBegin == Begin::kBias) sums[m][n] = Vec::load(bias + n * L);
      if constexpr (kBegin == Begin::kResult) sums[m][n] = Vec::load(c + m * c_stride + n * L);
    }
  }
  const float* at = a.at;
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k) {
    Vec::Reg right[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) right[n] = Vec::load(b + n * L);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const Vec::Reg left = Vec::all(kAlongK ? at[m * a.row_stride] : at[m]);
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sums[m][n] = Vec::fma(left, right[n], sums[m][n]);
    }
    at += kAlongK ? 1 : a.k_stride;
    b += b_stride;
  }
  const Derivative<kGradientOf> derivative;
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      float* to = c + m * c_stride + n * L;
      if constexpr (kGradientOf != Activation::kNone) {
        sums[m][n] = derivative.times(sums[m][n], Vec::load(to));
      }
      Vec::store(to, sums[m][n]);
    }
  }
}

// Height of the next tile: the last two are alike, as a low tile's sums wait for each other.
RLGPU_INLINE int next_height(int64_t left) {
  constexpr int kMost = Vec::kRows;
  if (left >= 2 * kMost || left == kMost) return kMost;
  if (left > kMost) return static_cast<int>((left + 1) / 2);
  return static_cast<int>(left);
}

// Calls the tile whose height is known only at run time.
template <Begin kBegin, Activation kGradientOf, bool kAlongK, int M = Vec::kRows>
RLGPU_INLINE void tile_of(int height, Operand a, const float* b, int64_t b_stride, int64_t depth,
                          const float* bias, float* c, int64_t c_stride) {
  if (height == M) {
    return tile<M, kBegin, kGradientOf, kAlongK>(a, b, b_stride, depth, bias, c, c_stride);
  }
  if constexpr (M > 1) {
    tile_of<kBegin, kGradientOf, kAlongK, M - 1>(height, a, b, b_stride, depth, bias, c, c_stride);
  }
}

// All rows of one panel of C.
template <Begin kBegin, Activation kGradientOf, bool kAlongK>
__attribute__((noinline)) void multiply_panel(Operand a, const float* b, int64_t b_stride,
                                              int64_t depth, const float* bias, float* c,
                                              int64_t c_stride, int64_t rows) {
  for (int64_t row = 0; row < rows;) {
    const int height = next_height(rows - row);
    tile_of<kBegin, kGradientOf, kAlongK>(height,
                                          {a.at + row * a.row_stride, a.row_stride, a.k_stride}, b,
                                          b_stride, depth, bias, c + row * c_stride, c_stride);
    row += height;
  }
}

}  // namespace
}  // namespace rlgpu::tiles
