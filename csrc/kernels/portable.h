// Macros for arithmetic shared by CPU loops and CUDA kernels, and for CPU loops that are worth
// compiling once per vector width. Independent of torch.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define RLGPU_HD __host__ __device__ __forceinline__
#else
#define RLGPU_HD inline __attribute__((always_inline))
#endif

// One binary runs on every x86-64 machine: the loader picks the widest version the CPU supports.
// Contraction to FMA is off for these files (setup.py), so every version gives the same bits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define RLGPU_CPU_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RLGPU_CPU_CLONES
#endif

namespace rlgpu {

constexpr float kHalfLog2Pi = 0.91893853320467274f;

// exp(x) for x from -87 to 88, correct to 2 ulp, without a branch or a table, so that compilers can
// vectorise it. Source: the classic Cephes expf reduction and polynomial.
RLGPU_HD float exp_within_range(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = (x * 1.44269504f + kRound) - kRound;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
}

// exp(x) for x <= 0, constant below -87.
RLGPU_HD float exp_nonpositive(float x) {
#if defined(__CUDA_ARCH__)
  return expf(x);
#else
  return exp_within_range(x < -87.0f ? -87.0f : x);
#endif
}

// exp(x), constant below -87 and from 88 to where it overflows; exactly 1 at 0.
RLGPU_HD float exp_vectorized(float x) {
#if defined(__CUDA_ARCH__)
  return expf(x);
#else
  const float clamped = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);  // NaN passes through
  const float y = exp_within_range(clamped);
  return x > 88.72283f ? HUGE_VALF : y;
#endif
}

}  // namespace rlgpu
