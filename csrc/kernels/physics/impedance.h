// How strongly a constraint holds, from its violation.
//
// Source: MuJoCo, engine_core_constraint.c: getimpedance, mj_makeImpedance.
#pragma once

#include "tables.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// d(r): how much of a constraint's force is regularised away, from its penetration.
template <typename V>
RLGPU_HD V impedance_at(const Real<V>* table, V penetration) {
  using R = Real<V>;
  const R least = table[2], most = table[3], midpoint = table[5];
  const V one = splat<V>(1), x = minimum(magnitude(penetration) * table[4], one);
  V y = x;
  if (table[6] == R(2)) {
    const V rest = one - x;
    y = select<V>(x <= midpoint, x * x * (R(1) / midpoint),
                  one - rest * rest * (R(1) / (R(1) - midpoint)));
  }
  return least + y * (most - least);
}

// D of a row whose inverse inertia is approximately inverse_weight.
template <typename V>
RLGPU_HD V row_weight(V impedance, V inverse_weight) {
  return impedance * reciprocal((Real<V>(1) - impedance) * inverse_weight);
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
