// One block's 64 x 64 tile of a matrix product, in float32, TF32 or bfloat16 with float32 sums.
//
// The one idea: each element is summed over the contraction in one fixed order, regardless of the
// number of rows or blocks, so that acting on 4096 rows and training on 32768 give the same bits;
// no library's choice of algorithm guarantees this. The next slice is loaded while the tensor
// cores work on the current one.
#pragma once

#include <type_traits>

#include "launch.cuh"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <mma.h>
#endif

namespace rlgpu {

enum class Precision { kFp32, kTf32, kBf16 };

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kTile = 64;        // rows and columns of a block's tile
constexpr int kDepth = 32;       // elements of the contraction processed at a time
constexpr int kGemmBlock = 128;  // four warps, each a 32 x 32 quarter of the tile
constexpr int kTileStride = 72;  // padded: fragments are 32-byte aligned, in different banks
constexpr int kResultStride = 68;
constexpr int kPerThread = kTile * kDepth / kGemmBlock;

// A float32 matrix seen as [outer, depth]; depth is what the product sums over.
struct Operand {
  const float* data;
  int64_t outer_size;
  int64_t depth_end;  // one past the end of this block's part of the contraction
  int64_t stride;     // of the dimension that is not contiguous
};

// Element type of operands in shared memory. kDepthStride: rows are 16-byte aligned and start in
// different banks.
template <Precision kPrecision>
struct Element {
  using Type = float;
  static constexpr int kDepthStride = 36;
  static __device__ float from(float x) {
    return kPrecision == Precision::kTf32 ? nvcuda::wmma::__float_to_tf32(x) : x;
  }
};
template <>
struct Element<Precision::kBf16> {
  using Type = __nv_bfloat16;
  static constexpr int kDepthStride = 40;
  static __device__ __nv_bfloat16 from(float x) { return __float2bfloat16_rn(x); }
};

// Holds the current slices of both operands and later, in the same memory, the result.
union alignas(32) TileMemory {
  float operands[2][kTile * Element<Precision::kFp32>::kDepthStride];
  float result[kTile * kResultStride];
};

// A 64 x 32 slice of an operand, spread over the block's registers. Four adjacent elements in the
// contiguous dimension belong to one thread: a single 16-byte load where rows are aligned.
template <bool kDepthContiguous>
struct Slice {
  float values[kPerThread];

  static __device__ int outer(int part) {
    return kDepthContiguous ? threadIdx.x / 8 + 16 * part : threadIdx.x % 16 * 4;
  }
  static __device__ int depth(int part) {
    return kDepthContiguous ? threadIdx.x % 8 * 4 : threadIdx.x / 16 + 8 * part;
  }

  __device__ void load(const Operand& from, bool aligned, int64_t first_outer,
                       int64_t first_depth) {
#pragma unroll
    for (int part = 0; part < kPerThread / 4; ++part) {
      const int64_t o = first_outer + outer(part), d = first_depth + depth(part);
      const float* source =
          from.data + (kDepthContiguous ? o * from.stride + d : d * from.stride + o);
      const int64_t left = kDepthContiguous ? from.depth_end - d : from.outer_size - o;
      const bool inside = kDepthContiguous ? o < from.outer_size : d < from.depth_end;
      float* value = values + 4 * part;
      if (inside && aligned && left >= 4) {
        const float4 four = *reinterpret_cast<const float4*>(source);
        value[0] = four.x, value[1] = four.y, value[2] = four.z, value[3] = four.w;
      } else {
#pragma unroll
        for (int k = 0; k < 4; ++k) value[k] = inside && k < left ? source[k] : 0.0f;
      }
    }
  }

  // Stores the slice in the layout of global memory: [outer][depth] or [depth][outer].
  template <Precision kPrecision>
  __device__ void store(typename Element<kPrecision>::Type* tile) const {
    constexpr int kDepthStride = Element<kPrecision>::kDepthStride;
#pragma unroll
    for (int part = 0; part < kPerThread / 4; ++part) {
      auto* target = kDepthContiguous ? tile + outer(part) * kDepthStride + depth(part)
                                      : tile + depth(part) * kTileStride + outer(part);
#pragma unroll
      for (int k = 0; k < 4; ++k) target[k] = Element<kPrecision>::from(values[4 * part + k]);
    }
  }
};

// One warp's quarter of the tile in exact float32: lane l owns row l / 2 and eight columns of each
// 16 x 16 part.
template <bool kDepthA, bool kDepthB>
struct ScalarQuarter {
  static constexpr int kDepthStride = Element<Precision::kFp32>::kDepthStride;
  float sums[2][2][8] = {};

  __device__ void multiply(const float* a, const float* b, int row, int column) {
    const int lane = threadIdx.x % 32;
    for (int d = 0; d < kDepth; ++d) {
#pragma unroll
      for (int p = 0; p < 2; ++p) {
        const int i = row + 16 * p + lane / 2;
        const float left = a[kDepthA ? i * kDepthStride + d : d * kTileStride + i];
#pragma unroll
        for (int q = 0; q < 2; ++q) {
          const int j = column + 16 * q + lane % 2 * 8;
#pragma unroll
          for (int k = 0; k < 8; ++k) {
            const float right = b[kDepthB ? (j + k) * kDepthStride + d : d * kTileStride + j + k];
            sums[p][q][k] = fmaf(left, right, sums[p][q][k]);
          }
        }
      }
    }
  }

