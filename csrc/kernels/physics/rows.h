// Constraint rows: joint limits, dry friction in joints, and contacts. Those of tendons and
// equalities are in couplings.h.
//
// Each row has a residual J a - aref and a weight D; the solver lets residuals be positive and
// charges D / 2 times the square of negative ones. Source: MuJoCo, engine_core_constraint.c:
// mj_makeImpedance, mj_referenceConstraint.
#pragma once

#include "cone.h"
#include "factor.h"
#include "impedance.h"
#include "wide.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

template <typename R>
RLGPU_HD int first_ball_limit(const Tables<R>& t) {
  return t.num_limits - t.num_ball_limits;
}

// A limit's Jacobian times a vector over the dofs.
template <typename V>
RLGPU_STAGE V limit_times(const Tables<Real<V>>& t, const Work<V>& w, int i, const V* x) {
  const int dof = t.limit_dof[i], ball = i - first_ball_limit(t);
  if (ball < 0) return w.limits[i].sign * x[dof];
  return dot(w.limit_axes[ball], Vec3<V>{x[dof], x[dof + 1], x[dof + 2]});
}

// Limit of a ball joint: of the angle by which it turns.
template <typename V>
RLGPU_RARE void ball_limit_row(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w,
                               int i) {
  const Real<V>* table = t.limit_impedance + kImpedance * i;
  const int dof = t.limit_dof[i];
  const V* const q = w.qpos + t.dof_qpos[dof];
  const Turn<V> turn = turn_of(Quat<V>{q[0], q[1], q[2], q[3]});
  const V distance = p[t.limit_high + i] - turn.angle - t.limit_margin[i];
  const V impedance = impedance_at(table, distance);
  w.limit_axes[i - first_ball_limit(t)] = -turn.axis;
  Limit<V>& row = w.limits[i];
  row.weight = keep<V>(distance < V{}, row_weight(impedance, p[t.dof_invweight + dof]));
  row.reference = -table[1] * limit_times(t, w, i, w.qvel) - table[0] * impedance * distance;
}

template <typename V, typename Team>
RLGPU_STAGE void limit_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                            Work<V>& w) {
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    if (i >= first_ball_limit(t)) {
      ball_limit_row(t, p, w, i);
      continue;
    }
    const Real<V>* table = t.limit_impedance + kImpedance * i;
    const int dof = t.limit_dof[i];
    const V q = w.qpos[t.dof_qpos[dof]], margin = splat<V>(t.limit_margin[i]);
    const V above_low = q - p[t.limit_low + i], below_high = p[t.limit_high + i] - q;
    const Mask<V> low = above_low < below_high;
    const V distance = select<V>(low, above_low, below_high) - margin;
    const V impedance = impedance_at(table, distance);
    Limit<V>& row = w.limits[i];
    row.sign = select<V>(low, splat<V>(1), splat<V>(-1));
    row.weight = keep<V>(distance < V{}, row_weight(impedance, p[t.dof_invweight + dof]));
    row.reference = -table[1] * row.sign * w.qvel[dof] - table[0] * impedance * distance;
  }
}

template <typename V, typename Team>
RLGPU_STAGE void loss_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                           Work<V>& w) {
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    const Real<V>* table = t.loss_impedance + kImpedance * i;
    const int dof = t.loss_dof[i];
    const V impedance = impedance_at(table, V{});
    w.losses[i].weight = row_weight(impedance, p[t.dof_invweight + dof]);
    w.losses[i].reference = -table[1] * w.qvel[dof];
    w.losses[i].most = p[t.loss_force + i];
  }
}

// (normal, tangent, tangent) of a slot's Jacobian times a vector over the dofs.
template <typename V>
RLGPU_STAGE Vec3<V> jacobian_times(const Tables<Real<V>>& t, const Work<V>& w, int slot,
                                   const V* x) {
  const int first = t.slot_columns[slot], count = t.slot_num_columns[slot];
  Vec3<V> sum{};
  for (int k = first; k < first + count; ++k) sum = sum + x[t.column_dof[k]] * w.columns[k];
  return sum;
}

// Jacobians of the live contacts, and the part of their residuals that no acceleration changes.
template <typename V, typename Team>
RLGPU_STAGE void contact_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                              Work<V>& w) {
  using R = Real<V>;
  for (int i = team.first(); i < w.num_live; i += team.step()) {
    const int slot = w.live[i], pair = t.slot_pair[slot];
    const R* table = t.pair_impedance + kImpedance * pair;
    const V inverse_weight = p[t.pair_invweight + pair];
    Contact<V>& c = w.contacts[slot];
    const V distance = c.distance - t.pair_margin[pair];
    const V impedance = impedance_at(table, distance);
    // All edges get the same R. Without friction the four edges are one, a quarter each.
    V edge = R(4) * inverse_weight;
    c.friction = V{};
    if (!t.pair_frictionless[pair]) {
      c.friction = p[t.pair_friction + pair];
      const V mu2 = c.friction * c.friction;
      // Both tangents are scaled by one coefficient, so the second one takes up its ratio to it.
      if (t.pair_anisotropy[pair] != R(1))
        c.frame.z = splat<V>(t.pair_anisotropy[pair]) * c.frame.z;
      edge = (R(2) * t.inverse_impratio[0] * mu2) * (inverse_weight * (R(1) + mu2));
    }
    const int wide = wide_of(t, slot);
    if (wide < 0) {
      set_weight(c, w.active[slot], V((R(1) - impedance) * edge / impedance), inverse_weight);
    } else {
      const V r = t.is_elliptic ? inverse_weight : edge;
      wide_rows(t, p, w, slot, wide, V((R(1) - impedance) * r / impedance), inverse_weight);
    }
    const int first = t.slot_columns[slot], count = t.slot_num_columns[slot];
    for (int k = first; k < first + count; ++k) {
      const int dof = t.column_dof[k];
      const Spatial<V>& axis = w.cdof[dof];
      const Vec3<V> arm = c.point - w.com[t.dof_body[dof]];
      w.columns[k] = splat<V>(t.column_sign[k]) * (c.frame * (axis.lin + cross(axis.ang, arm)));
    }
    const Vec3<V> velocity = jacobian_times(t, w, slot, w.qvel);
    const V scale = t.pair_friction_damping[pair] * c.friction;
    c.residual = {table[1] * velocity.x + table[0] * impedance * distance, scale * velocity.y,
                  scale * velocity.z};
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
