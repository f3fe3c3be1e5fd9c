// shuffle on the CPU: elements in parallel.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "../checks/shuffle.h"
#include "../kernels/shuffle.cuh"

namespace rlgpu {
namespace {

at::Tensor shuffle_cpu(at::Tensor& rng_state, int64_t count) {
  check_shuffle(rng_state, count);
  at::Tensor ids = at::empty({count}, rng_state.options());
  int64_t* state = rng_state.mutable_data_ptr<int64_t>();
  const ShuffleKeys keys =
      shuffle_keys(static_cast<uint64_t>(state[0]), static_cast<uint64_t>(state[1]), count);
  int64_t* ids_out = ids.mutable_data_ptr<int64_t>();
  at::parallel_for(0, count, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ids_out[i] = shuffled(keys, i, count);
  });
  state[1] += 1;
  return ids;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("shuffle", &rlgpu::shuffle_cpu); }
