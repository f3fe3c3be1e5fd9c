// Work spread over threads, whose results do not depend on which thread does what.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace rlgpu::tiles {

inline int64_t num_workers(int64_t num_threads, int64_t count) {
  return std::max<int64_t>(std::min(num_threads, count), 1);
}

// Calls body(worker, item) for every item, with worker < num_workers(num_threads, count). Workers
// take the next item when they are free, so a core shared with other processes delays nobody.
template <typename Body>
void in_parallel(int64_t num_threads, int64_t count, const Body& body) {
  const int64_t workers = num_workers(num_threads, count);
  std::atomic<int64_t> next{0};
#pragma omp parallel for num_threads(static_cast<int>(workers)) schedule(static, 1) if (workers > 1)
  for (int64_t worker = 0; worker < workers; ++worker) {
    for (int64_t item = next++; item < count; item = next++) body(worker, item);
  }
}

}  // namespace rlgpu::tiles
