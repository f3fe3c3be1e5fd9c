// What every benchmark of a kernel shares: device memory, and times of launches within a graph.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace bench {

constexpr int kLaunches = 20;
constexpr int kReplays = 10;

// CUDA's errors end the program.
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

// Zeroed device memory that lives as long as the program.
template <typename T>
T* device(int64_t count) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, count * sizeof(T)), "cudaMalloc");
  check(cudaMemset(memory, 0, count * sizeof(T)), "cudaMemset");
  return static_cast<T*>(memory);
}

// Device memory of count elements: those of a vector, again and again.
template <typename T>
T* repeated(const std::vector<T>& values, int64_t count) {
  std::vector<T> all(count);
  for (int64_t i = 0; i < count; ++i) all[i] = values[i % values.size()];
  T* memory = device<T>(count);
  check(cudaMemcpy(memory, all.data(), count * sizeof(T), cudaMemcpyDefault), "cudaMemcpy");
  return memory;
}

using Launch = std::function<cudaError_t(cudaStream_t)>;

// Microseconds per launch, measured over many launches in one graph.
inline double microseconds(const Launch& launch, bool once) {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  check(launch(stream), "launch");
  check(cudaStreamSynchronize(stream), "kernel");
  if (once) return 0.0;
  cudaGraph_t graph;
  cudaGraphExec_t replayable;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin capture");
  for (int i = 0; i < kLaunches; ++i) check(launch(stream), "captured launch");
  check(cudaStreamEndCapture(stream, &graph), "end capture");
  check(cudaGraphInstantiate(&replayable, graph, 0), "instantiate");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "event");
  check(cudaEventCreate(&end), "event");
  std::vector<float> times(kReplays);
  for (float& time : times) {
    check(cudaEventRecord(begin, stream), "record");
    check(cudaGraphLaunch(replayable, stream), "replay");
    check(cudaEventRecord(end, stream), "record");
    check(cudaEventSynchronize(end), "synchronize");
    check(cudaEventElapsedTime(&time, begin, end), "elapsed");
  }
  std::sort(times.begin(), times.end());
  check(cudaGraphExecDestroy(replayable), "destroy");
  check(cudaGraphDestroy(graph), "destroy");
  check(cudaStreamDestroy(stream), "destroy");
  return 1e3 * times[kReplays / 2] / kLaunches;
}

struct Bench {
  std::string name;
  double bytes;  // the least that a launch moves
  Launch launch;
};

// Control steps of every robot in the folder physics/ beside the program (physics_bench.cu).
std::vector<Bench> physics(const char* program);

}  // namespace bench
