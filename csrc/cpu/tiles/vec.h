// A vector register behind one interface, so that the tiles are written once: Avx2, Avx512.
//
// Fused multiply-adds are explicit and contraction is off, so an element has the same bits with any
// vector width. Arithmetic and comparisons are the compiler's own operators on vectors.
#pragma once

#include <immintrin.h>

#define RLGPU_INLINE inline __attribute__((always_inline))

namespace rlgpu::tiles {
namespace {

#if defined(RLGPU_TILES_AVX512)
struct Vec {
  using Reg = __m512;
  using Ints = int __attribute__((vector_size(64)));
  static constexpr int kLanes = 16;
  static constexpr int kRows = 12;  // of a tile: 24 sums, 2 operands and 1 broadcast, 32 registers
  static RLGPU_INLINE Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static RLGPU_INLINE void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
  static RLGPU_INLINE Reg all(float x) { return _mm512_set1_ps(x); }
  static RLGPU_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static RLGPU_INLINE Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }  // b if either is NaN
  static RLGPU_INLINE Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }  // b if either is NaN
};
#elif defined(RLGPU_TILES_AVX2)
struct Vec {
  using Reg = __m256;
  using Ints = int __attribute__((vector_size(32)));
  static constexpr int kLanes = 8;
  static constexpr int kRows = 6;  // of a tile: 12 sums, 2 operands and 1 broadcast, 16 registers
  static RLGPU_INLINE Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static RLGPU_INLINE void store(float* p, Reg x) { _mm256_storeu_ps(p, x); }
  static RLGPU_INLINE Reg all(float x) { return _mm256_set1_ps(x); }
  static RLGPU_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static RLGPU_INLINE Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }  // b if either is NaN
  static RLGPU_INLINE Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }  // b if either is NaN
};
#endif

}  // namespace
}  // namespace rlgpu::tiles
