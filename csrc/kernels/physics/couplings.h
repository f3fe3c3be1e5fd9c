// Constraint rows over several joints: limits and dry friction of tendons, equalities between
// joints or tendons, points of bodies held together (connect), and bodies welded together.
//
// Each is a scalar row with a Jacobian over the dofs that it moves. Its force is minus the slope of
// a cost that is D / 2 times the residual's square where the slope is within the row's bounds, and
// linear beyond: none for equalities, one side for limits, both for friction.
// Source: MuJoCo, mj_instantiateEquality, mj_instantiateFriction, mj_instantiateLimit,
// mj_referenceConstraint and mj_Jdotv (engine_core_constraint.c).
#pragma once

#include "impedance.h"
#include "tendons.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

template <typename V>
RLGPU_STAGE V row_times(const Tables<Real<V>>& t, const Work<V>& w, int row, const V* x) {
  V sum{};
  for (int k = t.row_columns[row]; k < t.row_columns[row + 1]; ++k)
    sum += w.row_columns[k] * x[t.row_dof[k]];
  return sum;
}

// The slope of a row's cost, and whether it is within its bounds.
template <typename V>
RLGPU_STAGE V row_slope(const Tables<Real<V>>& t, const Work<V>& w, int row, V residual,
                        Mask<V>& is_within) {
  const V slope = w.rows[row].weight * residual;
  const V low = splat<V>(t.row_low[row]), high = splat<V>(t.row_high[row]);
  is_within = (slope > low) & (slope < high);
  return clamp(slope, low, high);
}

// Sets a row's weight, and its residual but for the acceleration's part. position: how far the
// constraint is violated; bias: the residual at rest.
template <typename V>
RLGPU_STAGE void set_row(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int row,
                         const Real<V>* table, V impedance, V position, V bias) {
  Row<V>& r = w.rows[row];
  r.weight = row_weight(impedance, p[t.row_invweight + row]);
  const V velocity = row_times(t, w, row, w.qvel);
  r.residual = table[1] * velocity + table[0] * impedance * position + bias;
}

// The Jacobian of a row from that of a tendon.
template <typename V>
RLGPU_STAGE void set_columns(const Tables<Real<V>>& t, Work<V>& w, int row, int tendon, V scale) {
  const int first = t.tendon_columns[tendon], count = t.tendon_columns[tendon + 1] - first;
  for (int k = 0; k < count; ++k)
    w.row_columns[t.row_columns[row] + k] = scale * w.tendon_columns[first + k];
}

template <typename V, typename Team>
RLGPU_RARE void tendon_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                            Work<V>& w) {
  for (int i = team.first(); i < t.num_tendon_losses; i += team.step()) {
    const Real<V>* table = t.tendon_loss_impedance + kImpedance * i;
    const int row = t.tendon_loss_row[i];
    set_columns(t, w, row, t.tendon_loss[i], splat<V>(1));
    set_row(t, p, w, row, table, impedance_at(table, V{}), V{}, V{});
  }
  for (int i = team.first(); i < t.num_tendon_limits; i += team.step()) {
    const Real<V>* table = t.tendon_limit_impedance + kImpedance * i;
    const int row = t.tendon_limit_row[i], tendon = t.tendon_limit[i];
    const V length = w.tendons[tendon].length, one = splat<V>(1);
    const V above_low = length - t.tendon_limit_range[2 * i];
    const V below_high = t.tendon_limit_range[2 * i + 1] - length;
    const Mask<V> low = above_low < below_high;
    const V distance = select<V>(low, above_low, below_high) - t.tendon_limit_margin[i];
    set_columns(t, w, row, tendon, select<V>(low, one, -one));
    set_row(t, p, w, row, table, impedance_at(table, distance), distance, V{});
    w.rows[row].weight = keep<V>(distance < V{}, w.rows[row].weight);
  }
}

// One side of an equality between joints or tendons: its position, and its part of the Jacobian.
template <typename V>
RLGPU_STAGE V coupled(const Tables<Real<V>>& t, const Work<V>& w, int coupling, int side) {
  const int id = t.coupling_sides[2 * coupling + side];
  if (id < 0) return V{};
  const V place = t.coupling_is_tendon[coupling] ? w.tendons[id].length : w.qpos[t.dof_qpos[id]];
  return place - t.coupling_reference[2 * coupling + side];
}

template <typename V>
RLGPU_STAGE void add_coupled(const Tables<Real<V>>& t, Work<V>& w, int coupling, int side,
                             V scale) {
  const int id = t.coupling_sides[2 * coupling + side], row = t.coupling_row[coupling];
  if (id < 0) return;
  const auto add = [&](int dof, V change) {
    for (int k = t.row_columns[row]; k < t.row_columns[row + 1]; ++k)
      if (t.row_dof[k] == dof) w.row_columns[k] += scale * change;
  };
  if (!t.coupling_is_tendon[coupling]) return add(id, splat<V>(1));
  for (int k = t.tendon_columns[id]; k < t.tendon_columns[id + 1]; ++k)
    add(t.tendon_dof[k], w.tendon_columns[k]);
}

// The first side is a polynomial of the second.
template <typename V, typename Team>
RLGPU_RARE void coupling_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                              Work<V>& w) {
  using R = Real<V>;
  for (int i = team.first(); i < t.num_couplings; i += team.step()) {
    const R *table = t.coupling_impedance + kImpedance * i, *c = t.coupling_polynomial + 5 * i;
    const int row = t.coupling_row[i];
    const V x = coupled(t, w, i, 1);
    const V wanted = c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * c[4])));
    const V slope = c[1] + x * (R(2) * c[2] + x * (R(3) * c[3] + x * (R(4) * c[4])));
    for (int k = t.row_columns[row]; k < t.row_columns[row + 1]; ++k) w.row_columns[k] = V{};
    add_coupled(t, w, i, 0, splat<V>(1));
    add_coupled(t, w, i, 1, V(-slope));
    const V position = coupled(t, w, i, 0) - wanted;
    set_row(t, p, w, row, table, impedance_at(table, position), position, V{});
  }
}

