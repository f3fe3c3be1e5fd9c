// Schemas of all ops: the extension's table of contents. Implementations register themselves in
// cpu/<op>.cpp and cuda/<op>.cu; contracts and fake kernels are in rlgpu/ops/<op>.py.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/library.h>

#include "cpu/tiles/tiles.h"
#include "kernels/physics/tables.h"

#if defined(RLGPU_WITH_CUDA)
#include <torch/csrc/utils/pybind.h>

#include "cuda/conditional.h"
#endif

#if defined(__GLIBC__)
#include <malloc.h>
#endif

TORCH_LIBRARY(rlgpu, m) {
  m.def(
      "gae(Tensor rewards, Tensor values, Tensor terminated, Tensor truncated, "
      "Tensor final_values, Tensor last_values, float gamma, float gae_lambda, bool normalize) "
      "-> (Tensor advantages, Tensor returns)");
  m.def("gather_rows(Tensor[] sources, Tensor ids) -> Tensor[] targets");
  m.def(
      "mlp_forward(Tensor x, Tensor[] weights, Tensor[] biases, str precision, "
      "str activation) -> Tensor[] activations");
  m.def(
      "mlp_backward(Tensor grad, Tensor x, Tensor[] weights, Tensor[] activations, str precision, "
      "str activation, bool input_gradient) -> (Tensor flat_grads, Tensor grad_x)");
  m.def("normalize(Tensor x, Tensor scale, Tensor offset, float clip, Tensor(a!) out) -> ()");
  m.def(
      "running_stats(Tensor x, Tensor(a!) mean, Tensor(b!) var, Tensor(c!) count, "
      "Tensor(d!) scale, Tensor(e!) offset) -> ()");
  m.def(
      "gaussian_sample(Tensor mean, Tensor values, Tensor log_std, Tensor(a!) rng_state, "
      "Tensor(b!) actions, Tensor(c!) log_probs, Tensor(d!) mean_out, Tensor(e!) values_out) "
      "-> ()");
  m.def(
      "physics_step(Tensor header, Tensor ints, Tensor constants, Tensor parameters, Tensor ctrl, "
      "Tensor? xfrc_applied, Tensor? mocap_pose, Tensor(a!) qpos, Tensor(b!) qvel, Tensor(c!) "
      "qacc, "
      "Tensor(d!) diverged, Tensor(m!)? act, "
      "Tensor(e!)? wrenches, Tensor(f!)? xpos, Tensor(g!)? xquat, Tensor(h!)? xmat, "
      "Tensor(i!)? subtree_com, Tensor(j!)? cvel, Tensor(k!)? cfrc_ext, "
      "Tensor(l!)? qfrc_actuator, Tensor(n!)? xipos, Tensor(o!)? cdof, "
      "int num_steps, int num_threads, int lanes) -> ()");
  m.def(
      "policy_act(Tensor observations, Tensor? scale, Tensor? offset, float clip, Tensor params, "
      "int[] layers, int[] columns, str activation, str precision, int log_std, Tensor(a!) "
      "rng_state, Tensor(b!) "
      "normalized, "
      "Tensor(c!) actions, Tensor(d!) log_probs, Tensor(e!) means, Tensor(f!) values) -> ()");
  m.def("shuffle(Tensor(a!) rng_state, int count) -> Tensor ids");
  m.def(
      "gaussian_ppo_loss(Tensor mean, Tensor log_std, Tensor values, Tensor actions, Tensor "
      "old_log_probs, "
      "Tensor old_mean, Tensor old_log_std, Tensor old_values, Tensor advantages, Tensor returns, "
      "Tensor coefficients) "
      "-> (Tensor grad_mean, Tensor grad_log_std, Tensor grad_values, Tensor metrics)");
  m.def(
      "adam_step(Tensor(a!) params, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) step, "
      "Tensor(e!) nonfinite_steps, Tensor grads, Tensor learning_rate, Tensor stop, float beta1, "
      "float beta2, float eps, float max_grad_norm) -> Tensor grad_norm");
  m.def(
      "ppo_update(Tensor(a!)[] trained, Tensor(b!)[] progress, Tensor(c!) learning_rate, "
      "Tensor[] rollout, Tensor ids, Tensor old_log_std, Tensor coefficients, int[] layers, "
      "int[] columns, str activation, str precision, int log_std, int[] choices, int[] group_ends, "
      "float[] "
      "rate_ratios, "
      "int num_minibatches, float[] adam, float[] rules, str adapt_when, bool adapt_from_start) "
      "-> ()");
}

namespace {

// glibc returns large blocks to the system immediately, so every activation of a minibatch would be
// mapped, zeroed page by page and unmapped again: a third of an update's time on the CPU.
bool keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kLargestThreshold = 32 << 20;
  return mallopt(M_MMAP_THRESHOLD, kLargestThreshold) == 1 &&
         mallopt(M_TRIM_THRESHOLD, 1 << 30) == 1;
#else
  return false;
#endif
}

// Names of the tables of a physics model, in the order in which kernels expect them.
std::map<std::string, std::vector<std::string>> physics_tables() {
#define RLGPU_NAME(name) #name,
  return {{"sizes", {RLGPU_PHYSICS_SIZES(RLGPU_NAME)}},
          {"ints", {RLGPU_PHYSICS_INTS(RLGPU_NAME)}},
          {"constants", {RLGPU_PHYSICS_CONSTANTS(RLGPU_NAME)}},
          {"parameters", {RLGPU_PHYSICS_PARAMETERS(RLGPU_NAME)}}};
#undef RLGPU_NAME
}

int64_t tile_panel() {
  const rlgpu::tiles::Tiles* tiles = rlgpu::tiles::tiles();
  return tiles == nullptr ? 0 : tiles->panel;
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.def("keep_freed_memory", &keep_freed_memory,
        "Makes this process reuse freed memory; returns whether the C library supports it.");
  m.def("limit_tile_lanes", &rlgpu::tiles::limit_lanes,
        "Limits the floats of a vector in the CPU's layers, for tests; returns the old limit.");
  m.def("tile_panel", &tile_panel, "Returns the columns of a tile on this CPU; 0 without tiles.");
  m.def(
      "has_half_tiles", [] { return rlgpu::tiles::half_tiles() != nullptr; },
      "Returns whether layers in bf16 are tiles on this CPU.");
  m.def("physics_tables", &physics_tables, "Returns the names of the tables of a physics model.");
  m.doc() = "rlgpu's compiled ops, reached through torch.ops.rlgpu.";
#if defined(RLGPU_WITH_CUDA)
  m.attr("with_cuda") = true;
  m.def("can_skip", &rlgpu::can_skip, "Returns whether CUDA graphs can have conditional nodes.");
  m.def("begin_unless", &rlgpu::begin_unless,
        "Begins work on a stream that a replay skips if the flag is set.");
  m.def("end_unless", &rlgpu::end_unless, "Ends the work that begin_unless began.");
#else
  m.attr("with_cuda") = false;
#endif
}
