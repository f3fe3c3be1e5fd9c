// The minimum of a quadratic function of up to five variables within a ball.
//
// At the edge of the ball the matrix gets a multiple of the identity, so large that the minimum
// lies there. It is sought by Newton's method on one over the minimum's length, which the multiple
// changes almost linearly. Source: MuJoCo, mju_QCQP in engine_util_solve.c, which also says what is
// singular; J. More and D. Sorensen, Computing a trust region step, 1983.
#pragma once

#include "lanes.h"

namespace rlgpu::physics {
inline namespace RLGPU_PHYSICS_BUILD {

template <typename V>
struct FrictionBall {
  V a[5][5];  // the matrix
  V start[5], slope[5];
  V change[5];  // of the variables, from the start

  // Finds the minimum over the first variables, and returns by how much the function falls.
  RLGPU_STAGE V minimise(int count, V radius) {
    using R = Real<V>;
    V b[5]{}, minimum[5]{}, further[5]{};
    for (int k = 0; k < count; ++k) {
      b[k] = -slope[k];
      for (int j = 0; j < count; ++j) b[k] += a[k][j] * start[j];
    }
    const Mask<V> usable = factor(count, V{}) & (radius >= R(1e-15));
    const V most = splat<V>(R(1) + (sizeof(R) == 4 ? R(1e-6) : R(1e-13)));
    V shift{}, size = solve(count, b, minimum);
    Mask<V> outside = usable & (size > most * radius);
    for (int iteration = 0; iteration < 20 && any(outside); ++iteration) {
      solve(count, minimum, further);
      V curvature{};
      for (int k = 0; k < count; ++k) curvature += minimum[k] * further[k];
      shift += keep<V>(outside, size * size / curvature * (size - radius) / radius);
      factor(count, shift);
      size = solve(count, b, minimum);
      outside = outside & (size > most * radius);
    }
    for (int k = 0; k < count; ++k) change[k] = keep<V>(usable, minimum[k]) - start[k];
    return gain(count);
  }

 private:
  V l[5][5], inverse[5];  // the factor of the shifted matrix, and one over its diagonal

  // Factors the matrix plus a multiple of the identity; returns where it is not singular.
  RLGPU_STAGE Mask<V> factor(int count, V shift) {
    using R = Real<V>;
    const R rounding = sizeof(R) == 4 ? R(1e-5) : R(0);
    Mask<V> regular = V{} < splat<V>(1);
    V determinant = splat<V>(1);
    for (int k = 0; k < count; ++k) {
      V pivot = a[k][k] + shift;
      const V least = rounding * pivot;
      for (int j = 0; j < k; ++j) pivot -= l[k][j] * l[k][j];
      determinant = determinant * pivot;
      regular = regular & (pivot > least);
      if (count > 3) regular = regular & (pivot >= R(1e-10));
      const V diagonal = square_root(maximum(pivot, splat<V>(R(1e-30))));
      inverse[k] = reciprocal(diagonal);
      for (int i = k + 1; i < count; ++i) {
        V sum = a[i][k];
        for (int j = 0; j < k; ++j) sum -= l[i][j] * l[k][j];
        l[i][k] = sum * inverse[k];
      }
    }
    if (count <= 3) regular = regular & (determinant >= R(1e-10));
    return regular;
  }

  // Solves with the factor; returns the length of the result.
  RLGPU_STAGE V solve(int count, const V* b, V* x) const {
    V size2{};
    for (int k = 0; k < count; ++k) {
      x[k] = b[k];
      for (int j = 0; j < k; ++j) x[k] -= l[k][j] * x[j];
      x[k] = x[k] * inverse[k];
    }
    for (int k = count - 1; k >= 0; --k) {
      for (int j = k + 1; j < count; ++j) x[k] -= l[j][k] * x[j];
      x[k] = x[k] * inverse[k];
      size2 += x[k] * x[k];
    }
    return square_root(size2);
  }

  // By how much the change lowers the function. What would raise it is undone.
  RLGPU_STAGE V gain(int count) {
    V fall{};
    for (int k = 0; k < count; ++k) {
      V half = slope[k];
      for (int j = 0; j < count; ++j) half += Real<V>(0.5) * a[k][j] * change[j];
      fall -= change[k] * half;
    }
    const Mask<V> falls = fall >= Real<V>(-1e-10);
    for (int k = 0; k < count; ++k) change[k] = keep<V>(falls, change[k]);
    return keep<V>(falls, fall);
  }
};

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
