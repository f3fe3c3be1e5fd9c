// shuffle on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "../checks/shuffle.h"
#include "../kernels/shuffle.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

at::Tensor shuffle_cuda(at::Tensor& rng_state, int64_t count) {
  check_shuffle(rng_state, count);
  const c10::cuda::CUDAGuard guard(rng_state.device());
  at::Tensor ids = at::empty({count}, rng_state.options());
  check_launch("shuffle", launch_shuffle(rng_state.mutable_data_ptr<int64_t>(), count,
                                         ids.mutable_data_ptr<int64_t>(), current_stream()));
  return ids;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("shuffle", &rlgpu::shuffle_cuda); }
