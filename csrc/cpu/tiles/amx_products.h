// The products of a layer on AMX: operands rounded to bfloat16, sums in single precision.
//
// The one idea: a group's rows are one operand, rounded once a layer; the other is in panels of
// pairs, [depth / 2][panel][2], as the instruction wants it: packed weights, or the rows themselves
// where gradients of weights are sums over them. Four sums of 16 x 16 stay in tile registers.
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS.
#pragma once

#include "activation.h"

namespace rlgpu::tiles {
namespace {

constexpr int64_t kPanel = 32, kSide = 16;      // columns of a panel, rows and columns of a tile
constexpr int64_t kDepth = kHalfDepth;          // numbers that one instruction sums
constexpr int64_t kMostRows = 64;               // of a group
constexpr int64_t kMostDepth = kMostHalfDepth;  // of a layer
constexpr int64_t kLineBytes = 64;              // of a row of a tile
using Half = uint16_t;

constexpr int64_t whole(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

// Sixteen tiles' shapes are alike: 16 rows of 64 bytes.
RLGPU_INLINE void configure_tiles() {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  } shape;
  for (int i = 0; i < 8; ++i) shape.bytes[i] = kLineBytes, shape.rows[i] = kSide;
  asm volatile("" : : "r"(&shape) : "memory");  // the intrinsic names its first bytes only
  _tile_loadconfig(&shape);
}

RLGPU_INLINE __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

RLGPU_INLINE __m512i halves(__m512 low, __m512 high) {
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

// Rounds rows to halves, [16 * n][whole depth], with zeros beyond the depth and the rows.
RLGPU_INLINE void round_rows(Matrix x, int64_t num_rows, int64_t depth, Half* out) {
  const int64_t stride = whole(depth, kDepth);
  for (int64_t row = 0; row < whole(num_rows, kSide); ++row, out += stride) {
    const float* at = x.at + row * x.stride;
    for (int64_t k = 0; k < stride; k += kDepth) {
      const int64_t left = row < num_rows ? depth - k : 0;
      const __m512 low = _mm512_maskz_loadu_ps(first_lanes(left), at + k);
      const __m512 high = _mm512_maskz_loadu_ps(first_lanes(left - 16), at + k + 16);
      _mm512_storeu_si512(out + k, halves(low, high));
    }
  }
}

// Rounds a panel of columns of rows to pairs, [rows / 2][panel][2], zeros beyond the rows up to a
// whole depth.
RLGPU_INLINE void pair_rows(const float* x, int64_t stride, int64_t num_rows, Half* out) {
  // Lanes 0, 16, 1, 17, ...: a column of two rows side by side.
  alignas(64) static constexpr uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i order = _mm512_load_si512(kOrder);
  for (int64_t row = 0; row < whole(num_rows, kDepth); row += 2, x += 2 * stride) {
    for (int64_t i = 0; i < kPanel; i += 16, out += 32) {
      const __m512 zero = _mm512_setzero_ps();
      const __m512 first = row < num_rows ? _mm512_loadu_ps(x + i) : zero;
      const __m512 second = row + 1 < num_rows ? _mm512_loadu_ps(x + stride + i) : zero;
      _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, halves(first, second)));
    }
  }
}

// Exchanges the odd quarters of each register with the even ones of that kApart further.
template <int kApart>
RLGPU_INLINE void exchange(const __m512 (&in)[16], __m512 (&out)[16]) {
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i & kApart) continue;
    out[i] = _mm512_shuffle_f32x4(in[i], in[i + kApart], 0x88);
    out[i + kApart] = _mm512_shuffle_f32x4(in[i], in[i + kApart], 0xdd);
  }
}

// Exchanges rows and columns of 16 x 16 numbers.
RLGPU_INLINE void transpose(__m512 (&x)[16]) {
  __m512 y[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]), y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      const __m512d a = _mm512_castps_pd(y[i + k]), b = _mm512_castps_pd(y[i + 2 + k]);
      x[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      x[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  }
  exchange<4>(x, y);
  exchange<8>(y, x);
}

// Rounds x^T to halves, [16 * n columns][whole rows], with zeros beyond the rows.
RLGPU_INLINE void round_columns(Matrix x, int64_t num_rows, int64_t columns, Half* out) {
  const int64_t depth = whole(num_rows, kDepth);
  for (int64_t first = 0; first < columns; first += 16) {
    for (int64_t row = 0; row < depth; row += kDepth) {
      __m512 block[2][16];
      for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < 16; ++i) {
          const int64_t at = row + 16 * half + i;
          block[half][i] =
              at < num_rows ? _mm512_loadu_ps(x.at + at * x.stride + first) : _mm512_setzero_ps();
        }
        transpose(block[half]);
      }
      for (int i = 0; i < 16; ++i) {
        _mm512_storeu_si512(out + (first + i) * depth + row, halves(block[0][i], block[1][i]));
      }
    }
  }
}

