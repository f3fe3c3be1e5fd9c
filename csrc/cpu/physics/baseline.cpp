// The fused engine with 4 worlds per vector, for every CPU; and with one world in double precision.
#define RLGPU_PHYSICS_BUILD baseline
#define RLGPU_PHYSICS_LANES 4
#include "worlds.h"

namespace rlgpu::physics {
void run_baseline(const Call& call) { run<Floats>(call); }
void run_double(const Call& call) { run<double>(call); }
}  // namespace rlgpu::physics
