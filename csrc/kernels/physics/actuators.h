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

// Advances the activation of an actuator and returns what its gain multiplies: the control, if it
// has none. Every kind of dynamics is a leaky integral, act += advance (ctrl - leak act).
template <typename V>
RLGPU_RARE V activate(const Tables<Real<V>>& t, Work<V>& w, int a, V ctrl) {
  const int adr = t.actuator_act[a];
  if (adr < 0) return ctrl;
  const V before = w.act[adr];
  const V moved = before + t.act_advance[a] * (ctrl - t.act_leak[a] * before);
  w.act[adr] = clamp(moved, splat<V>(t.act_low[a]), splat<V>(t.act_high[a]));
  return t.actuator_early[a] ? w.act[adr] : before;
}

template <typename V>
RLGPU_STAGE Drive<V> drive_of(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int a,
                              V length, V velocity) {
  const int bias = t.actuator_bias + 3 * a;
  const V ctrl =
      clamp(w.ctrl[a], splat<V>(t.actuator_ctrl_low[a]), splat<V>(t.actuator_ctrl_high[a]));
  V input = ctrl, gain = p[t.actuator_gain + a], slope = p[bias + 2];
  if (t.na > 0) input = activate(t, w, a, ctrl);
  if (t.has_gain_slopes) {
    const int by = t.actuator_gain_slope + 2 * a;
    gain += p[by] * length + p[by + 1] * velocity;
    slope += p[by + 1] * input;
  }
  const V wanted = gain * input + p[bias] + p[bias + 1] * length + p[bias + 2] * velocity;
  const V low = splat<V>(t.actuator_force_low[a]), high = splat<V>(t.actuator_force_high[a]);
  // A saturated actuator does not react to velocity.
  const Mask<V> reacts = (wanted > low) & (wanted < high);
  return {clamp(wanted, low, high), keep<V>(reacts, slope)};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
