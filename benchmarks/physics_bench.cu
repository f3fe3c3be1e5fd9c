// The fused engine in kernel_bench: every mapping of worlds to threads, on recorded worlds.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "kernel_timing.h"
#include "kernels/physics/physics.cuh"
#include "physics_file.h"

namespace bench {
namespace {

// A control step of a robot's worlds with each number of threads per world for which its scratch
// suffices, all from the same states.
std::vector<Bench> robot(const std::filesystem::path& path) {
  const auto x = std::make_shared<PhysicsFile>(read_physics_file(path.c_str()));
  rlgpu::physics::Call shared{};
  shared.header = x->header.data(), shared.num_steps = static_cast<int>(x->num_steps);
  shared.ints = repeated(x->ints, x->ints.size());
  shared.constants = repeated(x->constants, x->constants.size());
  shared.parameters = repeated(x->parameters, x->parameters.size());
  std::vector<Bench> benches;
  for (const int64_t worlds : {256, 1024, 4096, 16384, 65536}) {
    const auto rows = [&](const std::vector<float>& from, int64_t width) {
      return repeated(from, worlds * width);
    };
    for (const int threads : {1, 2, 4, 8, 16, 32}) {
      rlgpu::physics::Call call = shared;
      call.diverged = device<bool>(worlds);
      call.qpos = rows(x->qpos, x->nq), call.qvel = rows(x->qvel, x->nv);
      call.qacc = rows(x->qacc, x->nv), call.ctrl = rows(x->ctrl, x->nu);
      if (rlgpu::launch_physics(call, threads, nullptr) != cudaSuccess) continue;  // no world yet
      call.num_worlds = worlds;
      benches.push_back({"physics " + path.stem().string() + " " + std::to_string(worlds) + " by " +
                             std::to_string(threads),
                         4.0 * worlds * (2 * x->nq + 4 * x->nv + x->nu),
                         [x, call, threads](cudaStream_t s) {  // x owns the header
                           return rlgpu::launch_physics(call, threads, s);
                         }});
    }
  }
  return benches;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".worlds") found.push_back(entry.path());
    }
  }
  if (found.empty()) {
    std::printf("no robots for physics: python benchmarks/physics_file.py %s\n", folder.c_str());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::vector<Bench> physics(const char* program) {
  std::vector<Bench> benches;
  for (const auto& path : files_in(std::filesystem::path(program).parent_path() / "physics")) {
    for (Bench& bench : robot(path)) benches.push_back(std::move(bench));
  }
  return benches;
}

}  // namespace bench
