// Tendons: their lengths, how joints change these, and the forces of their springs and dampers.
//
// A fixed tendon is a weighted sum of joint positions. A spatial one is a string through points of
// bodies, which may go around spheres and cylinders. Its pull is a unit force at each point where
// it bends; summed up for each body, that wrench along a dof's motion axis is the tendon's
// Jacobian. An actuator at a site is a tendon too, whose wrench on the site's body is constant in
// the axes of the site or of another one. Source: MuJoCo, mj_tendon and mj_transmission
// (engine_core_smooth.c), mj_passive, mjd_passive_vel.
#pragma once

#include "team.h"
#include "work.h"
#include "wrap.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

template <typename V>
RLGPU_STAGE Vec3<V> point_at(const Tables<Real<V>>& t, const Work<V>& w, int point) {
  return point_on(w, t.point_body[point], splat3<V>(t.point_pos + 3 * point));
}

// A tendon pulls on a body, unless it is static.
template <typename V>
RLGPU_STAGE void pull_at(const Tables<Real<V>>& t, Work<V>& w, int pull, Vec3<V> point,
                         Vec3<V> force) {
  if (pull < 0) return;
  const Vec3<V> arm = point - w.com[t.pull_body[pull]];
  w.pulls[pull] = w.pulls[pull] + Spatial<V>{cross(arm, force), force};
}

// The wrench of an actuator at a site, in the axes of that site or of the one that it refers to,
// which gets the opposite. Returns the length: the site's pose in those axes, or 0 without.
template <typename V>
RLGPU_RARE V follow_sites(const Tables<Real<V>>& t, Work<V>& w, int sites) {
  const int *points = t.sites_points + 2 * sites, *pulls = t.sites_pulls + 2 * sites;
  const Real<V>*gear = t.sites_gear + 6 * sites, *quats = t.sites_quat + 8 * sites;
  const bool refers = points[1] >= 0;
  const auto quat_at = [&](int k) {
    return w.xquat[t.point_body[points[k]]] * splat4<V>(quats + 4 * k);
  };
  const Vec3<V> moving = splat3<V>(gear), turning = splat3<V>(gear + 3);
  const Vec3<V> point = point_at(t, w, points[0]);
  const Quat<V> quat = quat_at(0), base = refers ? quat_at(1) : quat;
  const Mat3<V> axes = matrix_of(base);
  const Spatial<V> wrench{axes * turning, axes * moving};
  const auto push = [&](int pull, Vec3<V> at, Spatial<V> by) {
    pull_at(t, w, pull, at, by.lin);
    if (pull >= 0) w.pulls[pull].ang = w.pulls[pull].ang + by.ang;
  };
  push(pulls[0], point, wrench);
  if (!refers) return V{};
  const Vec3<V> origin = point_at(t, w, points[1]);
  push(pulls[1], origin, {-wrench.ang, -wrench.lin});
  const Turn<V> turn = turn_of(conjugate(base) * quat);
  return dot(transposed_times(axes, point - origin), moving) + turn.angle * dot(turn.axis, turning);
}

// One part of a spatial tendon: straight, or around a geom.
template <typename V>
RLGPU_STAGE V follow_segment(const Tables<Real<V>>& t, Work<V>& w, int segment) {
  const int geom = t.segment_wrap[segment], side = t.segment_side[segment];
  const int* const pulls = t.segment_pulls + 3 * segment;
  const V scale = splat<V>(t.segment_scale[segment]);
  const Vec3<V> a = point_at(t, w, t.segment_points[2 * segment]);
  const Vec3<V> b = point_at(t, w, t.segment_points[2 * segment + 1]);
  if (geom < 0) {
    const Vec3<V> pull = scale * unit(b - a);
    pull_at(t, w, pulls[0], a, -pull);
    pull_at(t, w, pulls[1], b, pull);
    return scale * length(b - a);
  }
  const int body = t.wrap_body[geom];
  const Vec3<V> centre = point_on(w, body, splat3<V>(t.wrap_pos + 3 * geom));
  const Mat3<V> frame = w.xmat[body] * splat9<V>(t.wrap_mat + 9 * geom);
  const Wrap<V> way = wrap(t.wrap_is_cylinder[geom], centre, frame, splat<V>(t.wrap_radius[geom]),
                           a, b, side >= 0, side >= 0 ? point_at(t, w, side) : a);
  const Vec3<V> first = select(way.wraps, way.first, b), last = select(way.wraps, way.last, a);
  const Vec3<V> begin = scale * unit(first - a), end = scale * unit(b - last), none{};
  pull_at(t, w, pulls[0], a, -begin);
  pull_at(t, w, pulls[2], first, select(way.wraps, begin, none));
  pull_at(t, w, pulls[2], last, select(way.wraps, -end, none));
  pull_at(t, w, pulls[1], b, end);
  const V bent = length(first - a) + way.length + length(b - last);
  return scale * select<V>(way.wraps, bent, length(b - a));
}

