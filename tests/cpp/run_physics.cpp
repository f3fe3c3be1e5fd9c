// Runs the fused engine's CUDA kernel thread by thread on the CPU, on worlds from a file.
//
//     run_physics IN OUT LANES
//
// tests/csrc/test_cpp.py writes IN and compares OUT with the CPU's vectors. LANES share a world.
// IN: int64 counts of header, ints, constants and parameters, then worlds, steps, nq, nv, nu and
// watched bodies; then these arrays, ctrl, qpos, qvel and qacc. OUT: qpos, qvel, qacc and wrenches.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels/physics/physics.cuh"

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "run_physics: %s\n", what);
  std::exit(1);
}

template <typename T>
std::vector<T> read(std::FILE* file, int64_t count) {
  std::vector<T> values(count);
  const size_t found = std::fread(values.data(), sizeof(T), values.size(), file);
  require(found == values.size(), "the input is too short");
  return values;
}

void write(std::FILE* file, const std::vector<float>& values) {
  const size_t written = std::fwrite(values.data(), sizeof(float), values.size(), file);
  require(written == values.size(), "cannot write the output");
}

}  // namespace

int main(int argc, char** argv) {
  require(argc == 4, "usage: run_physics IN OUT LANES");
  std::FILE* in = std::fopen(argv[1], "rb");
  require(in != nullptr, "cannot open the input");
  const auto counts = read<int64_t>(in, 10);
  const int64_t n = counts[4];
  const auto header = read<int32_t>(in, counts[0]), ints = read<int32_t>(in, counts[1]);
  const auto constants = read<float>(in, counts[2]), parameters = read<float>(in, counts[3]);
  const auto ctrl = read<float>(in, n * counts[8]);
  auto qpos = read<float>(in, n * counts[6]), qvel = read<float>(in, n * counts[7]);
  auto qacc = read<float>(in, n * counts[7]);
  std::fclose(in);

  std::vector<float> wrenches(n * counts[9] * 6);
  std::vector<uint8_t> diverged(n);
  rlgpu::physics::Call call{};
  call.header = header.data(), call.ints = ints.data();
  call.constants = constants.data(), call.parameters = parameters.data();
  call.num_worlds = n, call.num_steps = static_cast<int>(counts[5]);
  call.qpos = qpos.data(), call.qvel = qvel.data(), call.qacc = qacc.data();
  call.ctrl = ctrl.data(), call.wrenches = wrenches.data();
  call.diverged = reinterpret_cast<bool*>(diverged.data());
  const cudaError_t error = rlgpu::launch_physics(call, std::atoi(argv[3]), nullptr);
  require(error == cudaSuccess, "the launch failed");

  std::FILE* out = std::fopen(argv[2], "wb");
  require(out != nullptr, "cannot open the output");
  for (const auto* values : {&qpos, &qvel, &qacc, &wrenches}) write(out, *values);
  std::fclose(out);
  return 0;
}
