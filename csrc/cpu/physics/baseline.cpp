// The fused engine with 4 worlds per vector, for every CPU; and with one world in double precision.
#define RLGPU_PHYSICS_BUILD baseline
#define RLGPU_PHYSICS_LANES 4
#include "run.h"

namespace rlgpu::physics {
void run_baseline(const Call& call, int num_threads) { run<Floats>(call, num_threads); }
void run_double(const Call& call, int num_threads) { run<double>(call, num_threads); }
}  // namespace rlgpu::physics
