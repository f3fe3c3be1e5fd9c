// A control step of the worlds that share a vector, from the rows of tensors and back to them.
//
// Tensors keep one row per world; a group's rows are transposed into lanes on the way in and back
// on the way out. Every group does the same arithmetic, so results depend neither on the number of
// threads nor on which worlds share a group.
#pragma once

#include "step.h"

namespace rlgpu::physics {

// One call of the op; null pointers are outputs that nobody wants. Rows are those of the tensors in
// rlgpu/ops/physics.py, of floats, or of doubles for tests.
struct Call {
  const int32_t *header, *ints;
  const void *constants, *parameters;
  bool own_parameters;  // blocks of worlds with their own instead of one row for all
  int64_t num_worlds;
  int num_steps;
  void *qpos, *qvel, *qacc, *act;
  const void* ctrl;
  const void* xfrc_applied;  // null where no body is pushed
  const void* mocap_pose;    // null where mocap bodies are as in the model
  bool* diverged;
  void *wrenches, *xpos, *xquat, *xmat, *subtree_com, *cvel, *cfrc_ext, *qfrc_actuator;
  void *xipos, *cdof;
};

inline namespace RLGPU_PHYSICS_BUILD {

// The rows of one group of worlds, and the team that works on it. Lanes beyond the last world
// repeat the first one.
template <typename V, typename Team>
struct Group {
  int64_t first;
  int count;
  Team team;

  RLGPU_STAGE void load(V* lanes, const void* rows, int width) const {
    const auto* source = static_cast<const Real<V>*>(rows) + first * width;
    auto* const target = reinterpret_cast<Real<V>*>(lanes);
    for (int lane = 0; lane < Lanes<V>::kWidth; ++lane) {
      const auto* row = source + static_cast<int64_t>(lane < count ? lane : 0) * width;
      for (int i = team.first(); i < width; i += team.step())
        target[i * Lanes<V>::kWidth + lane] = row[i];
    }
  }

  // Does nothing for an output that nobody wants.
  RLGPU_STAGE void store(const void* lanes, void* rows, int width) const {
    if (rows == nullptr) return;
    const auto* const source = static_cast<const Real<V>*>(lanes);
    auto* target = static_cast<Real<V>*>(rows) + first * width;
    for (int lane = 0; lane < count; ++lane, target += width)
      for (int i = team.first(); i < width; i += team.step())
        target[i] = source[i * Lanes<V>::kWidth + lane];
  }
};

template <typename V, typename Team>
RLGPU_STAGE void store_bodies(const Call& call, const Tables<Real<V>>& t, const Work<V>& w,
                              const Group<V, Team>& group) {
  group.store(w.xpos, call.xpos, 3 * t.nbody);
  group.store(w.xquat, call.xquat, 4 * t.nbody);
  group.store(w.xmat, call.xmat, 9 * t.nbody);
  group.store(w.com, call.subtree_com, 3 * t.nbody);
  group.store(w.cvel, call.cvel, 6 * t.nbody);
  group.store(w.xipos, call.xipos, 3 * t.nbody);
  group.store(w.cdof, call.cdof, 6 * t.nv);
}

template <typename V, typename Team>
RLGPU_STAGE void store_wrenches(const Call& call, const Tables<Real<V>>& t, Work<V>& w,
                                const Group<V, Team>& group) {
  if (call.wrenches == nullptr && call.cfrc_ext == nullptr) return;
  const Team& team = group.team;
  contact_wrenches(team, t, w);
  group.store(w.cfrc, call.cfrc_ext, 6 * t.nbody);
  // As (force, torque), in the order of the watched bodies; cacc is free by now.
  for (int i = team.first(); i < t.num_watched; i += team.step()) {
    const Spatial<V> wrench = wrench_on(w, t.watched_body[i]);
    w.cacc[i] = {wrench.lin, wrench.ang};
  }
  team.sync();
  group.store(w.cacc, call.wrenches, 6 * t.num_watched);
}

// Reads the state of a group's worlds and what acts on them.
template <typename V, typename Team>
RLGPU_STAGE Parameters<V> load_group(const Call& call, const Tables<Real<V>>& t, Work<V>& w,
                                     const Group<V, Team>& group) {
  group.load(w.qpos, call.qpos, t.nq);
  group.load(w.qvel, call.qvel, t.nv);
  w.is_posed = call.mocap_pose != nullptr;
  if (w.is_posed) group.load(w.mocap_pose, call.mocap_pose, 7 * t.nmocap);
  w.is_pushed = call.xfrc_applied != nullptr;
  const Team& team = group.team;
  if (call.num_steps > 0) {
    group.load(w.qacc, call.qacc, t.nv);
    group.load(w.ctrl, call.ctrl, t.nu);
    group.load(w.act, call.act, t.na);
    if (w.is_pushed) group.load(reinterpret_cast<V*>(w.applied), call.xfrc_applied, 6 * t.nbody);
    for (int i = team.first(); i < t.num_convex; i += team.step()) w.axes[i] = Vec3<V>{};
  }
  team.sync();
  Parameters<V> p{static_cast<const Real<V>*>(call.parameters), nullptr};
  if (call.own_parameters) {
    const int64_t block = group.first / kParameterBlock, lane = group.first % kParameterBlock;
    p.own = p.shared + block * t.num_parameters * kParameterBlock + lane;
  }
  return p;
}

// Writes what the steps of a group lead to.
template <typename V, typename Team>
RLGPU_STAGE void store_group(const Call& call, const Tables<Real<V>>& t, Work<V>& w,
                             const Group<V, Team>& group) {
  store_bodies(call, t, w, group);
  store_wrenches(call, t, w, group);
  group.store(w.qfrc_actuator, call.qfrc_actuator, t.nv);
  const V flags = keep<V>(restart_diverged(group.team, t, w), splat<V>(1));
  group.team.sync();
  Real<V> flag[Lanes<V>::kWidth];
  memcpy(flag, &flags, sizeof(flag));
  for (int lane = 0; lane < group.count; ++lane)
    call.diverged[group.first + lane] = flag[lane] != 0;
  group.store(w.qpos, call.qpos, t.nq);
  group.store(w.qvel, call.qvel, t.nv);
  group.store(w.qacc, call.qacc, t.nv);
  group.store(w.act, call.act, t.na);
}

// Steps one group; with num_steps 0 it only computes the poses and velocities of the bodies.
template <typename V, typename Team>
RLGPU_STAGE void run_group(const Call& call, const Tables<Real<V>>& t, Work<V>& w,
                           const Group<V, Team>& group) {
  const Parameters<V> p = load_group(call, t, w, group);
  if (call.num_steps == 0) {
    forward_kinematics(group.team, t, p, w);
    store_bodies(call, t, w, group);
    return;
  }
  for (int i = 0; i < call.num_steps; ++i) physics_step(group.team, t, p, w);
  store_group(call, t, w, group);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
