// The fused engine with 8 worlds per vector, for CPUs with AVX2.
#include "standard.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// Everything below is compiled for these CPUs only; fused multiply-adds are a quarter of the speed.
#pragma GCC target("arch=x86-64-v3")
#pragma GCC optimize("fp-contract=fast")
#define RLGPU_PHYSICS_BUILD avx2
#define RLGPU_PHYSICS_AVX2
#define RLGPU_PHYSICS_LANES 8
#include "run.h"

namespace rlgpu::physics {
void run_avx2(const Call& call, int num_threads) { run<Floats>(call, num_threads); }
}  // namespace rlgpu::physics
#endif
