// physics_step on the CPU: picks the widest vectors that the CPU has.
#include <torch/library.h>

#include "../checks/physics.h"
#include "physics/worlds.h"

namespace rlgpu {
namespace {

// Runs with vectors of the given number of lanes, or the widest that the CPU has for 0.
void run_lanes(const physics::Call& call, int64_t lanes) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  static const bool has_16 = __builtin_cpu_supports("x86-64-v4");
  static const bool has_8 = __builtin_cpu_supports("x86-64-v3");
  if (has_16 && (lanes == 16 || lanes == 0)) return physics::run_avx512(call);
  if (has_8 && (lanes == 8 || lanes == 0)) return physics::run_avx2(call);
#endif
  TORCH_CHECK_VALUE(lanes == 4 || lanes == 0, "physics_step: this CPU or build has no vectors of ",
                    lanes, " floats; use 0 for the widest that it has");
  physics::run_baseline(call);
}

void physics_step_cpu(const at::Tensor& ints, const at::Tensor& constants,
                      const at::Tensor& parameters, const at::Tensor& ctrl, const at::Tensor& qpos,
                      const at::Tensor& qvel, const at::Tensor& qacc, const at::Tensor& diverged,
                      const std::optional<at::Tensor>& wrenches,
                      const std::optional<at::Tensor>& xpos, const std::optional<at::Tensor>& xquat,
                      const std::optional<at::Tensor>& xmat,
                      const std::optional<at::Tensor>& subtree_com,
                      const std::optional<at::Tensor>& cvel,
                      const std::optional<at::Tensor>& cfrc_ext, int64_t num_steps,
                      int64_t num_threads, int64_t lanes) {
  const PhysicsTensors x{ints,  constants, parameters,  ctrl,     qpos,
                         qvel,  qacc,      diverged,    wrenches, xpos,
                         xquat, xmat,      subtree_com, cvel,     cfrc_ext};
  check_physics(x, num_steps, num_threads, lanes);
  if (qpos.size(0) == 0) return;
  const auto pointer = [](const std::optional<at::Tensor>& tensor) {
    return tensor.has_value() ? tensor->data_ptr() : nullptr;
  };
  physics::Call call{};
  call.ints = ints.const_data_ptr<int32_t>();
  call.constants = constants.const_data_ptr();
  call.parameters = parameters.const_data_ptr();
  call.own_parameters = parameters.size(0) > 1;
  call.num_worlds = qpos.size(0);
  call.num_steps = static_cast<int>(num_steps);
  call.num_threads = static_cast<int>(num_threads);
  call.qpos = qpos.data_ptr(), call.qvel = qvel.data_ptr(), call.qacc = qacc.data_ptr();
  call.ctrl = ctrl.const_data_ptr();
  call.diverged = diverged.data_ptr<bool>();
  call.wrenches = pointer(wrenches);
  call.xpos = pointer(xpos), call.xquat = pointer(xquat), call.xmat = pointer(xmat);
  call.subtree_com = pointer(subtree_com), call.cvel = pointer(cvel);
  call.cfrc_ext = pointer(cfrc_ext);
  if (constants.scalar_type() == at::kDouble) return physics::run_double(call);
  run_lanes(call, lanes);
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("physics_step", &rlgpu::physics_step_cpu); }
