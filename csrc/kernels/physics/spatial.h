// Vectors, rotations, and the spatial vectors and inertias of MuJoCo, per lane.
//
// A spatial vector is (angular, linear) for a motion and (torque, force) for a force, in world axes
// about the centre of mass of the body's tree. Source: MuJoCo, engine_util_spatial.c.
#pragma once

#include "lanes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

template <typename V>
struct Vec3 {
  V x, y, z;
};

template <typename V>
RLGPU_HD Vec3<V> operator+(Vec3<V> a, Vec3<V> b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <typename V>
RLGPU_HD Vec3<V> operator-(Vec3<V> a, Vec3<V> b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <typename V>
RLGPU_HD Vec3<V> operator-(Vec3<V> a) {
  return {-a.x, -a.y, -a.z};
}
template <typename V>
RLGPU_HD Vec3<V> operator*(V s, Vec3<V> a) {
  return {s * a.x, s * a.y, s * a.z};
}
template <typename V>
RLGPU_HD V dot(Vec3<V> a, Vec3<V> b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
template <typename V>
RLGPU_HD Vec3<V> cross(Vec3<V> a, Vec3<V> b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
template <typename V>
RLGPU_HD Vec3<V> select(Mask<V> mask, Vec3<V> a, Vec3<V> b) {
  return {select<V>(mask, a.x, b.x), select<V>(mask, a.y, b.y), select<V>(mask, a.z, b.z)};
}

template <typename V>
RLGPU_HD V length(Vec3<V> v) {
  return square_root(dot(v, v));
}
template <typename V>
RLGPU_HD Vec3<V> unit(Vec3<V> v) {
  return reciprocal(maximum(length(v), splat<V>(Real<V>(1e-20)))) * v;
}

template <typename V>
RLGPU_HD V along_axis(Vec3<V> v, int k) {
  return k == 0 ? v.x : k == 1 ? v.y : v.z;
}

template <typename V>
RLGPU_HD Vec3<V> unit_axis(int k) {
  return {splat<V>(Real<V>(k == 0)), splat<V>(Real<V>(k == 1)), splat<V>(Real<V>(k == 2))};
}

// The same vector in every lane, from three numbers of a table.
template <typename V>
RLGPU_HD Vec3<V> splat3(const Real<V>* v) {
  return {splat<V>(v[0]), splat<V>(v[1]), splat<V>(v[2])};
}

// Three rows; a rotation takes body axes to world axes.
template <typename V>
struct Mat3 {
  Vec3<V> x, y, z;
};

template <typename V>
RLGPU_HD Vec3<V> operator*(const Mat3<V>& m, Vec3<V> v) {
  return {dot(m.x, v), dot(m.y, v), dot(m.z, v)};
}
template <typename V>
RLGPU_HD Vec3<V> transposed_times(const Mat3<V>& m, Vec3<V> v) {
  return v.x * m.x + v.y * m.y + v.z * m.z;
}

template <typename V>
RLGPU_HD Vec3<V> column(const Mat3<V>& m, int k) {
  return k == 0   ? Vec3<V>{m.x.x, m.y.x, m.z.x}
         : k == 1 ? Vec3<V>{m.x.y, m.y.y, m.z.y}
                  : Vec3<V>{m.x.z, m.y.z, m.z.z};
}

// The same matrix in every lane, from nine numbers of a table, row by row.
template <typename V>
RLGPU_HD Mat3<V> splat9(const Real<V>* m) {
  return {splat3<V>(m), splat3<V>(m + 3), splat3<V>(m + 6)};
}
template <typename V>
RLGPU_HD Mat3<V> operator*(const Mat3<V>& a, const Mat3<V>& b) {
  return {transposed_times(b, a.x), transposed_times(b, a.y), transposed_times(b, a.z)};
}

template <typename V>
RLGPU_HD Mat3<V> identity() {
  return {unit_axis<V>(0), unit_axis<V>(1), unit_axis<V>(2)};
}
template <typename V>
RLGPU_HD Mat3<V> transposed(const Mat3<V>& m) {
  return {column(m, 0), column(m, 1), column(m, 2)};
}
// A^T B: from the second axes to the first ones, for rotations to world axes.
template <typename V>
RLGPU_HD Mat3<V> relative_rotation(const Mat3<V>& a, const Mat3<V>& b) {
  return {transposed_times(b, column(a, 0)), transposed_times(b, column(a, 1)),
          transposed_times(b, column(a, 2))};
}

// (w, x, y, z), as in MuJoCo.
template <typename V>
struct Quat {
  V w, x, y, z;
};

template <typename V>
RLGPU_HD Quat<V> operator*(Quat<V> a, Quat<V> b) {
  return {
      a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z, a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
      a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x, a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w};
}

template <typename V>
RLGPU_HD Quat<V> normalized(Quat<V> q) {
  const V scale = reciprocal(square_root(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z));
  return {scale * q.w, scale * q.x, scale * q.y, scale * q.z};
}

template <typename V>
RLGPU_HD Quat<V> rotation_about(Vec3<V> unit_axis, V angle) {
  V sine, cosine;
  sine_cosine(V(Real<V>(0.5) * angle), sine, cosine);
  return {cosine, sine * unit_axis.x, sine * unit_axis.y, sine * unit_axis.z};
}

// The same rotation in every lane, from four numbers of a table.
template <typename V>
RLGPU_HD Quat<V> splat4(const Real<V>* q) {
  return {splat<V>(q[0]), splat<V>(q[1]), splat<V>(q[2]), splat<V>(q[3])};
}

template <typename V>
RLGPU_HD Quat<V> conjugate(Quat<V> q) {
  return {q.w, -q.x, -q.y, -q.z};
}

// A rotation by an angle in [0, pi] about an axis of length 1.
template <typename V>
struct Turn {
  Vec3<V> axis;
  V angle;
};

// As exact near no rotation, where the angle keeps its relative error, as near half a turn.
template <typename V>
RLGPU_HD Turn<V> turn_of(Quat<V> q) {
  const Vec3<V> v{q.x, q.y, q.z};
  const Vec3<V> axis = unit(select(q.w < V{}, -v, v));
  return {axis, Real<V>(2) * arc_tangent(length(v), magnitude(q.w))};
}

template <typename V>
RLGPU_HD Mat3<V> matrix_of(Quat<V> q) {
  const V one = splat<V>(1), x2 = q.x + q.x, y2 = q.y + q.y, z2 = q.z + q.z;
  const V xx = q.x * x2, yy = q.y * y2, zz = q.z * z2, xy = q.x * y2, xz = q.x * z2, yz = q.y * z2;
  const V wx = q.w * x2, wy = q.w * y2, wz = q.w * z2;
  return {{one - (yy + zz), xy - wz, xz + wy},
          {xy + wz, one - (xx + zz), yz - wx},
          {xz - wy, yz + wx, one - (xx + yy)}};
}

// A symmetric matrix: diagonal, then xy, xz, yz.
template <typename V>
struct Sym3 {
  V xx, yy, zz, xy, xz, yz;
};

template <typename V>
RLGPU_HD Vec3<V> operator*(const Sym3<V>& s, Vec3<V> v) {
  return {s.xx * v.x + s.xy * v.y + s.xz * v.z, s.xy * v.x + s.yy * v.y + s.yz * v.z,
          s.xz * v.x + s.yz * v.y + s.zz * v.z};
}

// R S R^T: a symmetric matrix given in body axes, turned to world axes.
template <typename V>
RLGPU_HD Sym3<V> turned(const Mat3<V>& r, const Sym3<V>& s) {
  const Vec3<V> a = s * r.x, b = s * r.y, c = s * r.z;
  return {dot(a, r.x), dot(b, r.y), dot(c, r.z), dot(a, r.y), dot(a, r.z), dot(b, r.z)};
}

template <typename V>
struct Spatial {
  Vec3<V> ang, lin;
};

template <typename V>
RLGPU_HD Spatial<V> operator+(Spatial<V> a, Spatial<V> b) {
  return {a.ang + b.ang, a.lin + b.lin};
}
template <typename V>
RLGPU_HD Spatial<V> operator*(V s, Spatial<V> a) {
  return {s * a.ang, s * a.lin};
}
template <typename V>
RLGPU_HD V dot(Spatial<V> a, Spatial<V> b) {
  return dot(a.ang, b.ang) + dot(a.lin, b.lin);
}

// Rate of change of a motion axis that moves with velocity v.
template <typename V>
RLGPU_HD Spatial<V> cross_motion(Spatial<V> v, Spatial<V> axis) {
  return {cross(v.ang, axis.ang), cross(v.ang, axis.lin) + cross(v.lin, axis.ang)};
}

// Rate of change of a momentum that moves with velocity v.
template <typename V>
RLGPU_HD Spatial<V> cross_force(Spatial<V> v, Spatial<V> f) {
  return {cross(v.ang, f.ang) + cross(v.lin, f.lin), cross(v.ang, f.lin)};
}

// Spatial inertia of a rigid body about a point: rotational inertia about the point, first moment
// (mass times the offset of the centre of mass), and mass.
template <typename V>
struct Inertia {
  Sym3<V> about;
  Vec3<V> moment;
  V mass;
};

// Inertia of a mass at an offset from the point, with its inertia about its own centre.
template <typename V>
RLGPU_HD Inertia<V> inertia_at(Sym3<V> own, V mass, Vec3<V> offset) {
  const Vec3<V> m = mass * offset;
  const V xx = m.x * offset.x, yy = m.y * offset.y, zz = m.z * offset.z;
  return {{own.xx + yy + zz, own.yy + xx + zz, own.zz + xx + yy, own.xy - m.x * offset.y,
           own.xz - m.x * offset.z, own.yz - m.y * offset.z},
          m,
          mass};
}

template <typename V>
RLGPU_HD void add_to(Inertia<V>& a, const Inertia<V>& b) {
  a.about.xx += b.about.xx, a.about.yy += b.about.yy, a.about.zz += b.about.zz;
  a.about.xy += b.about.xy, a.about.xz += b.about.xz, a.about.yz += b.about.yz;
  a.moment = a.moment + b.moment;
  a.mass += b.mass;
}

// Momentum of a motion, or force of an acceleration.
template <typename V>
RLGPU_HD Spatial<V> operator*(const Inertia<V>& i, Spatial<V> v) {
  return {i.about * v.ang + cross(i.moment, v.lin), i.mass * v.lin - cross(i.moment, v.ang)};
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