// Lengths, velocities and Jacobians of all tendons.
template <typename V, typename Team>
RLGPU_RARE void follow_tendons(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.num_tendons; i += team.step()) {
    for (int k = t.tendon_pulls[i]; k < t.tendon_pulls[i + 1]; ++k) w.pulls[k] = Spatial<V>{};
    V length{}, velocity{};
    for (int k = t.tendon_segments[i]; k < t.tendon_segments[i + 1]; ++k)
      length += follow_segment(t, w, k);
    if (t.num_site_actuators > 0 && t.tendon_sites[i] >= 0)
      length += follow_sites(t, w, t.tendon_sites[i]);
    for (int k = t.tendon_columns[i]; k < t.tendon_columns[i + 1]; ++k) {
      const int dof = t.tendon_dof[k];
      V change = splat<V>(t.tendon_coef[k]);
      if (t.tendon_coef[k] != 0) length += change * w.qpos[t.dof_qpos[dof]];
      for (int j = t.tendon_touches[k]; j < t.tendon_touches[k + 1]; ++j)
        change += dot(w.cdof[dof], w.pulls[t.touch_pull[j]]);
      w.tendon_columns[k] = change;
      velocity += change * w.qvel[dof];
    }
    w.tendons[i] = {length, velocity, V{}, V{}};
  }
  team.sync();
}

// Adds the tendons' forces to the joints'. Tendons share joints, so they come one after the other.
template <typename V, typename Team>
RLGPU_RARE void pull_joints(const Team& team, const Tables<Real<V>>& t, const Work<V>& w,
                            V* forces) {
  for (int i = 0; i < t.num_tendons; ++i) {
    for (int k = t.tendon_columns[i] + team.first(); k < t.tendon_columns[i + 1]; k += team.step())
      forces[t.tendon_dof[k]] += w.tendon_columns[k] * w.tendons[i].force;
    team.sync();
  }
}

// Springs, which are slack between two lengths, and dampers.
template <typename V, typename Team>
RLGPU_RARE void tendon_springs(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = team.first(); i < t.num_tendons; i += team.step()) {
    Tendon<V>& tendon = w.tendons[i];
    const V high = splat<V>(t.tendon_slack[2 * i + 1]), length = tendon.length;
    const V below = minimum(V(length - t.tendon_slack[2 * i]), V{});
    const V stretch = select<V>(length > high, length - high, below);
    const V damping = splat<V>(t.tendon_damping[i]);
    tendon.force = -t.tendon_stiffness[i] * stretch - damping * tendon.velocity;
    tendon.damping += damping;
  }
  team.sync();
  pull_joints(team, t, w, w.qfrc_smooth);
}

// Adds what dampers and actuators along tendons do in a step to the mass matrix, as far as it has
// entries: MuJoCo drops what couples joints of different branches.
template <typename V, typename Team>
RLGPU_RARE void add_tendon_damping(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = 0; i < t.num_tendons; ++i) {
    const V scale = t.timestep[0] * w.tendons[i].damping;
    for (int k = t.tendon_entries[i] + team.first(); k < t.tendon_entries[i + 1];
         k += team.step()) {
      const V product = w.tendon_columns[t.entry_first[k]] * w.tendon_columns[t.entry_second[k]];
      w.m[t.entry_m[k]] += scale * product;
    }
    team.sync();
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
