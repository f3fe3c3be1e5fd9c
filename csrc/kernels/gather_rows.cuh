// Copies selected rows of several matrices at once, to assemble a shuffled minibatch.
//
// The one idea: one launch instead of one per matrix; a thread finds its matrix by its position in
// the concatenated width.
#pragma once

#include "launch.cuh"

namespace rlgpu {

constexpr int kMaxGathered = 8;

struct GatherList {
  const float* sources[kMaxGathered];
  float* targets[kMaxGathered];
  int widths[kMaxGathered];
  int num_sources;
  int total_width;
};

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kGatherBlock = 256;
constexpr int kGatherMaxBlocks = 8192;  // beyond that, a thread copies several elements

// One thread copies one element of a selected row at a time, striding over the grid. Reads are
// contiguous within a row, writes within a matrix.
__global__ void __launch_bounds__(kGatherBlock)
    gather_rows_kernel(GatherList list, const int64_t* __restrict__ ids_in, int64_t num_rows) {
  const int64_t count = num_rows * list.total_width;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGatherBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kGatherBlock) + threadIdx.x; i < count;
       i += step) {
    const int64_t row = i / list.total_width;
    int column = static_cast<int>(i - row * list.total_width), k = 0;
    while (column >= list.widths[k]) column -= list.widths[k++];
    const int width = list.widths[k];
    list.targets[k][row * width + column] = list.sources[k][ids_in[row] * width + column];
  }
}

inline cudaError_t launch_gather_rows(const GatherList& list, const int64_t* ids_in,
                                      int64_t num_rows, cudaStream_t stream) {
  const int64_t count = num_rows * list.total_width;
  return launch(&gather_rows_kernel, dim3(num_blocks(count, kGatherBlock, kGatherMaxBlocks)),
                kGatherBlock, 0, stream, list, ids_in, num_rows);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
