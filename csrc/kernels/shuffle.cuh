// A random permutation of rows, one element at a time.
//
// The one idea: a Feistel network is a bijection of [0, 4^k) for any round function, and repeating
// it until the result is below n makes it a bijection of [0, n). Every element is thus computed
// without sorting, from the seed and a call number alone, the same on every device. Source: Black
// and Rogaway 2002, "Ciphers with arbitrary finite domains", section 3; for shuffling, Mitchell et
// al. 2021, "Bandwidth-optimal random shuffling for GPUs".
#pragma once

#include "philox.h"
#include "rng_state.cuh"

namespace rlgpu {

constexpr int kShuffleRounds = 8;
// Distinct from the elements that gaussian_sample draws with the same call number.
constexpr uint64_t kShuffleElement = ~0ull;

struct ShuffleKeys {
  uint32_t keys[kShuffleRounds];
  int half_bits;  // width of each half of the network's block
};

RLGPU_HD ShuffleKeys shuffle_keys(uint64_t seed, uint64_t call, int64_t count) {
  ShuffleKeys keys{};
  for (int i = 0; i < kShuffleRounds / 4; ++i) {
    const Philox4 bits = philox(seed, call, kShuffleElement - i);
    keys.keys[4 * i] = bits.x;
    keys.keys[4 * i + 1] = bits.y;
    keys.keys[4 * i + 2] = bits.z;
    keys.keys[4 * i + 3] = bits.w;
  }
  keys.half_bits = 1;
  while ((1ull << (2 * keys.half_bits)) < static_cast<uint64_t>(count)) ++keys.half_bits;
  return keys;
}

// Mixes 32 bits well. Source: murmurhash3's finaliser (Appleby).
RLGPU_HD uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// Permutes the numbers of twice as many bits as the mask has, given as two halves.
RLGPU_HD void permute(const ShuffleKeys& keys, uint32_t mask, uint32_t& left, uint32_t& right) {
  for (int round = 0; round < kShuffleRounds; ++round) {
    const uint32_t next = left ^ (mix(right ^ keys.keys[round]) & mask);
    left = right;
    right = next;
  }
}

// Returns the position that element i of [0, count) moves to.
RLGPU_HD int64_t shuffled(const ShuffleKeys& keys, int64_t i, int64_t count) {
  const uint32_t mask = static_cast<uint32_t>((1ull << keys.half_bits) - 1);
  uint64_t x = static_cast<uint64_t>(i);
  do {
    uint32_t left = static_cast<uint32_t>(x >> keys.half_bits),
             right = static_cast<uint32_t>(x) & mask;
    permute(keys, mask, left, right);
    x = (static_cast<uint64_t>(left) << keys.half_bits) | right;
  } while (x >= static_cast<uint64_t>(count));
  return static_cast<int64_t>(x);
}

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kShuffleBlock = 256;

// One thread owns one element; coalesced; deterministic.
__global__ void __launch_bounds__(kShuffleBlock)
    shuffle_kernel(const int64_t* __restrict__ rng_state_in, int64_t count,
                   int64_t* __restrict__ ids_out) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(kShuffleBlock) + threadIdx.x;
  if (i >= count) return;
  const ShuffleKeys keys = shuffle_keys(static_cast<uint64_t>(rng_state_in[0]),
                                        static_cast<uint64_t>(rng_state_in[1]), count);
  ids_out[i] = shuffled(keys, i, count);
}

inline cudaError_t launch_shuffle(int64_t* rng_state, int64_t count, int64_t* ids_out,
                                  cudaStream_t stream) {
  if (const cudaError_t error =
          launch(&shuffle_kernel, dim3(num_blocks(count, kShuffleBlock)), kShuffleBlock, 0, stream,
                 static_cast<const int64_t*>(rng_state), count, ids_out);
      error != cudaSuccess) {
    return error;
  }
  return launch(&advance_call_kernel, dim3(1), 1, 0, stream, rng_state);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
