// Number types of the fused engine: one float holds one world, a vector of floats holds many.
//
// The one idea: every routine is a template over V. With V = Floats a CPU core steps up to sixteen
// worlds at once, each in its own lane; with V = float the same text is a CUDA thread that steps
// one world; with V = double it is the reading that tests compare with MuJoCo to the last digits.
// Comparisons of two V give a mask; select() chooses per lane, so no lane can disturb another.
#pragma once

#include <cmath>
#include <cstdint>

#include "../portable.h"

#if defined(RLGPU_PHYSICS_AVX512) || defined(RLGPU_PHYSICS_AVX2)
#include <immintrin.h>
#endif

// Each vector width is compiled separately (csrc/cpu/physics/*.cpp) with its own instruction set.
// The namespace keeps the linker from merging their functions.
#if !defined(RLGPU_PHYSICS_BUILD)
#define RLGPU_PHYSICS_BUILD one_lane
#endif

// A part of a step: a function like any other, where RLGPU_HD insists on inlining. A rare part,
// which many models never run, must not cost the others a GPU thread's registers.
#if defined(__CUDACC__)
#define RLGPU_STAGE __host__ __device__ inline
#define RLGPU_RARE __host__ __device__ __noinline__
#else
#define RLGPU_STAGE inline
#define RLGPU_RARE __attribute__((noinline))
#endif

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Real: the type of one lane. Mask: the type of a comparison. kWidth: worlds per value.
// kOwnPattern: whether the solver's matrix leaves out what no contact couples; see pattern.h.
template <typename V>
struct Lanes;

template <>
struct Lanes<float> {
  using Real = float;
  using Mask = bool;
  static constexpr bool kOwnPattern = false;
  static constexpr int kWidth = 1;
};

template <>
struct Lanes<double> {
  using Real = double;
  using Mask = bool;
  static constexpr bool kOwnPattern = true;
  static constexpr int kWidth = 1;
};

template <typename V>
using Real = typename Lanes<V>::Real;
template <typename V>
using Mask = typename Lanes<V>::Mask;

RLGPU_HD bool any(bool mask) { return mask; }
// The lanes of a mask, a bit for each.
RLGPU_HD uint32_t bits_of(bool mask) { return mask ? 1 : 0; }
// Has memory fetched that is read soon.
RLGPU_HD void prefetch([[maybe_unused]] const void* address) {
#if !defined(__CUDA_ARCH__)
  __builtin_prefetch(address);
#endif
}
RLGPU_HD float square_root(float x) { return sqrtf(x); }
RLGPU_HD double square_root(double x) { return sqrt(x); }

#if defined(RLGPU_PHYSICS_LANES)
typedef float Floats __attribute__((vector_size(4 * RLGPU_PHYSICS_LANES)));
typedef int32_t FloatsMask __attribute__((vector_size(4 * RLGPU_PHYSICS_LANES)));

template <>
struct Lanes<Floats> {
  using Real = float;
  using Mask = FloatsMask;
  static constexpr bool kOwnPattern = true;
  static constexpr int kWidth = RLGPU_PHYSICS_LANES;
};

RLGPU_HD uint32_t bits_of(FloatsMask mask) {
#if defined(RLGPU_PHYSICS_AVX512)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#elif defined(RLGPU_PHYSICS_AVX2)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
#else
  uint32_t bits = 0;
  for (int i = 0; i < RLGPU_PHYSICS_LANES; ++i) bits |= (mask[i] & 1u) << i;
  return bits;
#endif
}

RLGPU_HD bool any(FloatsMask mask) { return bits_of(mask) != 0; }

RLGPU_HD Floats square_root(Floats x) {
  Floats root;
  for (int i = 0; i < RLGPU_PHYSICS_LANES; ++i) root[i] = __builtin_sqrtf(x[i]);
  return root;
}
#endif

#if defined(RLGPU_PHYSICS_LANES)
// The lanes of a vector in another order: from says for each lane which one it is.
template <typename Vector>
RLGPU_HD Vector shuffled(Vector x, FloatsMask from) {
#if defined(__clang__)
  Vector moved;
  for (int i = 0; i < RLGPU_PHYSICS_LANES; ++i) moved[i] = x[from[i]];
  return moved;
#else
  return __builtin_shuffle(x, from);
#endif
}
#endif

// The integer below a number that is not negative.
RLGPU_HD float whole(float x) { return static_cast<float>(static_cast<int32_t>(x)); }
RLGPU_HD double whole(double x) { return static_cast<double>(static_cast<int32_t>(x)); }

// Per lane: the entry of a table in a row and a column, which are whole numbers.
template <typename V>
RLGPU_HD V gather(const Real<V>* table, V row, int columns, V column) {
  return table[static_cast<int64_t>(row) * columns + static_cast<int64_t>(column)];
}

#if defined(RLGPU_PHYSICS_LANES)
RLGPU_HD Floats whole(Floats x) {
  return __builtin_convertvector(__builtin_convertvector(x, FloatsMask), Floats);
}

