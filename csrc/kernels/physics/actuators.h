// The actuators' activations, and the force of each from its length and velocity.
//
// Source: MuJoCo, mj_fwdActuation, mj_nextActivation and mjd_actuator_vel.
#pragma once

#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// An actuator's force along its transmission, and the force's derivative by the velocity there.
template <typename V>
struct Drive {
  V force, slope;
};

// The setpoint that is nearest to a length among those that are whole periods away.
template <typename V>
RLGPU_STAGE V nearest(V setpoint, V length, Real<V> period) {
  using R = Real<V>;
  const V periods =
      clamp<V>((setpoint - length) * (R(1) / period), splat<V>(R(-1e6)), splat<V>(R(1e6)));
  const V count = whole(V(magnitude(periods) + R(0.5)));
  return setpoint - period * select<V>(periods < V{}, -count, count);
}

// Advances the activation of an actuator and returns what its gain multiplies: the control, if it
// has none. Every kind of dynamics is a leaky integral, act += advance (ctrl - leak act). A servo
// that turns has a period: its setpoint follows a control that is whole periods away.
template <typename V>
RLGPU_RARE V activate(const Tables<Real<V>>& t, Work<V>& w, int a, V ctrl, V length,
                      Real<V> period) {
  const int adr = t.actuator_act[a];
  if (adr < 0) return ctrl;
  const V before = w.act[adr];
  if (period > 0 && t.act_leak[a] != 0) ctrl = nearest(ctrl, before, period);
  const V moved = before + t.act_advance[a] * (ctrl - t.act_leak[a] * before);
  const V after = clamp(moved, splat<V>(t.act_low[a]), splat<V>(t.act_high[a]));
  w.act[adr] = period > 0 ? nearest(after, length, period) : after;
  return t.actuator_early[a] ? after : before;
}

// The force at a length and a velocity. A period of 0 stands for none.
template <typename V>
RLGPU_STAGE Drive<V> drive_of(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int a,
                              V length, V velocity, Real<V> period = 0) {
  const int bias = t.actuator_bias + 3 * a;
  const V ctrl =
      clamp(w.ctrl[a], splat<V>(t.actuator_ctrl_low[a]), splat<V>(t.actuator_ctrl_high[a]));
  V input = ctrl, gain = p[t.actuator_gain + a], slope = p[bias + 2];
  if (t.na > 0) input = activate(t, w, a, ctrl, length, period);
  if (period > 0) input = nearest(input, length, period);
  if (t.has_gain_slopes) {
    const int by = t.actuator_gain_slope + 2 * a;
    gain += p[by] * length + p[by + 1] * velocity;
    slope += p[by + 1] * input;
  }
  const V wanted = gain * input + p[bias] + p[bias + 1] * length + p[bias + 2] * velocity;
  const V low = p[t.actuator_force_low + a], high = p[t.actuator_force_high + a];
  // A saturated actuator does not react to velocity. One that asks for just its limit does,
  // whatever rounding makes of it: without damping, a light finger would jump.
  const V inner = wanted * Real<V>(sizeof(Real<V>) == 4 ? 1 - 1e-6 : 1);
  const Mask<V> reacts = (inner > low) & (inner < high);
  return {clamp(wanted, low, high), keep<V>(reacts, slope)};
}

// Force of an actuator on a ball joint, about one axis of the joint's own or of its parent's. Its
// length is the joint's rotation along that axis.
template <typename V>
RLGPU_RARE void turn_ball(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int a) {
  const int dof = t.actuator_dof[a], number = t.actuator_ball[a];
  const V* const q = w.qpos + t.dof_qpos[dof];
  const V* const v = w.qvel + dof;
  const Quat<V> quat{q[0], q[1], q[2], q[3]};
  Vec3<V> gear = splat3<V>(t.ball_gear + 3 * number);
  if (t.ball_in_parent[number]) gear = transposed_times(matrix_of(quat), gear);
  const Turn<V> turn = turn_of(quat);
  const Drive<V> drive = drive_of(t, p, w, a, V(turn.angle * dot(turn.axis, gear)),
                                  dot(gear, Vec3<V>{v[0], v[1], v[2]}), t.ball_period[number]);
  const V moments[3] = {gear.x, gear.y, gear.z};
  for (int i = 0; i < 3; ++i) {
    w.qfrc_smooth[dof + i] += moments[i] * drive.force;
    w.implicit_damping[dof + i] -= moments[i] * moments[i] * drive.slope;
    for (int k = 0; k < i; ++k)
      w.implicit_entries[t.m_adr[dof + i] + i - k] -= moments[i] * moments[k] * drive.slope;
  }
}

// Force of an actuator at a site, along the tendon that stands for it.
template <typename V>
RLGPU_RARE void push_site(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int a,
                          int sites) {
  Tendon<V>& tendon = w.tendons[-1 - t.actuator_dof[a]];
  const Drive<V> drive =
      drive_of(t, p, w, a, tendon.length, tendon.velocity, t.sites_period[sites]);
  tendon.force += drive.force, tendon.damping -= drive.slope;
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
