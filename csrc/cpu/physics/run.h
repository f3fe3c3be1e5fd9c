// Steps all worlds on the CPU: groups of as many worlds as a vector has lanes, spread over threads.
#pragma once

#include "../../kernels/physics/worlds.h"
#include "standard.h"

namespace rlgpu::physics {

// Implementations, one per instruction set; results do not depend on the number of threads.
void run_avx512(const Call& call, int num_threads);
void run_avx2(const Call& call, int num_threads);
void run_baseline(const Call& call, int num_threads);
void run_double(const Call& call, int num_threads);

inline namespace RLGPU_PHYSICS_BUILD {

template <typename V>
void run(const Call& call, int num_threads) {
  constexpr int kWidth = Lanes<V>::kWidth;
  constexpr std::align_val_t kAlign{64};
  const Tables<Real<V>> t(call.header, call.ints, static_cast<const Real<V>*>(call.constants));
  const int64_t num_groups = (call.num_worlds + kWidth - 1) / kWidth;
  const size_t bytes = Work<V>().place(t, nullptr);
#pragma omp parallel num_threads(num_threads) if (num_threads > 1 && num_groups > 1)
  {
    void* const memory = ::operator new(bytes, kAlign);
    Work<V> w;
    w.place(t, memory);
#pragma omp for schedule(static)
    for (int64_t g = 0; g < num_groups; ++g) {
      const int64_t left = call.num_worlds - g * kWidth;
      run_group(call, t, w,
                Group<V, Alone>{g * kWidth, static_cast<int>(left < kWidth ? left : kWidth), {}});
    }
    ::operator delete(memory, kAlign);
  }
}

}  // namespace RLGPU_PHYSICS_BUILD
}  // namespace rlgpu::physics
