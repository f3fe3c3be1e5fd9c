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
    const int32_t* const col = rows.col + rows.adr[k];
    const int depth = rows.depth[k];
    const V inverse = reciprocal(row[0]);
    inverse_diagonal[k] = inverse;
    for (int x = 1; x < depth; ++x) {
      V* const above = a + rows.adr[col[x]];
      const V scale = row[x] * inverse;
      for (int y = x; y < depth; ++y) above[y - x] -= scale * row[y];
      row[x] = scale;
    }
  }
}

// Solves with a factor, in place.
template <typename V>
RLGPU_STAGE void solve(const Rows& rows, const V* __restrict__ a,
                       const V* __restrict__ inverse_diagonal, V* __restrict__ x) {
  for (int k = rows.count - 1; k >= 0; --k) {
    const V* const row = a + rows.adr[k];
    const int32_t* const col = rows.col + rows.adr[k];
    const V x_k = x[k];
    for (int y = 1; y < rows.depth[k]; ++y) x[col[y]] -= row[y] * x_k;
  }
  for (int k = 0; k < rows.count; ++k) {
    const V* const row = a + rows.adr[k];
    const int32_t* const col = rows.col + rows.adr[k];
    V x_k = x[k] * inverse_diagonal[k];
    for (int y = 1; y < rows.depth[k]; ++y) x_k -= row[y] * x[col[y]];
    x[k] = x_k;
  }
}

template <typename V>
RLGPU_STAGE void multiply(const Rows& rows, const V* __restrict__ a, const V* __restrict__ x,
                          V* __restrict__ product) {
  for (int k = 0; k < rows.count; ++k) {
    const V* const row = a + rows.adr[k];
    const int32_t* const col = rows.col + rows.adr[k];
    const V x_k = x[k];
    V sum = row[0] * x_k;
    for (int y = 1; y < rows.depth[k]; ++y) {
      sum += row[y] * x[col[y]];
      product[col[y]] += row[y] * x_k;
    }
    product[k] = sum;
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
