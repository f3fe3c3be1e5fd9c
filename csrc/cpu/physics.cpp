// physics_step on the CPU: picks the widest vectors that the CPU has.
#include <torch/library.h>

#include "../checks/physics.h"
#include "physics/run.h"

namespace rlgpu {
namespace {

// Runs with vectors of the given number of lanes, or the widest that the CPU has for 0.
void run_lanes(const physics::Call& call, int num_threads, int64_t lanes) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  static const bool has_16 = __builtin_cpu_supports("x86-64-v4");
  static const bool has_8 = __builtin_cpu_supports("x86-64-v3");
  if (has_16 && (lanes == 16 || lanes == 0)) return physics::run_avx512(call, num_threads);
  if (has_8 && (lanes == 8 || lanes == 0)) return physics::run_avx2(call, num_threads);
#endif
  TORCH_CHECK_VALUE(lanes == 4 || lanes == 0, "physics_step: this CPU or build has no vectors of ",
                    lanes, " floats; use 0 for the widest that it has");
  physics::run_baseline(call, num_threads);
}

void physics_step_cpu(const PhysicsTensors& x, int64_t num_steps, int64_t num_threads,
                      int64_t lanes) {
  check_physics(x, num_steps);
  TORCH_CHECK_VALUE(num_threads >= 1, "physics_step: got ", num_threads,
                    " threads, wanted at least 1");
  TORCH_CHECK_VALUE(lanes == 0 || lanes == 4 || lanes == 8 || lanes == 16, "physics_step: got ",
                    lanes, " lanes, wanted 0 (the widest), 4, 8 or 16");
  if (x.qpos.size(0) == 0) return;
  const physics::Call call = physics_call(x, num_steps);
  const int threads = static_cast<int>(num_threads);
  if (x.constants.scalar_type() == at::kDouble) return physics::run_double(call, threads);
  run_lanes(call, threads, lanes);
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) {
  m.impl("physics_step", &rlgpu::physics_step<rlgpu::physics_step_cpu>);
}
