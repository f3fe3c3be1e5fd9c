// Reads a file of worlds for the fused engine's kernels, written by benchmarks/physics_file.py.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct PhysicsFile {
  int64_t num_worlds, num_steps, nq, nv, nu, num_watched;
  std::vector<int32_t> header, ints;
  std::vector<float> constants, parameters;   // one row of parameters for all worlds
  std::vector<float> ctrl, qpos, qvel, qacc;  // rows of the worlds
};

inline void require(bool condition, const char* path, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s\n", path, what);
  std::exit(1);
}

// The whole file; one that is too short ends the program.
inline PhysicsFile read_physics_file(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  require(file != nullptr, path, "cannot be opened");
  const auto read = [&](auto& values, int64_t count) {
    values.resize(count);
    const size_t found = std::fread(values.data(), sizeof(values[0]), values.size(), file);
    require(found == values.size(), path, "is too short");
  };
  std::vector<int64_t> n;
  read(n, 10);
  PhysicsFile x{n[4], n[5], n[6], n[7], n[8], n[9], {}, {}, {}, {}, {}, {}, {}, {}};
  read(x.header, n[0]), read(x.ints, n[1]), read(x.constants, n[2]), read(x.parameters, n[3]);
  read(x.ctrl, x.num_worlds * x.nu), read(x.qpos, x.num_worlds * x.nq);
  read(x.qvel, x.num_worlds * x.nv), read(x.qacc, x.num_worlds * x.nv);
  std::fclose(file);
  return x;
}
