// A physics step, a control step of several, and what a world reports after it.
//
// Source: MuJoCo, mj_step; mj_rnePostConstraint for the contact wrenches.
#pragma once

#include "collide.h"
#include "dynamics.h"
#include "integrate.h"
#include "newton.h"
#include "tree.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Poses and velocities of the bodies, from qpos and qvel.
template <typename V>
RLGPU_STAGE void forward_kinematics(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w) {
  kinematics(t, w);
  inertias(t, p, w);
  motion_axes(t, w);
  velocities(t, w);
}

template <typename V>
RLGPU_STAGE void physics_step(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w) {
  forward_kinematics(t, p, w);
  mass_matrix(t, p, w);
  smooth_forces(t, p, w);
  collide(t, w);
  limit_rows(t, p, w);
  loss_rows(t, p, w);
  contact_rows(t, p, w);
  solve_constraints(t, w);
  integrate(t, w);
}

// Where the state is not finite, or beyond 1e10 as in MuJoCo. Such worlds start over.
template <typename V>
RLGPU_STAGE Mask<V> restart_diverged(const Tables<Real<V>>& t, Work<V>& w) {
  Mask<V> good = V{} == V{};
  const Real<V> most = Real<V>(1e10);
  for (int i = 0; i < t.nq; ++i) good = good & (magnitude(w.qpos[i]) < most);
  for (int i = 0; i < t.nv; ++i)
    good = good & (magnitude(w.qvel[i]) < most) & (magnitude(w.qacc[i]) < most);
  for (int i = 0; i < t.nq; ++i) w.qpos[i] = select<V>(good, w.qpos[i], splat<V>(t.qpos0[i]));
  for (int i = 0; i < t.nv; ++i) {
    w.qvel[i] = keep<V>(good, w.qvel[i]);
    w.qacc[i] = keep<V>(good, w.qacc[i]);
  }
  return !good;
}

// Net contact wrench on every body in cfrc, in world axes about its tree's centre of mass.
template <typename V>
RLGPU_STAGE void contact_wrenches(const Tables<Real<V>>& t, Work<V>& w) {
  for (int b = 0; b < t.nbody; ++b) w.cfrc[b] = Spatial<V>{};
  for (int i = 0; i < w.num_live; ++i) {
    const int slot = w.live[i], pair = t.slot_pair[slot];
    const Contact<V>& c = w.contacts[slot];
    const Vec3<V> none{};
    const Vec3<V> force = select(c.active, transposed_times(c.frame, c.force), none);
    const int a = t.geom_body[t.pair_geom1[pair]], b = t.geom_body[t.pair_geom2[pair]];
    const Vec3<V> torque_a = select(c.active, cross(c.point - w.com[a], force), none);
    const Vec3<V> torque_b = select(c.active, cross(c.point - w.com[b], force), none);
    w.cfrc[a] = {w.cfrc[a].ang - torque_a, w.cfrc[a].lin - force};
    w.cfrc[b] = {w.cfrc[b].ang + torque_b, w.cfrc[b].lin + force};
  }
}

// The wrench on one body about its own origin and in its own axes, from contact_wrenches.
template <typename V>
RLGPU_STAGE Spatial<V> wrench_on(const Work<V>& w, int body) {
  const Spatial<V>& f = w.cfrc[body];
  const Vec3<V> torque = f.ang + cross(w.com[body] - w.xpos[body], f.lin);
  return {transposed_times(w.xmat[body], torque), transposed_times(w.xmat[body], f.lin)};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
