// physics_step on CUDA: checks, device guard, current stream, launch, launch check.
#include <torch/library.h>

#include "../checks/physics.h"
#include "../kernels/physics/physics.cuh"
#include "launch.h"

namespace rlgpu {
namespace {

// The number of threads is the CPU's; here, lanes are those of a warp that share a world.
void physics_step_cuda(const PhysicsTensors& x, int64_t num_steps, int64_t /*num_threads*/,
                       int64_t lanes) {
  check_physics(x, num_steps);
  TORCH_CHECK_VALUE(x.constants.scalar_type() == at::kFloat,
                    "physics_step: constants is Double, wanted Float on a GPU");
  const c10::cuda::CUDAGuard guard(x.qpos.device());
  TORCH_CHECK_VALUE(lanes >= 0 && lanes <= 32 && (lanes & (lanes - 1)) == 0, "physics_step: got ",
                    lanes, " lanes, wanted 0 (the default), 1, 2, 4, 8, 16 or 32 on a GPU");
  const int threads = lanes == 0 ? 1 : static_cast<int>(lanes);
  const cudaError_t error = launch_physics(physics_call(x, num_steps), threads, current_stream());
  TORCH_CHECK(error != cudaErrorInvalidValue, "physics_step: the model is too large for ", threads,
              " lanes per world; try more, or use sim=mujoco_warp");
  check_launch("physics_step", error);
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) {
  m.impl("physics_step", &rlgpu::physics_step<rlgpu::physics_step_cuda>);
}
