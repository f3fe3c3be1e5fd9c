// Symmetric matrices over the dofs, stored as the chains of a tree: factor, solve, multiply.
//
// Row i holds the diagonal, then the entries with i's ancestors, nearest first. An ancestor's row
// lines up with the tail of its descendant's. The mass matrix follows the kinematic tree; for the
// solver's, see pattern.h. Source: MuJoCo, mj_factorI (M = L^T D L, from the leaves).
#pragma once

#include "pattern.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Replaces a matrix by its factor; inverse_diagonal receives 1 / D.
template <typename V, typename Team>
RLGPU_STAGE void factor(const Team& team, const Rows& rows, V* __restrict__ a,
                        V* __restrict__ inverse_diagonal) {
  for (int k = rows.count - 1; k >= 0; --k) {
    V* const row = a + rows.adr[k];
    const V* const end = row + rows.depth[k];
    const int32_t* const cols = rows.col + rows.adr[k];
    const V inverse = reciprocal(row[0]);
    inverse_diagonal[k] = inverse;
    // Two ancestors at a time, so that each entry of the row is loaded half as often.
    for (int x = 1 + 2 * team.first(); x < rows.depth[k]; x += 2 * team.step()) {
      const V* entry = row + x;
      V* near = a + rows.adr[cols[x]];
      const V near_scale = entry[0] * inverse;
      *near++ -= near_scale * entry[0];
      if (++entry == end) break;
      V* far = a + rows.adr[cols[x + 1]];
      const V far_scale = entry[0] * inverse;
      for (; entry < end; ++entry, ++near, ++far) {
        *near -= near_scale * *entry;
        *far -= far_scale * *entry;
      }
    }
    team.sync();
    for (int x = 1 + team.first(); x < rows.depth[k]; x += team.step()) row[x] = row[x] * inverse;
    team.sync();
  }
}

// Solves with a factor, in place.
template <typename V, typename Team>
RLGPU_STAGE void solve(const Team& team, const Rows& rows, const V* __restrict__ a,
                       const V* __restrict__ inverse_diagonal, V* __restrict__ x) {
  for (int k = rows.count - 1; k >= 0; --k) {
    const V* const row = a + rows.adr[k];
    const int32_t* const col = rows.col + rows.adr[k];
    const V x_k = x[k];
    for (int y = 1 + team.first(); y < rows.depth[k]; y += team.step()) x[col[y]] -= row[y] * x_k;
    team.sync();
  }
  for (int k = 0; k < rows.count; ++k) {
    const V* const row = a + rows.adr[k];
    const int32_t* const col = rows.col + rows.adr[k];
    V above{};
    for (int y = 1 + team.first(); y < rows.depth[k]; y += team.step()) above += row[y] * x[col[y]];
    above = team.sum(above);
    const V x_k = x[k] * inverse_diagonal[k] - above;
    team.sync();
    x[k] = x_k;
    team.sync();
  }
}

// The product of the mass matrix with a vector: each row, and the entries below its diagonal.
template <typename V, typename Team>
RLGPU_STAGE void multiply_mass(const Team& team, const Tables<Real<V>>& t, const V* __restrict__ m,
                               const V* __restrict__ x, V* __restrict__ product) {
  for (int k = team.first(); k < t.nv; k += team.step()) {
    V sum{};
    const V* const row = m + t.m_adr[k];
    const int32_t* const col = t.m_col + t.m_adr[k];
    for (int y = 0; y < t.m_depth[k]; ++y) sum += row[y] * x[col[y]];
    for (int i = t.below_adr[k]; i < t.below_adr[k + 1]; ++i)
      sum += m[t.below_entry[i]] * x[t.below_dof[i]];
    product[k] = sum;
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
