// Where the entries of the matrices over the dofs are.
//
// The solver's matrix couples limbs that touch each other, and has an entry for all pairs of their
// dofs. It follows the elimination tree of that pattern, so its factor has no fill outside the
// rows. The tables hold the pattern for all contacts that a model can have. Of these few exist, so
// the CPU makes the pattern of those that do: entries that it leaves out are zero.
// Source: J. Liu, The role of elimination trees in sparse factorization, 1990.
#pragma once

#include "work.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Where the rows of a matrix are: address, length, and the dof of each entry.
struct Rows {
  const int32_t *adr, *depth, *col;
  int count;
};

template <typename R>
RLGPU_HD Rows mass_rows(const Tables<R>& t) {
  return {t.m_adr, t.m_depth, t.m_col, t.nv};
}

template <typename V>
RLGPU_HD Rows solver_rows(const Tables<Real<V>>& t, const Work<V>& w) {
  if constexpr (Lanes<V>::kOwnPattern)
    if (t.num_bridges > 0) return {w.h_adr, w.h_depth, w.h_col, t.nv};
  return {t.h_adr, t.h_depth, t.h_col, t.nv};
}

// Makes one chain of the chains from two dofs to the root.
RLGPU_HD void join_chains(int32_t* parent, int a, int b) {
  while (a != b) {
    const int low = a < b ? a : b, high = a < b ? b : a, above = parent[high];
    a = low, b = above;
    if (above >= low) continue;
    parent[high] = low;
    if (above < 0) return;
  }
}

// Finds the pattern of the solver's matrix for the live contacts.
template <typename V>
RLGPU_STAGE void find_pattern(const Tables<Real<V>>& t, Work<V>& w) {
  if constexpr (Lanes<V>::kOwnPattern) {
    if (t.num_bridges == 0) return;
    for (int k = 0; k < t.nv; ++k) w.h_parent[k] = t.h_parent[k];
    for (int i = 0; i < w.num_live; ++i) {
      const int32_t* const bridge = t.pair_bridge + 2 * t.slot_pair[w.live[i]];
      if (bridge[0] >= 0) join_chains(w.h_parent, bridge[0], bridge[1]);
    }
    // A row is its dof and its parent's row.
    int used = 0;
    for (int k = 0; k < t.nv; ++k) {
      const int parent = w.h_parent[k], above = parent < 0 ? 0 : w.h_depth[parent];
      const int32_t* const rest = parent < 0 ? nullptr : w.h_col + w.h_adr[parent];
      w.h_adr[k] = used, w.h_depth[k] = 1 + above;
      w.h_col[used++] = k;
      for (int y = 0; y < above; ++y) w.h_col[used++] = rest[y];
    }
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