// Adds a panel's products to C, which has whole tiles: kRowTiles x 2 tiles at once. a: halves of
// rows, [rows][depth]; b: pairs. If kBias, the sums begin at bias, otherwise at C if adds, or zero.
template <int kRowTiles, bool kBias>
RLGPU_INLINE void multiply_tiles(const Half* a, int64_t depth, const Half* b, const float* bias,
                                 bool adds, float* c, int64_t c_stride) {
  const int64_t c_bytes = c_stride * static_cast<int64_t>(sizeof(float)), a_bytes = depth * 2;
  float* const lower = c + kSide * c_stride;
  // The intrinsics are macros of assembly.
  if (kBias || adds) {
    _tile_loadd(0, kBias ? bias : c, kBias ? 0 : c_bytes);
    _tile_loadd(1, kBias ? bias + kSide : c + kSide, kBias ? 0 : c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
  }
  if (kRowTiles == 2 && (kBias || adds)) {
    _tile_loadd(2, kBias ? bias : lower, kBias ? 0 : c_bytes);
    _tile_loadd(3, kBias ? bias + kSide : lower + kSide, kBias ? 0 : c_bytes);
  } else if (kRowTiles == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < depth; k += kDepth, b += kDepth * kPanel) {
    _tile_loadd(6, b, 2 * kLineBytes);
    _tile_loadd(7, b + kDepth, 2 * kLineBytes);
    _tile_loadd(4, a + k, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (kRowTiles == 1) continue;
    _tile_loadd(5, a + kSide * depth + k, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + kSide, c_bytes);
  if (kRowTiles == 1) return;
  _tile_stored(2, lower, c_bytes);
  _tile_stored(3, lower + kSide, c_bytes);
}

// All rows of a panel of C, in whole tiles.
template <bool kBias>
__attribute__((noinline)) void multiply_panel(const Half* a, int64_t depth, const Half* b,
                                              const float* bias, bool adds, float* c,
                                              int64_t c_stride, int64_t num_rows) {
  asm volatile("" : : : "memory");  // the intrinsics do not say that they read memory
  int64_t row = 0;
  for (; row + kSide < num_rows; row += 2 * kSide) {
    multiply_tiles<2, kBias>(a + row * depth, depth, b, bias, adds, c + row * c_stride, c_stride);
  }
  if (row < num_rows) {
    multiply_tiles<1, kBias>(a + row * depth, depth, b, bias, adds, c + row * c_stride, c_stride);
  }
}

RLGPU_INLINE const Half* packed(const float* panels, int64_t first, int64_t depth) {
  return reinterpret_cast<const Half*>(panels + first * depth);
}

// Calls done(first) for each panel of outputs.
template <typename Done>
RLGPU_INLINE void outputs_of(const Layer& layer, Matrix below, Matrix out, int64_t num_rows,
                             Done done) {
  alignas(64) Half left[kMostRows * kMostDepth];
  round_rows(below, num_rows, layer.width, left);
  for (int64_t first = 0; first < layer.units; first += kPanel) {
    multiply_panel<true>(left, whole(layer.width, kDepth),
                         packed(layer.columns, first, layer.column_depth), layer.bias + first,
                         false, out.at + first, out.stride, num_rows);
    done(first);
  }
}

// Writes or adds the gradients of the weights, in panels of inputs. The last tile of rows of a
// panel may reach into the next panel, so it goes through a copy.
RLGPU_INLINE void weight_gradient_of(const Layer& layer, Matrix grad, Matrix below,
                                     int64_t num_rows, bool adds, float* out) {
  alignas(64) Half left[kMostRows * kMostDepth], right[kMostRows * kPanel];
  const int64_t depth = whole(num_rows, kDepth), inside = layer.units / kSide * kSide;
  round_columns(grad, num_rows, layer.units, left);
  for (int64_t first = 0; first < layer.width; first += kPanel, out += kPanel * layer.units) {
    pair_rows(below.at + first, below.stride, num_rows, right);
    multiply_panel<false>(left, depth, right, nullptr, adds, out, kPanel, inside);
    if (inside == layer.units) continue;
    alignas(64) float last[kSide * kPanel];
    float* const rest = out + inside * kPanel;
    const int64_t count = (layer.units - inside) * kPanel;
    for (int64_t i = 0; i < count; ++i) last[i] = rest[i];
    asm volatile("" : : : "memory");
    multiply_tiles<1, false>(left + inside * depth, depth, right, nullptr, adds, last, kPanel);
    for (int64_t i = 0; i < count; ++i) rest[i] = last[i];
  }
}

// Replaces the values below a layer by their gradients.
template <Activation kActivation>
void input_gradient_of(const Layer& layer, Matrix grad, Matrix below, int64_t num_rows) {
  alignas(64) Half left[kMostRows * kMostDepth];
  alignas(64) float sums[kMostRows * kPanel];
  round_rows(grad, num_rows, layer.units, left);
  for (int64_t first = 0; first < layer.width; first += kPanel) {
    multiply_panel<false>(left, whole(layer.units, kDepth),
                          packed(layer.rows, first, layer.row_depth), nullptr, false, sums, kPanel,
                          num_rows);
    const Derivative<kActivation> derivative;
    for (int64_t row = 0; row < num_rows; ++row) {
      for (int64_t i = 0; i < kPanel; i += Vec::kLanes) {
        float* to = below.at + row * below.stride + first + i;
        Vec::Reg x = Vec::load(sums + row * kPanel + i);
        if constexpr (kActivation != Activation::kNone) x = derivative.times(x, Vec::load(to));
        Vec::store(to, x);
      }
    }
  }
}

// Packs a panel of weights, [depth][panel], as pairs.
void pack_pairs(const float* panel, int64_t depth, float* out) {
  pair_rows(panel, kPanel, depth, reinterpret_cast<Half*>(out));
}

}  // namespace
}  // namespace rlgpu::tiles
