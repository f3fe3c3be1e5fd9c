// The mass matrix, and all forces that do not come from constraints.
//
// Source: MuJoCo, mj_crb and mj_rne (engine_core_smooth.c), mj_passive, mj_fwdActuation; the
// derivatives by velocity are those of its implicitfast integrator (engine_derivative.c).
#pragma once

#include "actuators.h"
#include "factor.h"
#include "fluid.h"
#include "tendons.h"
#include "tree.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Composite rigid bodies: M(i, j) = cdof_j . (inertia of everything beyond i) cdof_i.
template <typename V, typename Team>
RLGPU_STAGE void mass_matrix(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                             Work<V>& w) {
  inwards(team, t, [&](int b) {
    if (!t.body_moves[b]) return;
    Inertia<V> sum = w.cinert[b];
    for (int c = t.child_adr[b]; c < t.child_adr[b + 1]; ++c) add_to(sum, w.crb[t.child_body[c]]);
    w.crb[b] = sum;
  });
  for (int i = team.first(); i < t.nv; i += team.step()) {
    const Spatial<V> force = w.crb[t.dof_body[i]] * w.cdof[i];
    V* const row = w.m + t.m_adr[i];
    const int32_t* const col = t.m_col + t.m_adr[i];
    for (int k = 0; k < t.m_depth[i]; ++k) row[k] = dot(w.cdof[col[k]], force);
    row[0] += p[t.dof_armature + i];
  }
}

// Forces of the actuators, into qfrc_actuator and qfrc_smooth; their derivatives, into
// implicit_damping.
template <typename V, typename Team>
RLGPU_STAGE void actuation(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                           Work<V>& w) {
  for (int i = team.first(); i < t.nv; i += team.step())
    w.qfrc_smooth[i] = V{}, w.implicit_damping[i] = V{};
  for (int i = team.first(); i < t.num_implicit; i += team.step()) w.implicit_entries[i] = V{};
  team.sync();
  // Two actuators may act on one joint or tendon.
  for (int a = 0; a < t.nu; ++a) {
    const int dof = t.actuator_dof[a], tendon = -1 - dof;
    if ((dof < 0 ? tendon : dof) % team.step() != team.first()) continue;
    if (t.num_ball_actuators > 0 && t.actuator_ball[a] >= 0) {
      turn_ball(t, p, w, a);
      continue;
    }
    if (t.num_site_actuators > 0 && dof < 0 && t.tendon_sites[tendon] >= 0) {
      push_site(t, p, w, a, t.tendon_sites[tendon]);
      continue;
    }
    const V length = dof < 0 ? w.tendons[tendon].length : w.qpos[t.dof_qpos[dof]];
    const V velocity = dof < 0 ? w.tendons[tendon].velocity : w.qvel[dof];
    const V gear = splat<V>(t.actuator_gear[a]);
    const Drive<V> drive = drive_of(t, p, w, a, V(gear * length), V(gear * velocity));
    (dof < 0 ? w.tendons[tendon].force : w.qfrc_smooth[dof]) += gear * drive.force;
    (dof < 0 ? w.tendons[tendon].damping : w.implicit_damping[dof]) -= gear * gear * drive.slope;
  }
  team.sync();
  if (t.num_tendons > 0) pull_joints(team, t, w, w.qfrc_smooth);
  for (int i = team.first(); i < t.nv; i += team.step()) {
    const V low = splat<V>(t.dof_force_low[i]), high = splat<V>(t.dof_force_high[i]);
    const Mask<V> reacts = (w.qfrc_smooth[i] > low) & (w.qfrc_smooth[i] < high);
    w.qfrc_smooth[i] = w.qfrc_actuator[i] = clamp(w.qfrc_smooth[i], low, high);
    w.implicit_damping[i] = keep<V>(reacts, w.implicit_damping[i]);
  }
}