template <>
RLGPU_HD Floats gather<Floats>(const float* table, Floats row, int columns, Floats column) {
  Floats found;
  for (int i = 0; i < RLGPU_PHYSICS_LANES; ++i)
    found[i] = table[static_cast<int64_t>(row[i]) * columns + static_cast<int64_t>(column[i])];
  return found;
}
#endif

// The mask of one lane alone.
template <typename V>
RLGPU_HD Mask<V> only(int) {
  return true;
}
#if defined(RLGPU_PHYSICS_LANES)
template <>
RLGPU_HD FloatsMask only<Floats>(int lane) {
  FloatsMask mask{};
  mask[lane] = -1;
  return mask;
}
#endif

// The same number in every lane.
template <typename V>
RLGPU_HD V splat(Real<V> x) {
  return V{} + x;
}

// Per lane: a where the mask is set, else b.
template <typename V>
RLGPU_HD V select(Mask<V> mask, V a, V b) {
  return mask ? a : b;
}

// Per lane: a where the mask is set, else zero; unlike a product with 0, it also drops a NaN.
template <typename V>
RLGPU_HD V keep(Mask<V> mask, V a) {
  return mask ? a : V{};
}

template <typename V>
RLGPU_HD V minimum(V a, V b) {
  return a < b ? a : b;
}

template <typename V>
RLGPU_HD V maximum(V a, V b) {
  return a > b ? a : b;
}

template <typename V>
RLGPU_HD V magnitude(V a) {
  return a < V{} ? -a : a;
}

template <typename V>
RLGPU_HD V clamp(V x, V low, V high) {
  return minimum(maximum(x, low), high);
}

template <typename V>
RLGPU_HD V reciprocal(V x) {
  return Real<V>(1) / x;
}

// Sine and cosine, correct to 2 ulp for |x| < 1000. Source: the Cephes polynomials on [-pi/4, pi/4]
// after subtracting multiples of pi/2 in two parts.
template <typename V>
RLGPU_HD void sine_cosine(V x, V& sine, V& cosine) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const V k = (x * 0.63661977236758f + kRound) - kRound;
  const V r = (x - k * 1.5707963705062866f) + k * 4.371139000186241e-8f;
  const V r2 = r * r;
  const V s = r + r * r2 * (-1.6666654611e-1f + r2 * (8.3321608736e-3f + r2 * -1.9515295891e-4f));
  const V c =
      1.0f - 0.5f * r2 +
      r2 * r2 *
          (4.166664568298827e-2f + r2 * (-1.388731625493765e-3f + r2 * 2.443315711809948e-5f));
  // The quadrant, k modulo 4, is one of -2, -1, 0, 1, 2.
  const V quadrant = k - 4.0f * ((k * 0.25f + kRound) - kRound);
  const Mask<V> even = magnitude(magnitude(quadrant) - 1.0f) > 0.5f;
  const Mask<V> opposite = magnitude(quadrant) > 1.5f;
  const Mask<V> sine_negative = opposite | (quadrant == -1.0f);
  const Mask<V> cosine_negative = opposite | (quadrant == 1.0f);
  const V s_or_c = select<V>(even, s, c), c_or_s = select<V>(even, c, s);
  sine = select<V>(sine_negative, -s_or_c, s_or_c);
  cosine = select<V>(cosine_negative, -c_or_s, c_or_s);
}

template <>
RLGPU_HD void sine_cosine<double>(double x, double& sine, double& cosine) {
  sine = sin(x);
  cosine = cos(x);
}

// The angle in [0, pi / 2] of a point (x, y) with coordinates that are not negative, correct to 3
// ulp. Source: the Cephes polynomial on [0, tan(pi / 8)], to which larger ratios are reduced.
template <typename V>
RLGPU_HD V arc_tangent(V y, V x) {
  const V one = splat<V>(1), most = maximum(maximum(x, y), splat<V>(Real<V>(1e-30)));
  const V ratio = minimum(x, y) / most;
  const Mask<V> is_large = ratio > 0.4142135623730950f;
  const V r = select<V>(is_large, (ratio - one) / (ratio + one), ratio), r2 = r * r;
  const V polynomial =
      r + r * r2 *
              (-3.33329491539e-1f +
               r2 * (1.99777106478e-1f + r2 * (-1.38776856032e-1f + r2 * 8.05374449538e-2f)));
  const V angle = select<V>(is_large, 0.7853981633974483f + polynomial, polynomial);
  return select<V>(y > x, 1.5707963267948966f - angle, angle);
}

template <>
RLGPU_HD double arc_tangent<double>(double y, double x) {
  return atan2(y, x);
}

// The angle of a vector (x, y), from -pi to pi.
template <typename V>
RLGPU_HD V angle_of(V x, V y) {
  const V right = arc_tangent(magnitude(y), magnitude(x));
  const V angle = select<V>(x < V{}, Real<V>(3.141592653589793) - right, right);
  return select<V>(y < V{}, -angle, angle);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
