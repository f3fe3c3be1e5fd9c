// Sums over a warp and over a block, bit-identical in every run and in every thread.
//
// The one idea: every sum is a struct of doubles, added field by field in a fixed order.
#pragma once

#include "launch.cuh"

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kWarp = 32;  // threads per warp
constexpr unsigned kWholeWarp = 0xffffffffu;

// Adds each field of other to the same field of into.
template <typename Sums>
__device__ void add_fields(Sums& into, const Sums& other) {
  static_assert(sizeof(Sums) % sizeof(double) == 0, "sums are structs of doubles");
  auto* to = reinterpret_cast<double*>(&into);
  const auto* from = reinterpret_cast<const double*>(&other);
#pragma unroll
  for (unsigned i = 0; i < sizeof(Sums) / sizeof(double); ++i) to[i] += from[i];
}

// Sums over a warp by a butterfly of shuffles: every lane gets the same bits.
template <typename Sums>
__device__ Sums warp_sum(Sums mine) {
  static_assert(sizeof(Sums) % sizeof(double) == 0, "sums are structs of doubles");
  auto* fields = reinterpret_cast<double*>(&mine);
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
#pragma unroll
    for (unsigned i = 0; i < sizeof(Sums) / sizeof(double); ++i) {
      fields[i] += __shfl_xor_sync(kWholeWarp, fields[i], mask);
    }
  }
  return mine;
}

// Sums over a block, warp by warp in order; every thread gets the result.
template <int kBlock, typename Sums>
__device__ Sums block_sum(Sums mine) {
  __shared__ Sums warps[kBlock / kWarp];
  mine = warp_sum(mine);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = mine;
  __syncthreads();
  Sums total = warps[0];
  for (int i = 1; i < kBlock / kWarp; ++i) add_fields(total, warps[i]);
  __syncthreads();
  return total;
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
