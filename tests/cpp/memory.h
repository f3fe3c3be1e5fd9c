// Memory that a kernel under test can access: plain under emulation, pinned and mapped on a GPU.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "kernels/launch.cuh"

template <typename T>
struct Reachable {
  using value_type = T;
  Reachable() = default;
  template <typename U>
  Reachable(const Reachable<U>&) {}
  T* allocate(size_t count) {
    void* memory = nullptr;
#if defined(__CUDACC__)
    if (cudaMallocHost(&memory, count * sizeof(T)) != cudaSuccess) throw std::bad_alloc();
#else
    memory = ::operator new(count * sizeof(T), std::align_val_t{16});
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) {
#if defined(__CUDACC__)
    cudaFreeHost(memory);
#else
    ::operator delete(memory, std::align_val_t{16});
#endif
  }
  template <typename U>
  bool operator==(const Reachable<U>&) const {
    return true;
  }
};

template <typename T>
using Vector = std::vector<T, Reachable<T>>;

constexpr int kSkipped = 77;  // ctest's SKIP_RETURN_CODE

// Returns whether there is a device to run kernels on; prints a message if not.
inline bool has_device() {
#if defined(__CUDACC__)
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: needs an NVIDIA GPU\n");
    return false;
  }
#endif
  return true;
}

// Waits for the launch to finish; returns whether it succeeded.
inline bool finished(cudaError_t launched) {
#if defined(__CUDACC__)
  return launched == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess;
#else
  return launched == cudaSuccess;
#endif
}
