// Activations of a panel of values, and the derivatives that tiles apply to gradients.
#pragma once

#include "tiles.h"
#include "vec.h"

namespace rlgpu::tiles {
namespace {

// exp(x) - 1 for x <= 0, within 4.2e-8; constant below -87. With x = n ln 2 + r it is
// 2^n (exp(r) - 1) + (2^n - 1), and exp(r) - 1 - r is a minimax polynomial.
RLGPU_INLINE Vec::Reg exp_minus_one(Vec::Reg x) {
  const Vec::Reg clamped = Vec::max(Vec::all(-87.0f), x);  // NaN passes through
  // 1.5 * 2^23 + 127: adding it leaves n + 127, the exponent's bits, in the lowest bits.
  const Vec::Reg round = Vec::all(12583039.0f);
  const Vec::Reg shifted = Vec::fma(clamped, Vec::all(1.44269504f), round);
  const auto scale = (Vec::Reg)((Vec::Ints)shifted << 23);
  const Vec::Reg r = Vec::fma(shifted - round, Vec::all(-0.69314718f), clamped);
  Vec::Reg p = Vec::fma(Vec::all(1.3950602284e-3f), r, Vec::all(8.3689535127e-3f));
  p = Vec::fma(p, r, Vec::all(4.1666204139e-2f));
  p = Vec::fma(p, r, Vec::all(1.6666518306e-1f));
  p = Vec::fma(p, r, Vec::all(5.0000000957e-1f));
  p = Vec::fma(p * r, r, r);
  return Vec::fma(p, scale, scale - Vec::all(1.0f));
}

template <Activation kActivation>
RLGPU_INLINE Vec::Reg activate(Vec::Reg x) {
  const Vec::Reg zero = Vec::all(0.0f);
  if constexpr (kActivation == Activation::kElu) {
    const Vec::Reg negative = exp_minus_one(x);
    return x > zero ? x : negative;
  } else if constexpr (kActivation == Activation::kRelu) {
    return Vec::max(zero, x);  // NaN passes through
  } else {
    // tanh |x| = (1 - e) / (1 + e) with e = exp(-2 |x|).
    const Vec::Reg size = x < zero ? -x : x;
    const Vec::Reg below = exp_minus_one(Vec::all(-2.0f) * size);
    const Vec::Reg y = below / (Vec::all(2.0f) + below);
    return x < zero ? y : -y;
  }
}

// Replaces a panel's values by their activations.
template <Activation kActivation>
__attribute__((noinline)) void activate_panel(float* y, int64_t stride, int64_t rows,
                                              int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < columns; i += Vec::kLanes) {
      float* at = y + row * stride + i;
      Vec::store(at, activate<kActivation>(Vec::load(at)));
    }
  }
}

// A constant that is made where it is used. Compilers would hold it in a register during the sums
// of a tile, and spill one of those, at half the speed.
RLGPU_INLINE Vec::Reg made_here(float x) {
  asm volatile("" : "+x"(x));
  return Vec::all(x);
}

// Multiplies gradients by an activation's derivative, which follows from its value y. Constructors
// are written out: those that a compiler adds are not for the CPU of this file.
template <Activation kActivation>
struct Derivative {};

template <>
struct Derivative<Activation::kElu> {
  Vec::Reg zero, one;
  RLGPU_INLINE Derivative() : zero(made_here(0.0f)), one(made_here(1.0f)) {}
  RLGPU_INLINE Vec::Reg times(Vec::Reg grad, Vec::Reg y) const {
    return grad * (Vec::min(zero, y) + one);  // NaN passes through
  }
};

template <>
struct Derivative<Activation::kRelu> {
  Vec::Reg zero;
  RLGPU_INLINE Derivative() : zero(made_here(0.0f)) {}
  RLGPU_INLINE Vec::Reg times(Vec::Reg grad, Vec::Reg y) const { return y <= zero ? zero : grad; }
};

template <>
struct Derivative<Activation::kTanh> {
  Vec::Reg one;
  RLGPU_INLINE Derivative() : one(made_here(1.0f)) {}
  RLGPU_INLINE Vec::Reg times(Vec::Reg grad, Vec::Reg y) const { return grad * (one - y * y); }
};

}  // namespace
}  // namespace rlgpu::tiles
