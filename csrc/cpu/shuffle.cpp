// shuffle on the CPU: elements in parallel, sixteen per vector.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "../checks/shuffle.h"
#include "../kernels/shuffle.cuh"

namespace rlgpu {
namespace {

constexpr int kVector = 16;
constexpr int64_t kMostVectors = int64_t{1} << 32;  // beyond, positions need 64 bits

// Positions of the elements from first to first + kVector, as shuffled() gives them one by one: all
// walk until the last one has reached a position below count.
RLGPU_CPU_CLONES void shuffle_vector(const ShuffleKeys& keys, uint32_t first, int64_t count,
                                     int64_t* __restrict__ ids_out) {
  const uint32_t bits = keys.half_bits, mask = (1u << bits) - 1;
  const uint32_t last = static_cast<uint32_t>(count - 1);
  uint32_t x[kVector], pending[kVector], any = 1;
  for (int i = 0; i < kVector; ++i) x[i] = first + i, pending[i] = 1;
  while (any != 0) {
    any = 0;
    for (int i = 0; i < kVector; ++i) {
      uint32_t left = x[i] >> bits, right = x[i] & mask;
      permute(keys, mask, left, right);
      x[i] = pending[i] != 0 ? (left << bits) | right : x[i];
      pending[i] = x[i] > last ? 1 : 0;
      any |= pending[i];
    }
  }
  for (int i = 0; i < kVector; ++i) ids_out[i] = x[i];
}

at::Tensor shuffle_cpu(at::Tensor& rng_state, int64_t count) {
  check_shuffle(rng_state, count);
  at::Tensor ids = at::empty({count}, rng_state.options());
  int64_t* state = rng_state.mutable_data_ptr<int64_t>();
  const ShuffleKeys keys =
      shuffle_keys(static_cast<uint64_t>(state[0]), static_cast<uint64_t>(state[1]), count);
  int64_t* ids_out = ids.mutable_data_ptr<int64_t>();
  at::parallel_for(0, count, 4096, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; count <= kMostVectors && i + kVector <= end; i += kVector)
      shuffle_vector(keys, static_cast<uint32_t>(i), count, ids_out + i);
    for (; i < end; ++i) ids_out[i] = shuffled(keys, i, count);
  });
  state[1] += 1;
  return ids;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("shuffle", &rlgpu::shuffle_cpu); }
