// CUDA's tensor-core API (nvcuda::wmma) on the CPU; part of cuda_emulation.h.
//
// A warp's operation is collective, so its first lane does all of it. Addresses and strides are
// checked against the hardware's rules.
#pragma once

struct __nv_bfloat16 {
  uint16_t bits;
};

// Rounds to nearest, ties to even. NaN need not be exact here.
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

namespace nvcuda {
namespace wmma {

struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
namespace precision {
struct tf32 {};
}  // namespace precision
enum layout_t { mem_row_major, mem_col_major };

// Rounds to nearest, ties away from zero: ten bits of mantissa.
inline float __float_to_tf32(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  bits = (bits + 0x1000u) & 0xffffe000u;
  __builtin_memcpy(&x, &bits, sizeof(bits));
  return x;
}

inline float to_float(float x) { return x; }
inline float to_float(__nv_bfloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float result;
  __builtin_memcpy(&result, &bits, sizeof(result));
  return result;
}

template <typename Use, int kM, int kN, int kK, typename T, typename Layout = void>
struct fragment {
  static constexpr bool kIsA = std::is_same<Use, matrix_a>::value;
  static constexpr bool kIsB = std::is_same<Use, matrix_b>::value;
  static constexpr int kRows = kIsB ? kK : kM;
  static constexpr int kColumns = kIsA ? kK : kN;
  float x[kRows][kColumns];
};

inline bool is_first_lane() {
  return cuda_emulation::state.current->thread % cuda_emulation::kWarpSize == 0;
}

template <typename T>
void check_address(const T* memory, unsigned stride) {
  if (reinterpret_cast<uintptr_t>(memory) % 32 != 0 || stride * sizeof(T) % 16 != 0) {
    cuda_emulation::fail("a fragment's address is not 32-byte aligned, or its stride not 16-byte");
  }
}

template <typename Use, int kM, int kN, int kK, typename T, typename Layout, typename Stored>
void load_matrix_sync(fragment<Use, kM, kN, kK, T, Layout>& f, const Stored* memory,
                      unsigned stride) {
  check_address(memory, stride);
  if (!is_first_lane()) return;
  constexpr bool kByRow = std::is_same<Layout, row_major>::value;
  for (int i = 0; i < f.kRows; ++i) {
    for (int j = 0; j < f.kColumns; ++j) {
      f.x[i][j] = to_float(memory[kByRow ? i * stride + j : j * stride + i]);
    }
  }
}

template <int kM, int kN, int kK>
void fill_fragment(fragment<accumulator, kM, kN, kK, float>& f, float value) {
  for (auto& row : f.x) {
    for (float& x : row) x = value;
  }
}

template <int kM, int kN, int kK, typename T, typename LayoutA, typename LayoutB>
void mma_sync(fragment<accumulator, kM, kN, kK, float>& d,
              const fragment<matrix_a, kM, kN, kK, T, LayoutA>& a,
              const fragment<matrix_b, kM, kN, kK, T, LayoutB>& b,
              const fragment<accumulator, kM, kN, kK, float>& c) {
  if (!is_first_lane()) return;
  for (int i = 0; i < kM; ++i) {
    for (int j = 0; j < kN; ++j) {
      float sum = c.x[i][j];
      for (int k = 0; k < kK; ++k) sum += a.x[i][k] * b.x[k][j];
      d.x[i][j] = sum;
    }
  }
}

template <int kM, int kN, int kK>
void store_matrix_sync(float* memory, const fragment<accumulator, kM, kN, kK, float>& f,
                       unsigned stride, layout_t layout) {
  check_address(memory, stride);
  if (layout != mem_row_major) cuda_emulation::fail("only row-major results are emulated");
  if (!is_first_lane()) return;
  for (int i = 0; i < kM; ++i) {
    for (int j = 0; j < kN; ++j) memory[i * stride + j] = f.x[i][j];
  }
}

}  // namespace wmma
}  // namespace nvcuda
