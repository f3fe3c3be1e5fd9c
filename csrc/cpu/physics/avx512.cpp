// The fused engine with 16 worlds per vector, for CPUs with AVX-512.
#include "standard.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// Everything below is compiled for these CPUs only; fused multiply-adds are a quarter of the speed.
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#pragma GCC optimize("fp-contract=fast")
#define RLGPU_PHYSICS_BUILD avx512
#define RLGPU_PHYSICS_AVX512
#define RLGPU_PHYSICS_LANES 16
#include "run.h"

namespace rlgpu::physics {
void run_avx512(const Call& call, int num_threads) { run<Floats>(call, num_threads); }
}  // namespace rlgpu::physics
#endif
