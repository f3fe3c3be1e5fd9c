// A physics step, a control step of several, and what a world reports after it.
//
// Source: MuJoCo, mj_step; mj_rnePostConstraint for the contact wrenches.
#pragma once

#include "adhesion.h"
#include "collide.h"
#include "couplings.h"
#include "dynamics.h"
#include "integrate.h"
#include "newton.h"
#include "noslip.h"
#include "tree.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Poses and velocities of the bodies, from qpos and qvel.
template <typename V, typename Team>
RLGPU_STAGE void forward_kinematics(const Team& team, const Tables<Real<V>>& t,
                                    const Parameters<V>& p, Work<V>& w) {
  kinematics(team, t, w);
  inertias(team, t, p, w);
  motion_axes(team, t, w);
  velocities(team, t, w);
}

// A step up to what its solver needs.
template <typename V, typename Team>
RLGPU_STAGE void begin_step(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                            Work<V>& w) {
  forward_kinematics(team, t, p, w);
  mass_matrix(team, t, p, w);
  if (t.num_tendons > 0) follow_tendons(team, t, w);
  collide(team, t, w);
  if (t.num_adhesions > 0) follow_contacts(team, t, w);
  smooth_forces(team, t, p, w);
  limit_rows(team, t, p, w);
  loss_rows(team, t, p, w);
  contact_rows(team, t, p, w);
  coupled_rows(team, t, p, w);
  team.sync();
}

// The rest of a step, from the solver's acceleration.
template <typename V, typename Team>
RLGPU_STAGE void end_step(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  team.sync();
  constraint_forces(team, t, w);
  if (t.noslip_iterations > 0) remove_slip(team, t, w);
  integrate(team, t, w);
}

template <typename V, typename Team>
RLGPU_STAGE void physics_step(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                              Work<V>& w) {
  begin_step(team, t, p, w);
  solve_constraints(team, t, w);
  end_step(team, t, w);
}

// Where the state is not finite, or beyond 1e10 as in MuJoCo. Such worlds start over.
template <typename V, typename Team>
RLGPU_STAGE Mask<V> restart_diverged(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  Mask<V> bad{};
  const Real<V> most = Real<V>(1e10);
  for (int i = team.first(); i < t.nq; i += team.step()) bad = bad | !(magnitude(w.qpos[i]) < most);
  for (int i = team.first(); i < t.nv; i += team.step())
    bad = bad | !((magnitude(w.qvel[i]) < most) & (magnitude(w.qacc[i]) < most));
  for (int i = team.first(); i < t.na; i += team.step()) bad = bad | !(magnitude(w.act[i]) < most);
  bad = team.either(bad);
  for (int i = team.first(); i < t.nq; i += team.step())
    w.qpos[i] = select<V>(bad, splat<V>(t.qpos0[i]), w.qpos[i]);
  for (int i = team.first(); i < t.nv; i += team.step()) {
    w.qvel[i] = select<V>(bad, V{}, w.qvel[i]);
    w.qacc[i] = select<V>(bad, V{}, w.qacc[i]);
  }
  for (int i = team.first(); i < t.na; i += team.step()) w.act[i] = select<V>(bad, V{}, w.act[i]);
  return bad;
}

// Net contact wrench on every body in cfrc, in world axes about its tree's centre of mass.
template <typename V, typename Team>
RLGPU_STAGE void contact_wrenches(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int b = team.first(); b < t.nbody; b += team.step()) w.cfrc[b] = Spatial<V>{};
  team.sync();
  // Contacts share bodies, so one thread adds them all.
  for (int i = 0; i < w.num_live && team.first() == 0; ++i) {
    const int slot = w.live[i], pair = t.slot_pair[slot];
    const Contact<V>& c = w.contacts[slot];
    const Mask<V> active = w.active[slot];
    const Vec3<V> none{};
    const int wide = wide_of(t, slot);
    Dimensions<V> in_frame{};
    if (wide < 0)
      in_frame.lin = contact_force(w, slot);
    else
      in_frame = wide_force(t, w, slot, wide);
    if (t.noslip_iterations > 0) in_frame = in_frame + slip_force(t, w, slot, wide);
    const Vec3<V> force = select(active, transposed_times(c.frame, in_frame.lin), none);
    const int a = t.geom_body[t.pair_geom1[pair]], b = t.geom_body[t.pair_geom2[pair]];
    Vec3<V> torque_a = select(active, cross(c.point - w.com[a], force), none);
    Vec3<V> torque_b = select(active, cross(c.point - w.com[b], force), none);
    if (wide >= 0) {
      const Vec3<V> twist = select(active, transposed_times(c.frame, in_frame.ang), none);
      torque_a = torque_a + twist, torque_b = torque_b + twist;
    }
    w.cfrc[a] = {w.cfrc[a].ang - torque_a, w.cfrc[a].lin - force};
    w.cfrc[b] = {w.cfrc[b].ang + torque_b, w.cfrc[b].lin + force};
  }
  team.sync();
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
