// Argument checks of physics_step, and its arguments as kernels take them.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "../kernels/physics/worlds.h"
#include "tensor.h"

namespace rlgpu {

// Tensors of a call, as in rlgpu/ops/physics.py.
struct PhysicsTensors {
  const at::Tensor &header, &ints, &constants, &parameters, &ctrl;
  const std::optional<at::Tensor>&xfrc_applied, &mocap_pose;
  const at::Tensor &qpos, &qvel, &qacc, &diverged;
  const std::optional<at::Tensor>&act, &wrenches, &xpos, &xquat, &xmat, &subtree_com, &cvel,
      &cfrc_ext, &qfrc_actuator, &xipos, &cdof;
};

// The op's signature: gathers the tensors of a call and runs it.
template <void (*run)(const PhysicsTensors&, int64_t num_steps, int64_t num_threads, int64_t lanes)>
void physics_step(const at::Tensor& header, const at::Tensor& ints, const at::Tensor& constants,
                  const at::Tensor& parameters, const at::Tensor& ctrl,
                  const std::optional<at::Tensor>& xfrc_applied,
                  const std::optional<at::Tensor>& mocap_pose, const at::Tensor& qpos,
                  const at::Tensor& qvel, const at::Tensor& qacc, const at::Tensor& diverged,
                  const std::optional<at::Tensor>& act, const std::optional<at::Tensor>& wrenches,
                  const std::optional<at::Tensor>& xpos, const std::optional<at::Tensor>& xquat,
                  const std::optional<at::Tensor>& xmat,
                  const std::optional<at::Tensor>& subtree_com,
                  const std::optional<at::Tensor>& cvel, const std::optional<at::Tensor>& cfrc_ext,
                  const std::optional<at::Tensor>& qfrc_actuator,
                  const std::optional<at::Tensor>& xipos, const std::optional<at::Tensor>& cdof,
                  int64_t num_steps, int64_t num_threads, int64_t lanes) {
  run({header,      ints, constants, parameters,    ctrl,     xfrc_applied, mocap_pose, qpos,
       qvel,        qacc, diverged,  act,           wrenches, xpos,         xquat,      xmat,
       subtree_com, cvel, cfrc_ext,  qfrc_actuator, xipos,    cdof},
      num_steps, num_threads, lanes);
}

inline void check_physics(const PhysicsTensors& x, int64_t num_steps) {
  const char* op = "physics_step";
  const at::Device device = x.qpos.device();
  const at::ScalarType real = x.constants.scalar_type();
  TORCH_CHECK_VALUE(real == at::kFloat || real == at::kDouble, op, ": constants is ", real,
                    ", wanted Float or Double");
  TORCH_CHECK_VALUE(num_steps >= 0, op, ": got ", num_steps, " steps, wanted at least 0");
  check_tensor(op, "header", x.header, x.header.sizes(), at::kInt, at::kCPU);
  check_dim(op, "qpos", x.qpos, 2);
  const int64_t n = x.qpos.size(0);
  const physics::Tables<float> t(x.header.const_data_ptr<int32_t>(), nullptr, nullptr);
  const auto check = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                         at::ScalarType dtype) {
    check_tensor(op, name, tensor, shape, dtype, device);
    check_contiguous(op, name, tensor);
  };
  check("ints", x.ints, x.ints.sizes(), at::kInt);
  check("constants", x.constants, x.constants.sizes(), real);
  constexpr int64_t kBlock = physics::kParameterBlock;
  if (x.parameters.dim() == 2)
    check("parameters", x.parameters, {1, t.num_parameters}, real);
  else
    check("parameters", x.parameters, {(n + kBlock - 1) / kBlock, t.num_parameters, kBlock}, real);
  check("ctrl", x.ctrl, {n, t.nu}, real);
  check("qpos", x.qpos, {n, t.nq}, real);
  check("qvel", x.qvel, {n, t.nv}, real);
  check("qacc", x.qacc, {n, t.nv}, real);
  check("diverged", x.diverged, {n}, at::kBool);
  TORCH_CHECK_VALUE(x.act.has_value() || t.na == 0, op, ": act is missing, wanted shape ",
                    at::IntArrayRef{n, t.na});
  if (x.act.has_value()) check("act", *x.act, {n, t.na}, real);
  const auto check_bodies = [&](const char* name, const std::optional<at::Tensor>& tensor,
                                int64_t entries, int64_t width) {
    if (tensor.has_value()) check(name, *tensor, {n, entries, width}, real);
  };
  check_bodies("xfrc_applied", x.xfrc_applied, t.nbody, 6);
  check_bodies("mocap_pose", x.mocap_pose, t.nmocap, 7);
  check_bodies("wrenches", x.wrenches, t.num_watched, 6);
  check_bodies("xpos", x.xpos, t.nbody, 3);
  check_bodies("xquat", x.xquat, t.nbody, 4);
  check_bodies("xmat", x.xmat, t.nbody, 9);
  check_bodies("subtree_com", x.subtree_com, t.nbody, 3);
  check_bodies("cvel", x.cvel, t.nbody, 6);
  check_bodies("cfrc_ext", x.cfrc_ext, t.nbody, 6);
  check_bodies("xipos", x.xipos, t.nbody, 3);
  check_bodies("cdof", x.cdof, t.nv, 6);
  if (x.qfrc_actuator.has_value()) check("qfrc_actuator", *x.qfrc_actuator, {n, t.nv}, real);
}

// The call that checked tensors describe.
inline physics::Call physics_call(const PhysicsTensors& x, int64_t num_steps) {
  const auto pointer = [](const std::optional<at::Tensor>& tensor) {
    return tensor.has_value() ? tensor->data_ptr() : nullptr;
  };
  physics::Call call{};
  call.header = x.header.const_data_ptr<int32_t>();
  call.ints = x.ints.const_data_ptr<int32_t>();
  call.constants = x.constants.const_data_ptr();
  call.parameters = x.parameters.const_data_ptr();
  call.own_parameters = x.parameters.dim() == 3;
  call.num_worlds = x.qpos.size(0);
  call.num_steps = static_cast<int>(num_steps);
  call.qpos = x.qpos.data_ptr(), call.qvel = x.qvel.data_ptr(), call.qacc = x.qacc.data_ptr();
  call.act = pointer(x.act);
  call.ctrl = x.ctrl.const_data_ptr();
  call.xfrc_applied = pointer(x.xfrc_applied);
  call.mocap_pose = pointer(x.mocap_pose);
  call.diverged = x.diverged.data_ptr<bool>();
  call.wrenches = pointer(x.wrenches);
  call.xpos = pointer(x.xpos), call.xquat = pointer(x.xquat), call.xmat = pointer(x.xmat);
  call.subtree_com = pointer(x.subtree_com), call.cvel = pointer(x.cvel);
  call.cfrc_ext = pointer(x.cfrc_ext), call.qfrc_actuator = pointer(x.qfrc_actuator);
  call.xipos = pointer(x.xipos), call.cdof = pointer(x.cdof);
  return call;
}

}  // namespace rlgpu