// A point of a body and its turn, and the accelerations that they have without any of the joints'.
template <typename V>
struct Anchor {
  Vec3<V> point, turning;  // in world axes: position, angular velocity
  Vec3<V> bias, turning_bias;
  Quat<V> quat;
};

template <typename V>
RLGPU_STAGE Anchor<V> anchor_at(const Tables<Real<V>>& t, const Work<V>& w, int number) {
  const int body = t.anchor_body[number];
  Anchor<V> a;
  a.point = point_on(w, body, splat3<V>(t.anchor_pos + 3 * number));
  a.quat = w.xquat[body] * splat4<V>(t.anchor_quat + 4 * number);
  const Spatial<V>&velocity = w.cvel[body], &acceleration = w.cacc[body];
  const Vec3<V> arm = a.point - w.com[body];
  a.turning = velocity.ang, a.turning_bias = acceleration.ang;
  const Vec3<V> moving = velocity.lin + cross(velocity.ang, arm);
  // cacc includes an acceleration against gravity, of the world as well.
  a.bias =
      acceleration.lin - w.cacc[0].lin + cross(acceleration.ang, arm) + cross(velocity.ang, moving);
  return a;
}

// Jacobians of the difference of two points, and of the turn between two bodies. With e the error
// quaternion and a turn b in the second body's axes, e changes by (0, b) e / 2.
template <typename V>
RLGPU_STAGE void anchor_columns(const Tables<Real<V>>& t, Work<V>& w, int row, bool is_weld,
                                const Anchor<V>& a, const Anchor<V>& b, const Mat3<V>& axes,
                                Quat<V> error, Real<V> scale) {
  const int first = t.row_columns[row], count = t.row_columns[row + 1] - first;
  const Vec3<V> ev{error.x, error.y, error.z};
  for (int k = 0; k < count; ++k) {
    const int dof = t.row_dof[first + k], sides = t.row_sides[first + k];
    const Spatial<V>& axis = w.cdof[dof];
    const Vec3<V> com = w.com[t.dof_body[dof]];
    const Vec3<V> moved = sides == 1   ? axis.lin + cross(axis.ang, a.point - com)
                          : sides == 2 ? -(axis.lin + cross(axis.ang, b.point - com))
                                       : cross(axis.ang, a.point - b.point);
    V* const column = w.row_columns + first + k;
    column[0] = moved.x, column[count] = moved.y, column[2 * count] = moved.z;
    if (!is_weld) continue;
    const Vec3<V> turned = sides == 1 ? axis.ang : sides == 2 ? -axis.ang : Vec3<V>{};
    const Vec3<V> local = transposed_times(axes, turned);
    const Vec3<V> rate = splat<V>(scale) * (error.w * local + cross(local, ev));
    column[3 * count] = rate.x, column[4 * count] = rate.y, column[5 * count] = rate.z;
  }
}

template <typename V, typename Team>
RLGPU_RARE void anchor_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                            Work<V>& w) {
  using R = Real<V>;
  for (int i = team.first(); i < t.num_anchors; i += team.step()) {
    const R *table = t.anchor_impedance + kImpedance * i, scale = t.anchor_torquescale[i];
    const bool is_weld = t.anchor_is_weld[i] != 0;
    const int row = t.anchor_row[i];
    const Anchor<V> a = anchor_at(t, w, 2 * i), b = anchor_at(t, w, 2 * i + 1);
    const Mat3<V> axes = matrix_of(b.quat);
    const Quat<V> error = conjugate(b.quat) * a.quat;
    const Vec3<V> ev{error.x, error.y, error.z};
    anchor_columns(t, w, row, is_weld, a, b, axes, error, R(0.5) * scale);
    const Vec3<V> apart = a.point - b.point, bias = a.bias - b.bias;
    const Vec3<V> turned = splat<V>(scale) * ev;
    const Vec3<V> spin = a.turning - b.turning;
    const Vec3<V> local = transposed_times(axes, spin);
    const Vec3<V> change =
        transposed_times(axes, a.turning_bias - b.turning_bias + cross(spin, b.turning));
    const V half = splat<V>(R(0.5));
    const Vec3<V> ev_rate = half * (error.w * local + cross(local, ev));
    const Vec3<V> turning_bias =
        (half * splat<V>(scale)) * (-(half * dot(local, ev)) * local + error.w * change +
                                    cross(change, ev) + cross(local, ev_rate));
    V square = dot(apart, apart);
    if (is_weld) square += dot(turned, turned);
    const V impedance = impedance_at(table, square_root(square));
    for (int k = 0; k < (is_weld ? 6 : 3); ++k) {
      const V position = along_axis(k < 3 ? apart : turned, k % 3);
      const V rest = along_axis(k < 3 ? bias : turning_bias, k % 3);
      set_row(t, p, w, row + k, table, impedance, position, rest);
    }
  }
}

// All these rows; they need the bodies' accelerations from smooth_forces().
template <typename V, typename Team>
RLGPU_STAGE void coupled_rows(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                              Work<V>& w) {
  if (t.num_rows == 0) return;
  tendon_rows(team, t, p, w);
  coupling_rows(team, t, p, w);
  anchor_rows(team, t, p, w);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
