// Runs CUDA kernels on the CPU, thread by thread, for tests without a GPU.
//
// Each CUDA thread is a fiber that runs until it reaches a barrier. A block's fibers are
// resumed in turn until all of them wait at the same barrier (or have returned), which then opens.
// Barriers: a block (__syncthreads), a warp (shuffles, votes), the grid (sync_grid).
//
// What is not emulated: races that need real concurrency, memory ordering, speed.
// __shared__ variables are static, so only one block's are valid at a time; a kernel that calls
// sync_grid must not keep anything in them across that call.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

using std::isfinite;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_in = 1, unsigned y_in = 1, unsigned z_in = 1)
      : x(x_in), y(y_in), z(z_in) {}
};

struct float4 {
  float x, y, z, w;
};

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1 };
using cudaStream_t = void*;

namespace cuda_emulation {

constexpr int kWarpSize = 32;
constexpr size_t kStackBytes = 256 * 1024;
constexpr size_t kMaxSharedBytes = 227 * 1024;

enum class Wait { kNothing, kBlock, kWarp, kGrid, kReturned };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  Wait wait = Wait::kNothing;
  unsigned thread = 0;
  unsigned block = 0;
};

struct State {
  dim3 grid_dim, block_dim, block_idx, thread_idx;
  ucontext_t scheduler;
  Fiber* current = nullptr;
  std::function<void()> body;
  std::vector<uint64_t> lanes;  // what each thread of the block passes to a shuffle
};

inline State state;
alignas(32) inline char dynamic_shared[kMaxSharedBytes];

inline void pause(Wait wait) {
  state.current->wait = wait;
  swapcontext(&state.current->context, &state.scheduler);
}

inline void run_body() {
  state.body();
  state.current->wait = Wait::kReturned;
  swapcontext(&state.current->context, &state.scheduler);
}

inline void resume(Fiber& fiber) {
  const unsigned width = state.grid_dim.x, height = state.grid_dim.y;
  state.block_idx =
      dim3(fiber.block % width, fiber.block / width % height, fiber.block / width / height);
  state.thread_idx = dim3(fiber.thread);
  state.current = &fiber;
  fiber.wait = Wait::kNothing;
  swapcontext(&state.scheduler, &fiber.context);
}

inline void prepare(Fiber& fiber, unsigned block, unsigned thread) {
  fiber.block = block;
  fiber.thread = thread;
  fiber.wait = Wait::kNothing;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, run_body, 0);
}

inline void fail(const char* what) {
  std::fprintf(stderr, "cuda_emulation: %s\n", what);
  std::abort();
}

// Resumes a range of fibers, all of which must then reach the same barrier or return.
inline Wait run_to_barrier(Fiber* fibers, unsigned count, Wait opened) {
  Wait reached = Wait::kReturned;
  for (unsigned i = 0; i < count; ++i) {
    if (fibers[i].wait == opened) resume(fibers[i]);
  }
  for (unsigned i = 0; i < count; ++i) {
    if (fibers[i].wait == Wait::kReturned) continue;
    if (reached != Wait::kReturned && reached != fibers[i].wait) {
      fail("threads wait at different barriers");
    }
    reached = fibers[i].wait;
  }
  return reached;
}

// Runs a block until all its threads have returned, or wait for the grid.
inline Wait run_block(Fiber* fibers, unsigned count, Wait opened) {
  while (true) {
    for (unsigned first = 0; first < count; first += kWarpSize) {
      Fiber* warp = fibers + first;
      const unsigned lanes = std::min<unsigned>(kWarpSize, count - first);
      Wait reached = run_to_barrier(warp, lanes, opened);
      while (reached == Wait::kWarp) reached = run_to_barrier(warp, lanes, Wait::kWarp);
    }
    const Wait reached = run_to_barrier(fibers, count, Wait::kNothing);
    if (reached != Wait::kBlock) return reached;
    opened = Wait::kBlock;
  }
}

inline void run(dim3 grid, unsigned block, bool cooperative, std::function<void()> body) {
  state.grid_dim = grid;
  state.block_dim = dim3(block);
  state.body = std::move(body);
  state.lanes.assign(block, 0);
  const unsigned blocks = grid.x * grid.y * grid.z;
  std::vector<Fiber> fibers((cooperative ? blocks : 1) * block);
  if (!cooperative) {
    for (unsigned b = 0; b < blocks; ++b) {
      for (unsigned t = 0; t < block; ++t) prepare(fibers[t], b, t);
      if (run_block(fibers.data(), block, Wait::kNothing) != Wait::kReturned) {
        fail("a kernel waits for the grid but was not launched cooperatively");
      }
    }
    return;
  }
  for (unsigned i = 0; i < fibers.size(); ++i) prepare(fibers[i], i / block, i % block);
  Wait opened = Wait::kNothing;
  for (bool running = true; running; opened = Wait::kGrid) {
    running = false;
    for (unsigned b = 0; b < blocks; ++b) {
      running |= run_block(fibers.data() + b * block, block, opened) == Wait::kGrid;
    }
  }
}

template <typename T>
T exchange(T value, unsigned source_lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  const unsigned thread = state.current->thread, first = thread / kWarpSize * kWarpSize;
  __builtin_memcpy(&state.lanes[thread], &value, sizeof(T));
  pause(Wait::kWarp);
  T result;
  __builtin_memcpy(&result, &state.lanes[first + source_lane], sizeof(T));
  pause(Wait::kWarp);
  return result;
}

}  // namespace cuda_emulation

#define threadIdx (cuda_emulation::state.thread_idx)
#define blockIdx (cuda_emulation::state.block_idx)
#define blockDim (cuda_emulation::state.block_dim)
#define gridDim (cuda_emulation::state.grid_dim)

inline void __syncthreads() { cuda_emulation::pause(cuda_emulation::Wait::kBlock); }
inline void __syncwarp(unsigned = 0xffffffffu) {
  cuda_emulation::pause(cuda_emulation::Wait::kWarp);
}

template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return cuda_emulation::exchange(
      value, (cuda_emulation::state.current->thread % cuda_emulation::kWarpSize) ^ mask);
}

inline int __all_sync(unsigned, int predicate) {
  for (int mask = cuda_emulation::kWarpSize / 2; mask > 0; mask /= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, predicate, mask);
    predicate = predicate && other;
  }
  return predicate;
}

#include "wmma_emulation.h"

namespace rlgpu {

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int block, size_t shared_bytes,
                   cudaStream_t, const Arguments&... arguments) {
  if (shared_bytes > cuda_emulation::kMaxSharedBytes) return cudaErrorInvalidValue;
  if (grid.x == 0 || grid.y == 0) return cudaSuccess;
  cuda_emulation::run(grid, block, false, [&] { kernel(arguments...); });
  return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch_cooperative(void (*kernel)(Parameters...), dim3 grid, int block, cudaStream_t,
                               const Arguments&... arguments) {
  cuda_emulation::run(grid, block, true, [&] { kernel(arguments...); });
  return cudaSuccess;
}

template <typename... Parameters>
int num_resident_blocks(void (*)(Parameters...), int) {
  return 64;
}

template <typename T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(cuda_emulation::dynamic_shared);
}

inline void sync_grid() { cuda_emulation::pause(cuda_emulation::Wait::kGrid); }

}  // namespace rlgpu
