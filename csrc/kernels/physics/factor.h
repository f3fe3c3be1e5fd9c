// Symmetric matrices over the dofs, stored as the chains of a tree: factor, solve, multiply.
//
// Row i holds the diagonal, then the entries with i's ancestors, nearest first. The mass matrix
// follows the kinematic tree. The solver's matrix also couples limbs that may touch each other; it
// follows the elimination tree of that pattern, so its factor has no fill outside the rows either.
// An ancestor's row lines up with the tail of its descendant's. Source: MuJoCo, mj_factorI
// (M = L^T D L, from the leaves); J. Liu, The role of elimination trees, 1990.
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

template <typename R>
RLGPU_HD Rows solver_rows(const Tables<R>& t) {
  return {t.h_adr, t.h_depth, t.h_col, t.nv};
}

// Replaces a matrix by its factor; inverse_diagonal receives 1 / D.
template <typename V>
RLGPU_STAGE void factor(const Rows& rows, V* __restrict__ a, V* __restrict__ inverse_diagonal) {
  for (int k = rows.count - 1; k >= 0; --k) {
    V* const row = a + rows.adr[k];
    const V* const end = row + rows.depth[k];
    const int32_t* col = rows.col + rows.adr[k] + 1;
    const V inverse = reciprocal(row[0]);
    inverse_diagonal[k] = inverse;
    V* entry = row + 1;
    // Two ancestors at a time, so that each entry of the row is loaded half as often.
    for (; entry + 1 < end; entry += 2, col += 2) {
      V* near = a + rows.adr[col[0]];
      V* far = a + rows.adr[col[1]];
      const V near_scale = entry[0] * inverse, far_scale = entry[1] * inverse;
      *near++ -= near_scale * entry[0];
      for (const V* other = entry + 1; other < end; ++other, ++near, ++far) {
        *near -= near_scale * *other;
        *far -= far_scale * *other;
      }
      entry[0] = near_scale, entry[1] = far_scale;
    }
    if (entry < end) {
      const V scale = *entry * inverse;
      a[rows.adr[*col]] -= scale * *entry;
      *entry = scale;
    }
  }
}

// Solves with a factor, in place.
template <typename V>
RLGPU_STAGE void solve(const Rows& rows, const V* __restrict__ a,
                       const V* __restrict__ inverse_diagonal, V* __restrict__ x) {
  for (int k = rows.count - 1; k >= 0; --k) {
    const V* entry = a + rows.adr[k] + 1;
    const int32_t* col = rows.col + rows.adr[k] + 1;
    const int32_t* const end = col + rows.depth[k] - 1;
    const V x_k = x[k];
    for (; col < end; ++col, ++entry) x[*col] -= *entry * x_k;
  }
  for (int k = 0; k < rows.count; ++k) {
    const V* entry = a + rows.adr[k] + 1;
    const int32_t* col = rows.col + rows.adr[k] + 1;
    const int32_t* const end = col + rows.depth[k] - 1;
    V x_k = x[k] * inverse_diagonal[k];
    for (; col < end; ++col, ++entry) x_k -= *entry * x[*col];
    x[k] = x_k;
  }
}

template <typename V>
RLGPU_STAGE void multiply(const Rows& rows, const V* __restrict__ a, const V* __restrict__ x,
                          V* __restrict__ product) {
  for (int k = 0; k < rows.count; ++k) {
    const V* entry = a + rows.adr[k];
    const int32_t* col = rows.col + rows.adr[k] + 1;
    const int32_t* const end = col + rows.depth[k] - 1;
    const V x_k = x[k];
    V sum = *entry++ * x_k;
    for (; col < end; ++col, ++entry) {
      sum += *entry * x[*col];
      product[*col] += *entry * x_k;
    }
    product[k] = sum;
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