  __device__ void store(float* result, int row, int column) const {
    const int lane = threadIdx.x % 32;
    for (int p = 0; p < 2; ++p) {
      for (int q = 0; q < 2; ++q) {
        for (int k = 0; k < 8; ++k) {
          result[(row + 16 * p + lane / 2) * kResultStride + column + 16 * q + lane % 2 * 8 + k] =
              sums[p][q][k];
        }
      }
    }
  }
};

// One warp's quarter of the tile on the tensor cores.
template <Precision kPrecision, bool kDepthA, bool kDepthB>
struct TensorQuarter {
  static constexpr bool kIsTf32 = kPrecision == Precision::kTf32;
  static constexpr int kStep = kIsTf32 ? 8 : 16;
  static constexpr int kDepthStride = Element<kPrecision>::kDepthStride;
  template <bool kCondition, typename Yes, typename No>
  using Choose = typename std::conditional<kCondition, Yes, No>::type;
  using Type = Choose<kIsTf32, nvcuda::wmma::precision::tf32, __nv_bfloat16>;
  using Row = nvcuda::wmma::row_major;
  using Column = nvcuda::wmma::col_major;

  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, kStep, float> sums[2][2];

  __device__ TensorQuarter() {
    for (auto& line : sums) {
      for (auto& sum : line) nvcuda::wmma::fill_fragment(sum, 0.0f);
    }
  }

  template <typename T>
  __device__ void multiply(const T* a, const T* b, int row, int column) {
    using namespace nvcuda::wmma;
    fragment<matrix_a, 16, 16, kStep, Type, Choose<kDepthA, Row, Column>> left[2];
    fragment<matrix_b, 16, 16, kStep, Type, Choose<kDepthB, Column, Row>> right[2];
#pragma unroll
    for (int d = 0; d < kDepth; d += kStep) {
#pragma unroll
      for (int p = 0; p < 2; ++p) {
        const int i = row + 16 * p, j = column + 16 * p;
        load_matrix_sync(left[p], a + (kDepthA ? i * kDepthStride + d : d * kTileStride + i),
                         kDepthA ? kDepthStride : kTileStride);
        load_matrix_sync(right[p], b + (kDepthB ? j * kDepthStride + d : d * kTileStride + j),
                         kDepthB ? kDepthStride : kTileStride);
      }
#pragma unroll
      for (int p = 0; p < 2; ++p) {
#pragma unroll
        for (int q = 0; q < 2; ++q) mma_sync(sums[p][q], left[p], right[q], sums[p][q]);
      }
    }
  }

  __device__ void store(float* result, int row, int column) const {
    for (int p = 0; p < 2; ++p) {
      for (int q = 0; q < 2; ++q) {
        nvcuda::wmma::store_matrix_sync(result + (row + 16 * p) * kResultStride + column + 16 * q,
                                        sums[p][q], kResultStride, nvcuda::wmma::mem_row_major);
      }
    }
  }
};

template <Precision kPrecision, bool kDepthA, bool kDepthB>
using Quarter =
    typename std::conditional<kPrecision == Precision::kFp32, ScalarQuarter<kDepthA, kDepthB>,
                              TensorQuarter<kPrecision, kDepthA, kDepthB>>::type;

__device__ inline bool is_aligned(const Operand& operand) {
  return operand.stride % 4 == 0 && reinterpret_cast<uintptr_t>(operand.data) % 16 == 0;
}

// Computes the tile of A B at (first_row, first_column), summed from first_depth on, and leaves it
// in memory.result. Calls seen(slice) with every slice of A before rounding. All threads of the
// block must call this.
template <Precision kPrecision, bool kDepthA, bool kDepthB, typename Seen>
__device__ void multiply_tile(const Operand& a, const Operand& b, int64_t first_row,
                              int64_t first_column, int64_t first_depth, TileMemory& memory,
                              const Seen& seen) {
  using Type = typename Element<kPrecision>::Type;
  Type* tile_a = reinterpret_cast<Type*>(memory.operands[0]);
  Type* tile_b = reinterpret_cast<Type*>(memory.operands[1]);
  const int warp = threadIdx.x / 32, row = warp / 2 * 32, column = warp % 2 * 32;
  const bool aligned_a = is_aligned(a), aligned_b = is_aligned(b);
  Quarter<kPrecision, kDepthA, kDepthB> quarter;
  Slice<kDepthA> slice_a;
  Slice<kDepthB> slice_b;
  slice_a.load(a, aligned_a, first_row, first_depth);
  slice_b.load(b, aligned_b, first_column, first_depth);
  for (int64_t depth = first_depth; depth < a.depth_end; depth += kDepth) {
    seen(slice_a);
    slice_a.template store<kPrecision>(tile_a);
    slice_b.template store<kPrecision>(tile_b);
    __syncthreads();
    if (depth + kDepth < a.depth_end) {
      slice_a.load(a, aligned_a, first_row, depth + kDepth);
      slice_b.load(b, aligned_b, first_column, depth + kDepth);
    }
    quarter.multiply(tile_a, tile_b, row, column);
    __syncthreads();
  }
  quarter.store(memory.result, row, column);
  __syncthreads();
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
