// A multilayer perceptron, forward and backward, one layer at a time.
//
// The one idea: bias, activation and its derivative are fused into the matrix products that they
// belong to, so a layer's values are written once and read once. Weight gradients are sums over
// rows: fixed slices of rows give partial sums, added in order, so runs agree bit for bit.
#pragma once

#include "tile_gemm.cuh"

namespace rlgpu {

// Between the layers; the derivative of each follows from its value, so inputs need not be kept.
enum class Activation { kNone, kElu, kRelu, kTanh };

// exp(x) - 1 loses relative precision near zero, but its absolute error is within 1.2e-7: float32's
// own spacing at one, the scale at which the next layer adds it.
RLGPU_HD float elu(float x) {
  const float negative = exp_nonpositive(x < 0.0f ? x : 0.0f) - 1.0f;
  return x <= 0.0f ? negative : x;  // NaN compares false and passes through
}

// d elu / dx is 1 above zero and exp(x) = y + 1 below.
RLGPU_HD float elu_gradient(float grad, float y) { return y > 0.0f ? grad : grad * (y + 1.0f); }

RLGPU_HD float relu(float x) { return x <= 0.0f ? 0.0f : x; }  // NaN passes through

RLGPU_HD float relu_gradient(float grad, float y) { return y <= 0.0f ? 0.0f : grad; }

// As exact as elu: within 1.2e-7, the spacing at one.
RLGPU_HD float tanh_of(float x) {
  const float e = exp_nonpositive(x < 0.0f ? 2.0f * x : -2.0f * x);
  const float magnitude = (1.0f - e) / (1.0f + e);
  return x < 0.0f ? -magnitude : magnitude;
}

RLGPU_HD float tanh_gradient(float grad, float y) { return grad * (1.0f - y * y); }

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int64_t kRowsPerSlice = 512;  // fixed, so that sums do not depend on the device
constexpr int kSumBlock = 256;

inline int64_t mlp_num_slices(int64_t num_rows) {
  return (num_rows + kRowsPerSlice - 1) / kRowsPerSlice;
}

// One layer: y [rows, units] = act(x [rows, width] w [units, width]^T + b [units]).
struct LayerSizes {
  int64_t rows;
  int64_t width;
  int64_t units;
};

RLGPU_HD unsigned num_tiles(int64_t size) {
  return static_cast<unsigned>((size + kTile - 1) / kTile);
}

__device__ inline float activated(Activation activation, float x) {
  switch (activation) {
    case Activation::kElu:
      return elu(x);
    case Activation::kRelu:
      return relu(x);
    case Activation::kTanh:
      return tanh_of(x);
    default:
      return x;
  }
}

// The gradient for an activation's input, given that for its value y.
__device__ inline float activation_gradient(Activation activation, float grad, float y) {
  switch (activation) {
    case Activation::kElu:
      return elu_gradient(grad, y);
    case Activation::kRelu:
      return relu_gradient(grad, y);
    case Activation::kTanh:
      return tanh_gradient(grad, y);
    default:
      return grad;
  }
}

struct Nothing {
  template <typename Slice>
  __device__ void operator()(const Slice&) const {}
};

// Calls body(row, column, value) for a finished tile's elements within bounds, coalesced.
template <typename Body>
__device__ void for_each_result(const TileMemory& memory, int64_t first_row, int64_t first_column,
                                int64_t rows, int64_t columns, const Body& body) {
  for (int i = threadIdx.x; i < kTile * kTile; i += kGemmBlock) {
    const int64_t row = first_row + i / kTile, column = first_column + i % kTile;
    if (row < rows && column < columns) {
      body(row, column, memory.result[i / kTile * kResultStride + i % kTile]);
    }
  }
}

// One block owns a 64 x 64 tile of y; neighbours share cached rows of x. Deterministic, and
// independent of the number of rows.
template <Precision kPrecision>
__global__ void __launch_bounds__(kGemmBlock)
    mlp_layer_kernel(const float* __restrict__ x_in, const float* __restrict__ w_in,
                     const float* __restrict__ b_in, LayerSizes n, Activation activation,
                     float* __restrict__ y_out) {
  __shared__ TileMemory memory;
  const int64_t tiles = num_tiles(n.units);
  const int64_t row = blockIdx.x / tiles * kTile, unit = blockIdx.x % tiles * kTile;
  multiply_tile<kPrecision, true, true>({x_in, n.rows, n.width, n.width},
                                        {w_in, n.units, n.width, n.width}, row, unit, 0, memory,
                                        Nothing{});
  for_each_result(memory, row, unit, n.rows, n.units, [&](int64_t i, int64_t j, float value) {
    y_out[i * n.units + j] = activated(activation, value + b_in[j]);
  });
}

// One block owns a 64 x 64 tile of the gradient for the layer below, whose values are x: out =
// (grad w) * activation'(x). Deterministic.
template <Precision kPrecision>
__global__ void __launch_bounds__(kGemmBlock)
    mlp_input_gradient_kernel(const float* __restrict__ grad_in, const float* __restrict__ w_in,
                              const float* __restrict__ x_in, LayerSizes n, Activation activation,
                              float* __restrict__ grad_out) {
  __shared__ TileMemory memory;
  const int64_t tiles = num_tiles(n.width);
  const int64_t row = blockIdx.x / tiles * kTile, input = blockIdx.x % tiles * kTile;
  multiply_tile<kPrecision, true, false>({grad_in, n.rows, n.units, n.units},
                                         {w_in, n.width, n.units, n.width}, row, input, 0, memory,
                                         Nothing{});
  for_each_result(memory, row, input, n.rows, n.width, [&](int64_t i, int64_t j, float value) {
    const float y = activation == Activation::kNone ? 0.0f : x_in[i * n.width + j];
    grad_out[i * n.width + j] = activation_gradient(activation, value, y);
  });
}

// Sums a thread's four columns over all slices of the gradient, before rounding.
struct ColumnSums {
  float* sums;
  template <typename Slice>
  __device__ void operator()(const Slice& slice) const {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) sums[i % 4] += slice.values[i];
  }
};

