// Argument checks of physics_step.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "../kernels/physics/tables.h"
#include "tensor.h"

namespace rlgpu {

// Tensors of a call, as in rlgpu/ops/physics.py.
struct PhysicsTensors {
  at::Tensor ints, constants, parameters, ctrl, qpos, qvel, qacc, diverged;
  std::optional<at::Tensor> wrenches, xpos, xquat, xmat, subtree_com, cvel, cfrc_ext;
};

inline void check_physics(const PhysicsTensors& x, int64_t num_steps, int64_t num_threads,
                          int64_t lanes) {
  const char* op = "physics_step";
  const at::Device device = x.qpos.device();
  const at::ScalarType real = x.constants.scalar_type();
  TORCH_CHECK_VALUE(real == at::kFloat || real == at::kDouble, op, ": constants is ", real,
                    ", wanted Float or Double");
  TORCH_CHECK_VALUE(num_steps >= 0 && num_threads >= 1, op, ": got ", num_steps, " steps and ",
                    num_threads, " threads, wanted at least 0 and 1");
  TORCH_CHECK_VALUE(lanes == 0 || lanes == 4 || lanes == 8 || lanes == 16, op, ": got ", lanes,
                    " lanes, wanted 0 (the widest), 4, 8 or 16");
  check_tensor(op, "ints", x.ints, x.ints.sizes(), at::kInt, at::kCPU);
  check_dim(op, "qpos", x.qpos, 2);
  const int64_t n = x.qpos.size(0);
  const physics::Tables<float> t(x.ints.const_data_ptr<int32_t>(), nullptr);
  const auto check = [&](const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                         at::ScalarType dtype) {
    check_tensor(op, name, tensor, shape, dtype, device);
    check_contiguous(op, name, tensor);
  };
  check("constants", x.constants, x.constants.sizes(), real);
  const int64_t rows = x.parameters.dim() > 0 && x.parameters.size(0) == 1 ? 1 : n;
  check("parameters", x.parameters, {rows, t.num_parameters}, real);
  check("ctrl", x.ctrl, {n, t.nu}, real);
  check("qpos", x.qpos, {n, t.nq}, real);
  check("qvel", x.qvel, {n, t.nv}, real);
  check("qacc", x.qacc, {n, t.nv}, real);
  check("diverged", x.diverged, {n}, at::kBool);
  const auto check_output = [&](const char* name, const std::optional<at::Tensor>& tensor,
                                int64_t entries, int64_t width) {
    if (tensor.has_value()) check(name, *tensor, {n, entries, width}, real);
  };
  check_output("wrenches", x.wrenches, t.num_watched, 6);
  check_output("xpos", x.xpos, t.nbody, 3);
  check_output("xquat", x.xquat, t.nbody, 4);
  check_output("xmat", x.xmat, t.nbody, 9);
  check_output("subtree_com", x.subtree_com, t.nbody, 3);
  check_output("cvel", x.cvel, t.nbody, 6);
  check_output("cfrc_ext", x.cfrc_ext, t.nbody, 6);
}

}  // namespace rlgpu
