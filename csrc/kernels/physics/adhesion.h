// Actuators that pull a body towards what it touches.
//
// Each is a tendon of the tables whose columns come from the contacts: minus the mean of the
// Jacobians of all normals, of contacts in the gap as well. Source: MuJoCo, mj_transmission.
#pragma once

#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// The mean of the contacts' normals, as one dof moves them. signs: how the dof moves the second
// geom of each pair relative to the first one.
template <typename V>
RLGPU_RARE V mean_normal(const Tables<Real<V>>& t, const Work<V>& w, int adhesion, int dof,
                         const Real<V>* signs) {
  const Spatial<V>& axis = w.cdof[dof];
  V sum{}, count{};
  const int first = t.adhesion_pairs[adhesion], end = t.adhesion_pairs[adhesion + 1];
  for (int i = first; i < end; ++i) {
    const int pair = t.adhesion_pair[i];
    if (!w.near[pair]) continue;
    for (int slot = t.pair_slot[pair]; slot < t.pair_slot[pair + 1]; ++slot) {
      const Mask<V> exists = w.found[slot];
      if (!any(exists)) continue;
      count += keep<V>(exists, splat<V>(1));
      const Contact<V>& c = w.contacts[slot];
      const Vec3<V> moved = axis.lin + cross(axis.ang, c.point - w.com[t.dof_body[dof]]);
      sum += keep<V>(exists, signs[i - first] * dot(c.frame.x, moved));
    }
  }
  return sum / maximum(count, splat<V>(1));
}

// Jacobians and velocities of these tendons, once the contacts are known.
template <typename V, typename Team>
RLGPU_RARE void follow_contacts(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  for (int i = 0; i < t.num_adhesions; ++i) {
    const int tendon = t.adhesion_tendon[i], first = t.tendon_columns[tendon];
    const int count = t.tendon_columns[tendon + 1] - first;
    const int pairs = t.adhesion_pairs[i + 1] - t.adhesion_pairs[i];
    const Real<V>* const signs = t.adhesion_sign + t.adhesion_signs[i];
    for (int k = team.first(); k < count; k += team.step())
      w.tendon_columns[first + k] =
          -mean_normal(t, w, i, t.tendon_dof[first + k], signs + k * pairs);
    team.sync();
    V velocity{};
    for (int k = first; k < first + count; ++k)
      velocity += w.tendon_columns[k] * w.qvel[t.tendon_dof[k]];
    w.tendons[tendon].velocity = velocity;
  }
  team.sync();
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
