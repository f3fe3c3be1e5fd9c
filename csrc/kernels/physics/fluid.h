// Forces of a fluid on bodies, and how they react to velocities.
//
// Each body counts as a box of its mass and inertia, with drag along its axes and about them that
// is linear (viscosity) and quadratic (density) in the velocity through the fluid. The derivative
// of all these forces by the velocities of the dofs is a sum of J^T B J over the bodies. The one
// idea: B of everything beyond a joint is added up first, as inertias are for the mass matrix.
// Source: MuJoCo, mj_inertiaBoxFluidModel and mjd_inertiaBoxFluid.
#pragma once

#include "tree.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

// Numbers of a body's drag: linear about and along any axis, quadratic about and along each.
constexpr int kDrag = 8;

// Drag along one axis: what multiplies the velocity, and the derivative of their product.
template <typename V>
struct AxisDrag {
  V factor, slope;

  RLGPU_HD AxisDrag(V linear, V quadratic, V velocity)
      : factor(linear + quadratic * magnitude(velocity)),
        slope(linear + Real<V>(2) * quadratic * magnitude(velocity)) {}
};

template <typename V>
RLGPU_HD void add_to(Sym3<V>& a, const Sym3<V>& b) {
  a.xx += b.xx, a.yy += b.yy, a.zz += b.zz, a.xy += b.xy, a.xz += b.xz, a.yz += b.yz;
}

template <typename V>
RLGPU_HD void add_to(Drag<V>& a, const Drag<V>& b) {
  add_to(a.turning, b.turning), add_to(a.moving, b.moving);
  a.mixed.x = a.mixed.x + b.mixed.x, a.mixed.y = a.mixed.y + b.mixed.y;
  a.mixed.z = a.mixed.z + b.mixed.z;
}

// Resistance to a motion, as a force.
template <typename V>
RLGPU_HD Spatial<V> operator*(const Drag<V>& d, Spatial<V> v) {
  return {d.turning * v.ang + d.mixed * v.lin, transposed_times(d.mixed, v.ang) + d.moving * v.lin};
}

// Drag at an offset from the point: about axes through the offset, and along them, in world axes.
template <typename V>
RLGPU_HD Drag<V> drag_at(const Sym3<V>& about, const Sym3<V>& along, Vec3<V> offset) {
  const Vec3<V> rows[3] = {{along.xx, along.xy, along.xz},
                           {along.xy, along.yy, along.yz},
                           {along.xz, along.yz, along.zz}};
  const Mat3<V> mixed{offset.y * rows[2] - offset.z * rows[1],
                      offset.z * rows[0] - offset.x * rows[2],
                      offset.x * rows[1] - offset.y * rows[0]};
  const Vec3<V> x = cross(offset, mixed.x), y = cross(offset, mixed.y), z = cross(offset, mixed.z);
  Sym3<V> turning{x.x, y.y, z.z, x.y, x.z, y.z};
  add_to(turning, about);
  return {turning, mixed, along};
}

// Takes a body's drag off the force that its motion takes, and notes the drag's derivative.
template <typename V>
RLGPU_RARE void drag_on(const Tables<Real<V>>& t, const Parameters<V>& p, Work<V>& w, int wet) {
  const int b = t.wet_body[wet], first = t.wet_drag + kDrag * wet;
  const Mat3<V> r = w.xmat[b] * splat9<V>(t.wet_mat + 9 * wet);
  const Vec3<V> offset = w.xipos[b] - w.com[b];
  const Spatial<V>& velocity = w.cvel[b];
  const Vec3<V> through = velocity.lin + cross(velocity.ang, offset) - splat3<V>(t.wind);
  const Vec3<V> ang = transposed_times(r, velocity.ang), lin = transposed_times(r, through);
  const AxisDrag<V> about[3] = {{p[first], p[first + 2], ang.x},
                                {p[first], p[first + 3], ang.y},
                                {p[first], p[first + 4], ang.z}};
  const AxisDrag<V> along[3] = {{p[first + 1], p[first + 5], lin.x},
                                {p[first + 1], p[first + 6], lin.y},
                                {p[first + 1], p[first + 7], lin.z}};
  const Vec3<V> torque =
      r * Vec3<V>{about[0].factor * ang.x, about[1].factor * ang.y, about[2].factor * ang.z};
  const Vec3<V> force =
      r * Vec3<V>{along[0].factor * lin.x, along[1].factor * lin.y, along[2].factor * lin.z};
  w.cfrc[b] = w.cfrc[b] + Spatial<V>{torque + cross(offset, force), force};
  const V none{};
  const Sym3<V> turning{about[0].slope, about[1].slope, about[2].slope, none, none, none};
  const Sym3<V> moving{along[0].slope, along[1].slope, along[2].slope, none, none, none};
  w.drags[b] = drag_at(turned(r, turning), turned(r, moving), offset);
}

template <typename V, typename Team>
RLGPU_RARE void fluid_forces(const Team& team, const Tables<Real<V>>& t, const Parameters<V>& p,
                             Work<V>& w) {
  for (int b = team.first(); b < t.nbody; b += team.step()) w.drags[b] = Drag<V>{};
  team.sync();
  for (int i = team.first(); i < t.num_wet; i += team.step()) drag_on(t, p, w, i);
  team.sync();
  inwards(team, t, [&](int b) {
    for (int c = t.child_adr[b]; c < t.child_adr[b + 1]; ++c)
      add_to(w.drags[b], w.drags[t.child_body[c]]);
  });
  for (int i = team.first(); i < t.nv; i += team.step()) {
    const Spatial<V> force = w.drags[t.dof_body[i]] * w.cdof[i];
    for (int k = t.m_adr[i]; k < t.m_adr[i] + t.m_depth[i]; ++k)
      w.implicit_entries[k] += dot(w.cdof[t.m_col[k]], force);
  }
  team.sync();
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
