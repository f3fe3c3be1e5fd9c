// The solver's sums at an acceleration: the gradient of its cost and the Hessian.
//
// Every row and contact adds to the rows of the dofs that it moves; the pattern of the Hessian
// (pattern.h) has an entry for each pair of these. Source: MuJoCo, engine_solver.c.
#pragma once

#include "rows.h"
#include "couplings.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Adds a contact's part to the gradient, and its J^T A J to the Hessian; both are given for the
// normal and the scaled tangents.
template <typename V, typename Team>
RLGPU_STAGE void add_contact(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int slot,
                             Vec3<V> slopes, const Sym3<V>& hessian) {
  const Contact<V>& c = w.contacts[slot];
  const Rows rows = solver_rows(t, w);
  const Vec3<V> gradient = scaled(c, slopes);
  const Vec3<V>* const columns = w.columns + t.slot_columns[slot];
  const Vec3<V>* const end = columns + t.slot_num_columns[slot];
  const int32_t* const dofs = t.column_dof + t.slot_columns[slot];
  // Each column owns a row of the Hessian.
  for (int k = team.first(); k < t.slot_num_columns[slot]; k += team.step()) {
    const int dof = dofs[k];
    const Vec3<V> j = columns[k];
    w.gradient[dof] += dot(j, gradient);
    const Vec3<V> aj = scaled(c, hessian * scaled(c, j));
    // Columns run from the leaves to the root, so every later one is an ancestor in the rows of h.
    V* const diagonal = w.h + rows.adr[dof];
    V* const row = diagonal + rows.depth[dof];
    diagonal[0] += dot(aj, j);
    const int32_t* other_dof = dofs + k + 1;
    for (const Vec3<V>* other = columns + k + 1; other < end; ++other, ++other_dof)
      *(row - rows.depth[*other_dof]) += dot(aj, *other);
  }
}

// The same of a row over several joints.
template <typename V, typename Team>
RLGPU_RARE void add_row(const Team& team, const Tables<Real<V>>& t, Work<V>& w, int row) {
  Mask<V> is_within;
  const V slope = row_slope(t, w, row, w.rows[row].residual, is_within);
  const V weight = keep<V>(is_within, w.rows[row].weight);
  const Rows rows = solver_rows(t, w);
  const int end = t.row_columns[row + 1];
  for (int k = t.row_columns[row] + team.first(); k < end; k += team.step()) {
    const int dof = t.row_dof[k];
    const V j = w.row_columns[k], scaled = weight * j;
    w.gradient[dof] += slope * j;
    V* const diagonal = w.h + rows.adr[dof];
    V* const tail = diagonal + rows.depth[dof];
    diagonal[0] += scaled * j;
    for (int other = k + 1; other < end; ++other)
      *(tail - rows.depth[t.row_dof[other]]) += scaled * w.row_columns[other];
  }
}

// The mass matrix, as the Hessian.
template <typename V, typename Team>
RLGPU_STAGE void begin_hessian(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  const Rows rows = solver_rows(t, w);
  const int last = rows.count - 1, total = rows.adr[last] + rows.depth[last];
  if (total == t.num_m) {
    for (int i = team.first(); i < total; i += team.step()) w.h[i] = w.m[i];
    return;
  }
  for (int i = team.first(); i < total; i += team.step()) w.h[i] = V{};
  team.sync();
  for (int k = team.first(); k < rows.count; k += team.step()) {
    const V* const row = w.m + t.m_adr[k];
    const int32_t* const cols = t.m_col + t.m_adr[k];
    V* const end = w.h + rows.adr[k] + rows.depth[k];
    for (int y = 0; y < t.m_depth[k]; ++y) *(end - rows.depth[cols[y]]) = row[y];
  }
}

// The gradient at qacc and the Hessian; the gradient's smooth part is kept for the search.
template <typename V, typename Team>
RLGPU_STAGE void assemble(const Team& team, const Tables<Real<V>>& t, Work<V>& w) {
  multiply_mass(team, t, w.m, w.qacc, w.gradient);
  for (int i = team.first(); i < t.nv; i += team.step())
    w.smooth_gradient[i] = w.gradient[i] = w.gradient[i] - w.qfrc_smooth[i];
  begin_hessian(team, t, w);
  team.sync();
  const Rows rows = solver_rows(t, w);
  for (int i = team.first(); i < t.num_limits; i += team.step()) {
    if (i >= first_ball_limit(t)) {
      add_ball_limit(t, w, i);
      continue;
    }
    const Limit<V>& row = w.limits[i];
    const int dof = t.limit_dof[i];
    const V weight = keep<V>(row.residual < V{}, row.weight);
    w.gradient[dof] += row.sign * weight * row.residual;
    w.h[rows.adr[dof]] += weight;
  }
  team.sync();
  for (int i = team.first(); i < t.num_losses; i += team.step()) {
    const Loss<V>& row = w.losses[i];
    const int dof = t.loss_dof[i];
    const V force = row.weight * row.residual;
    w.gradient[dof] += clamp(force, -row.most, row.most);
    w.h[rows.adr[dof]] += keep<V>(magnitude(force) < row.most, row.weight);
  }
  for (int i = 0; i < t.num_rows; ++i) {
    team.sync();
    add_row(team, t, w, i);
  }
  for (int i = 0; i < w.num_open; ++i) {
    team.sync();
    const int slot = w.open[i], wide = wide_of(t, slot);
    const Contact<V>& c = w.contacts[slot];
    if (wide < 0) {
      const Cone<V> cone(c, c.residual);
      add_contact(team, t, w, slot, cone.gradient(), cone.hessian());
    } else if (t.wide_columns[wide] < 0) {
      const Wide<V>& more = w.wides[wide];
      const WideCone<V> cone(c, more, cone_dims(t, wide), residual_of(c, more));
      add_contact(team, t, w, slot, cone.gradient().lin, cone.hessian_of_three());
    } else {
      add_wide_contact(team, t, w, slot, wide);
    }
  }
  team.sync();
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
