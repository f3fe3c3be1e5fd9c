// Velocities and positions of the next step: MuJoCo's implicitfast integrator.
//
// Dampers and actuators react to the velocity at the end of the step; gyroscopic forces do so only
// for free bodies without limbs. Source: MuJoCo, mj_implicitSkip, mjd_freeMhat, mj_advance.
#pragma once

#include "factor.h"
#include "tendons.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Solves A x = b for 6x6 A by elimination. No pivoting: A is nearly symmetric positive definite.
template <typename V>
RLGPU_STAGE void solve6(V a[6][6], V* x) {
  for (int k = 0; k < 6; ++k) {
    const V inverse = reciprocal(a[k][k]);
    for (int i = k + 1; i < 6; ++i) {
      const V scale = a[i][k] * inverse;
      for (int j = k + 1; j < 6; ++j) a[i][j] -= scale * a[k][j];
      x[i] -= scale * x[k];
    }
  }
  for (int k = 5; k >= 0; --k) {
    for (int j = k + 1; j < 6; ++j) x[k] -= a[k][j] * x[j];
    x[k] = x[k] * reciprocal(a[k][k]);
  }
}

// Acceleration of a free body without joints beyond its own, with the derivative of its gyroscopic
// force; x holds the force before and the acceleration after. With w the angular velocity, s the
// offset of the centre of mass and I the inertia about it, the bias force is m w x (w x s) and the
// bias torque s x that + w x I w.
template <typename V>
RLGPU_STAGE void free_body_acceleration(const Tables<Real<V>>& t, const Work<V>& w, int dof, V* x) {
  const int b = t.dof_body[dof];
  const V h = splat<V>(t.timestep[0]), mass = w.crb[b].mass;
  const Mat3<V>& r = w.xmat[b];
  const Vec3<V> s = w.com[b] - w.xpos[b];
  const Vec3<V> omega = r * Vec3<V>{w.qvel[dof + 3], w.qvel[dof + 4], w.qvel[dof + 5]};
  const Vec3<V> momentum = w.crb[b].about * omega;
  V a[6][6];
  for (int i = 0; i < 6; ++i)
    for (int k = 0; k <= i; ++k) a[i][k] = a[k][i] = w.m[t.m_adr[dof + i] + i - k];
  for (int i = 0; i < 6; ++i) a[i][i] += h * w.implicit_damping[dof + i];
  for (int k = 0; k < 3; ++k) {
    // Derivatives in the direction of the body's axis k.
    const Vec3<V> axis = column(r, k);
    const Vec3<V> force = mass * (cross(axis, cross(omega, s)) + cross(omega, cross(axis, s)));
    const Vec3<V> torque =
        cross(s, force) + cross(axis, momentum) + cross(omega, w.crb[b].about * axis);
    const Vec3<V> torque_b = transposed_times(r, torque);
    a[0][3 + k] += h * force.x, a[1][3 + k] += h * force.y, a[2][3 + k] += h * force.z;
    a[3][3 + k] += h * torque_b.x, a[4][3 + k] += h * torque_b.y, a[5][3 + k] += h * torque_b.z;
  }
  solve6(a, x);
}

// Moves the joints of all bodies by their velocities.
template <typename V, typename Team>
RLGPU_STAGE void move_joints(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  const V h = splat<V>(t.timestep[0]);
  for (int b = 1 + team.first(); b < t.nbody; b += team.step()) {
    for (int j = t.body_joint[b]; j < t.body_joint[b] + t.body_num_joints[b]; ++j) {
      V* q = w.qpos + t.joint_qpos[j];
      const V* v = w.qvel + t.joint_dof[j];
      if (t.joint_type[j] != kFree && t.joint_type[j] != kBall) {
        q[0] += h * v[0];
        continue;
      }
      if (t.joint_type[j] == kFree) {
        for (int k = 0; k < 3; ++k) q[k] += h * v[k];
        q += 3, v += 3;
      }
      const Vec3<V> omega{v[0], v[1], v[2]};
      const V speed = square_root(dot(omega, omega));
      const Mask<V> turns = speed > Real<V>(1e-10);
      const Vec3<V> axis = reciprocal(select<V>(turns, speed, splat<V>(1))) * omega;
      const Quat<V> turned = Quat<V>{q[0], q[1], q[2], q[3]} * rotation_about(axis, V(h * speed));
      q[0] = turned.w, q[1] = turned.x, q[2] = turned.y, q[3] = turned.z;
    }
  }
}

// Adds what forces do in a step that react to the velocities of several dofs.
template <typename V, typename Team>
RLGPU_RARE void add_implicit_entries(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.num_implicit; i += team.step())
    w.m[i] += t.timestep[0] * w.implicit_entries[i];
  team.sync();
}

// Advances qpos and qvel. Overwrites the mass matrix with the factor of the implicit one.
template <typename V, typename Team>
RLGPU_STAGE void integrate(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  const V h = splat<V>(t.timestep[0]);
  V* const acceleration = w.direction;
  // The forces that qacc takes. Their own sum would have lost digits in hard contacts.
  multiply_mass(team, t, w.m, w.qacc, acceleration);
  team.sync();
  if (t.num_tendons > 0) add_tendon_damping(team, t, w);
  if (t.num_implicit > 0) add_implicit_entries(team, t, w);
  for (int i = team.first(); i < t.num_standalone; i += team.step()) {
    V* const block = w.gradient + 6 * i;
    for (int k = 0; k < 6; ++k) block[k] = acceleration[t.standalone_dof[i] + k];
    free_body_acceleration(t, w, t.standalone_dof[i], block);
  }
  team.sync();
  for (int i = team.first(); i < t.nv; i += team.step())
    w.m[t.m_adr[i]] += h * w.implicit_damping[i];
  team.sync();
  factor(team, mass_rows(t), w.m, w.h_inv);
  solve(team, mass_rows(t), w.m, w.h_inv, acceleration);
  for (int i = team.first(); i < 6 * t.num_standalone; i += team.step())
    acceleration[t.standalone_dof[i / 6] + i % 6] = w.gradient[i];
  team.sync();
  for (int i = team.first(); i < t.nv; i += team.step()) w.qvel[i] += h * acceleration[i];
  team.sync();
  move_joints(team, t, w);
  team.sync();
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
