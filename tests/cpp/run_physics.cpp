// Runs the fused engine's CUDA kernel thread by thread on the CPU, on worlds from a file.
//
//     run_physics IN OUT LANES
//
// tests/csrc/test_cpp.py writes IN and compares OUT with the CPU's vectors. LANES share a world.
// IN is as benchmarks/physics_file.h reads it. OUT: qpos, qvel, qacc and wrenches.
#include "../../benchmarks/physics_file.h"

#include "kernels/physics/physics.cuh"

int main(int argc, char** argv) {
  require(argc == 4, argv[0], "usage: run_physics IN OUT LANES");
  PhysicsFile x = read_physics_file(argv[1]);
  std::vector<float> wrenches(x.num_worlds * x.num_watched * 6);
  std::vector<uint8_t> diverged(x.num_worlds);
  rlgpu::physics::Call call{};
  call.header = x.header.data(), call.ints = x.ints.data();
  call.constants = x.constants.data(), call.parameters = x.parameters.data();
  call.num_worlds = x.num_worlds, call.num_steps = static_cast<int>(x.num_steps);
  call.qpos = x.qpos.data(), call.qvel = x.qvel.data(), call.qacc = x.qacc.data();
  call.ctrl = x.ctrl.data(), call.wrenches = wrenches.data();
  call.diverged = reinterpret_cast<bool*>(diverged.data());
  const cudaError_t error = rlgpu::launch_physics(call, std::atoi(argv[3]), nullptr);
  require(error == cudaSuccess, argv[1], "the launch failed");

  std::FILE* out = std::fopen(argv[2], "wb");
  require(out != nullptr, argv[2], "cannot be opened");
  for (const auto* values : {&x.qpos, &x.qvel, &x.qacc, &wrenches}) {
    if (values->empty()) continue;
    const size_t written = std::fwrite(values->data(), sizeof(float), values->size(), out);
    require(written == values->size(), argv[2], "cannot be written");
  }
  std::fclose(out);
  return 0;
}