// One block owns a 64 x 64 tile of grad^T x over one slice of 512 rows (blockIdx.z); blocks with
// blockIdx.x == 0 also sum the biases. Writes partials: weights, then biases, one row per slice.
template <Precision kPrecision>
__global__ void __launch_bounds__(kGemmBlock)
    mlp_weight_gradient_kernel(const float* __restrict__ grad_in, const float* __restrict__ x_in,
                               LayerSizes n, int64_t partials_stride,
                               float* __restrict__ partials_out) {
  __shared__ TileMemory memory;
  __shared__ float column_sums[kGemmBlock][4];
  const int64_t unit = blockIdx.y * static_cast<int64_t>(kTile);
  const int64_t input = blockIdx.x * static_cast<int64_t>(kTile);
  const int64_t begin = blockIdx.z * kRowsPerSlice;
  const int64_t end = begin + kRowsPerSlice < n.rows ? begin + kRowsPerSlice : n.rows;
  float* partials = partials_out + blockIdx.z * partials_stride;
  float sums[4] = {};
  multiply_tile<kPrecision, false, false>({grad_in, n.units, end, n.units},
                                          {x_in, n.width, end, n.width}, unit, input, begin, memory,
                                          ColumnSums{sums});
  for_each_result(memory, unit, input, n.units, n.width,
                  [&](int64_t i, int64_t j, float value) { partials[i * n.width + j] = value; });
  if (blockIdx.x != 0) return;
  for (int k = 0; k < 4; ++k) column_sums[threadIdx.x][k] = sums[k];
  __syncthreads();
  // Thread t loaded the four columns from 4 * (t % 16) on, of every eighth row.
  if (threadIdx.x < kTile && unit + threadIdx.x < n.units) {
    float total = 0.0f;
    for (int t = threadIdx.x / 4; t < kGemmBlock; t += 16) {
      total += column_sums[t][threadIdx.x % 4];
    }
    partials[n.units * n.width + unit + threadIdx.x] = total;
  }
}

// One thread owns one parameter and adds its partials in order; coalesced.
__global__ void __launch_bounds__(kSumBlock)
    mlp_sum_slices_kernel(const float* __restrict__ partials_in, int64_t num_slices, int64_t count,
                          float* __restrict__ grads_out) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(kSumBlock) + threadIdx.x;
  if (i >= count) return;
  float total = 0.0f;
#pragma unroll 8
  for (int64_t slice = 0; slice < num_slices; ++slice) total += partials_in[slice * count + i];
  grads_out[i] = total;
}

// Calls launcher(std::integral_constant<Precision, ...>) for the given precision.
template <typename Launcher>
cudaError_t with_precision(Precision precision, const Launcher& launcher) {
  switch (precision) {
    case Precision::kFp32:
      return launcher(std::integral_constant<Precision, Precision::kFp32>{});
    case Precision::kTf32:
      return launcher(std::integral_constant<Precision, Precision::kTf32>{});
    default:
      return launcher(std::integral_constant<Precision, Precision::kBf16>{});
  }
}

inline cudaError_t launch_mlp_layer(Precision precision, const float* x_in, const float* w_in,
                                    const float* b_in, const LayerSizes& n, Activation activation,
                                    float* y_out, cudaStream_t stream) {
  return with_precision(precision, [&](auto p) {
    return launch(&mlp_layer_kernel<p.value>, dim3(num_tiles(n.units) * num_tiles(n.rows)),
                  kGemmBlock, 0, stream, x_in, w_in, b_in, n, activation, y_out);
  });
}

// x_in: values of the layer below; not read, and may be null, for Activation::kNone.
inline cudaError_t launch_mlp_input_gradient(Precision precision, const float* grad_in,
                                             const float* w_in, const float* x_in,
                                             const LayerSizes& n, Activation activation,
                                             float* grad_out, cudaStream_t stream) {
  return with_precision(precision, [&](auto p) {
    return launch(&mlp_input_gradient_kernel<p.value>, dim3(num_tiles(n.width) * num_tiles(n.rows)),
                  kGemmBlock, 0, stream, grad_in, w_in, x_in, n, activation, grad_out);
  });
}

// partials_out: start of this layer's part in the first of mlp_num_slices rows, each of
// partials_stride floats.
inline cudaError_t launch_mlp_weight_gradient(Precision precision, const float* grad_in,
                                              const float* x_in, const LayerSizes& n,
                                              int64_t partials_stride, float* partials_out,
                                              cudaStream_t stream) {
  return with_precision(precision, [&](auto p) {
    const dim3 grid(num_tiles(n.width), num_tiles(n.units),
                    static_cast<unsigned>(mlp_num_slices(n.rows)));
    return launch(&mlp_weight_gradient_kernel<p.value>, grid, kGemmBlock, 0, stream, grad_in, x_in,
                  n, partials_stride, partials_out);
  });
}

inline cudaError_t launch_mlp_sum_slices(const float* partials_in, int64_t num_slices,
                                         int64_t count, float* grads_out, cudaStream_t stream) {
  return launch(&mlp_sum_slices_kernel, dim3(num_blocks(count, kSumBlock)), kSumBlock, 0, stream,
                partials_in, num_slices, count, grads_out);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