// Acceleration of one body with zero joint accelerations, and the force that it takes.
template <typename V>
RLGPU_STAGE void acceleration(const Tables<Real<V>>& t, Work<V>& w, int b) {
  Spatial<V> acceleration = w.cacc[t.body_parent[b]];
  for (int j = t.body_joint[b]; j < t.body_joint[b] + t.body_num_joints[b]; ++j) {
    const TurningDofs turning(t.joint_type[j], t.joint_dof[j]);
    for (int k = turning.first; k < turning.last; ++k)
      acceleration = acceleration + w.qvel[k] * w.cdof_dot[k];
  }
  w.cacc[b] = acceleration;
  if (t.body_moves[b])
    w.cfrc[b] = w.cinert[b] * acceleration + cross_force(w.cvel[b], w.cinert[b] * w.cvel[b]);
}

// Takes the forces that are applied to bodies off those that their motion takes.
template <typename V, typename Team>
RLGPU_STAGE void applied_forces(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int b = team.first(); b < t.nbody; b += team.step()) {
    if (!t.body_moves[b]) continue;
    const Applied<V>& applied = w.applied[b];
    const Vec3<V> torque = applied.torque + cross(w.xipos[b] - w.com[b], applied.force);
    w.cfrc[b] = {w.cfrc[b].ang - torque, w.cfrc[b].lin - applied.force};
  }
  team.sync();
}

// Takes a share of their weight off bodies, at their own centres of mass.
template <typename V, typename Team>
RLGPU_RARE void lift(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                     Work<V>& w) {
  for (int i = team.first(); i < t.num_lifted; i += team.step()) {
    const int b = t.lifted_body[i];
    if (!t.body_moves[b]) continue;
    const V share = p[t.lifted_share + i] * p[t.body_mass + b];
    const Vec3<V> weight = share * p.vec3(t.gravity);
    w.cfrc[b] = {w.cfrc[b].ang + cross(w.xipos[b] - w.com[b], weight), w.cfrc[b].lin + weight};
  }
  team.sync();
}

// Springs of the rotations of ball and free joints, along the rotation from the spring's reference.
template <typename V, typename Team>
RLGPU_RARE void ball_springs(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  team.sync();
  for (int i = team.first(); i < t.num_sprung_balls; i += team.step()) {
    const V* const q = w.qpos + t.sprung_qpos[i];
    const Quat<V> ref = splat4<V>(t.sprung_ref + 4 * i);
    const Turn<V> turn = turn_of(conjugate(ref) * Quat<V>{q[0], q[1], q[2], q[3]});
    const Vec3<V> torque = (t.sprung_stiffness[i] * turn.angle) * turn.axis;
    V* const force = w.qfrc_smooth + t.sprung_dof[i];
    force[0] -= torque.x, force[1] -= torque.y, force[2] -= torque.z;
  }
}

// qfrc_smooth = actuators + springs + dampers + fluid + applied forces - (gravity, Coriolis and
// gyroscopic forces).
template <typename V, typename Team>
RLGPU_STAGE void smooth_forces(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                               Work<V>& w) {
  actuation(team, t, p, w);
  if (t.num_tendons > 0) tendon_springs(team, t, w);
  // Recursive Newton-Euler; gravity accelerates the world upwards.
  w.cacc[0] = {Vec3<V>{}, -p.vec3(t.gravity)};
  team.sync();
  outwards(team, t, [&](int b) { acceleration(t, w, b); });
  if (w.is_pushed) applied_forces(team, t, w);
  if (t.num_lifted > 0) lift(team, t, p, w);
  if (t.num_wet > 0) fluid_forces(team, t, p, w);
  inwards(team, t, [&](int b) {
    for (int c = t.child_adr[b]; c < t.child_adr[b + 1]; ++c)
      w.cfrc[b] = w.cfrc[b] + w.cfrc[t.child_body[c]];
  });
  for (int i = team.first(); i < t.nv; i += team.step()) {
    const V damping = p[t.dof_damping + i];
    const V force = w.qfrc_smooth[i] - dot(w.cdof[i], w.cfrc[t.dof_body[i]]) - damping * w.qvel[i];
    const V stretch = w.qpos[t.dof_qpos[i]] - t.dof_spring_ref[i];
    w.qfrc_smooth[i] = force - p[t.dof_stiffness + i] * stretch;
    w.implicit_damping[i] += damping;
  }
  if (t.num_sprung_balls > 0) ball_springs(team, t, w);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
