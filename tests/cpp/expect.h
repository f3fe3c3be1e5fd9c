// Helpers for the C++ tests.
#pragma once

#include <cmath>
#include <cstdio>

inline int failures = 0;

inline void expect(bool condition, const char* what) {
  std::printf("%s  %s\n", condition ? "ok    " : "FAILED", what);
  if (!condition) ++failures;
}

inline bool near(double value, double wanted, double tolerance) {
  return std::fabs(value - wanted) <= tolerance;
}

inline int report() {
  std::printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
