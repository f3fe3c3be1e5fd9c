// The network's CUDA kernels, in every precision, against plain loops in double precision, like
// test_cuda_kernels.cpp for the other kernels.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "expect.h"
#include "kernels/mlp.cuh"
#include "memory.h"
#include "numbers.h"

namespace {

#if defined(RLGPU_EMULATE_CUDA)
void test_rounding() {
  // TF32 keeps 10 mantissa bits, ties away from zero; bfloat16 keeps 7, ties to even.
  const auto bf16 = [](float x) { return nvcuda::wmma::to_float(__float2bfloat16_rn(x)); };
  expect(nvcuda::wmma::__float_to_tf32(1.0f + 0x1p-11f) == 1.0f + 0x1p-10f,
         "TF32 ties go away from zero");
  expect(nvcuda::wmma::__float_to_tf32(1.0f + 0x1p-12f) == 1.0f, "TF32 rounds to nearest");
  expect(bf16(1.0f + 0x1p-8f) == 1.0f, "bfloat16 ties go to even");
  expect(bf16(1.0f + 0x1.8p-8f) == 1.0f + 0x1p-7f, "bfloat16 rounds to nearest");
}
#endif

double tolerance(rlgpu::Precision precision) {
  // Relative rounding of inputs: 2^-24, 2^-11, 2^-8; sums of a few hundred products of size one.
  return precision == rlgpu::Precision::kFp32   ? 1e-4
         : precision == rlgpu::Precision::kTf32 ? 3e-2
                                                : 3e-1;
}

using rlgpu::Activation;

double value_of(Activation activation, double x) {
  if (activation == Activation::kElu) return x > 0.0 ? x : std::expm1(x);
  if (activation == Activation::kRelu) return std::max(x, 0.0);
  return activation == Activation::kTanh ? std::tanh(x) : x;
}

// Of an activation, where its value is y.
double derivative(Activation activation, double y) {
  if (activation == Activation::kElu) return y > 0.0 ? 1.0 : y + 1.0;
  if (activation == Activation::kRelu) return y > 0.0 ? 1.0 : 0.0;
  return activation == Activation::kTanh ? 1.0 - y * y : 1.0;
}

void test_mlp(rlgpu::Precision precision, Activation activation, const rlgpu::LayerSizes& n) {
  const Floats x = numbers(n.rows * n.width, 8), w = numbers(n.units * n.width, 9);
  const Floats b = numbers(n.units, 10), grad = numbers(n.rows * n.units, 11);
  std::vector<double> y(n.rows * n.units), grad_x(n.rows * n.width);
  std::vector<double> grad_w(n.units * n.width + n.units);
  for (int64_t i = 0; i < n.rows; ++i) {
    for (int64_t j = 0; j < n.units; ++j) {
      double sum = b[j];
      for (int64_t k = 0; k < n.width; ++k) {
        sum += static_cast<double>(x[i * n.width + k]) * w[j * n.width + k];
        grad_x[i * n.width + k] += static_cast<double>(grad[i * n.units + j]) * w[j * n.width + k];
        grad_w[j * n.width + k] += static_cast<double>(grad[i * n.units + j]) * x[i * n.width + k];
      }
      y[i * n.units + j] = value_of(activation, sum);
      grad_w[n.units * n.width + j] += grad[i * n.units + j];
    }
  }
  for (int64_t i = 0; i < n.rows * n.width; ++i) grad_x[i] *= derivative(activation, x[i]);
  const double allowed = tolerance(precision);
  Floats got(n.rows * n.units), got_x(n.rows * n.width), got_w(grad_w.size()), first(n.units);
  expect(finished(rlgpu::launch_mlp_layer(precision, x.data(), w.data(), b.data(), n, activation,
                                          got.data(), nullptr)),
         "mlp_layer runs");
  expect(worst(got, y) < allowed, "mlp forward");
  rlgpu::LayerSizes one = n;
  one.rows = 1;
  expect(finished(rlgpu::launch_mlp_layer(precision, x.data(), w.data(), b.data(), one, activation,
                                          first.data(), nullptr)),
         "mlp_layer runs");
  expect(first == Floats(got.begin(), got.begin() + n.units),
         "a row's bits do not depend on the number of rows");
  expect(finished(rlgpu::launch_mlp_input_gradient(precision, grad.data(), w.data(), x.data(), n,
                                                   activation, got_x.data(), nullptr)),
         "mlp_input_gradient runs");
  expect(worst(got_x, grad_x) < allowed * 2, "mlp gradient of its inputs");
  // The layer's part starts at an odd offset in a wider row.
  const int64_t slices = rlgpu::mlp_num_slices(n.rows), stride = grad_w.size() + 3;
  Floats partials(slices * stride, 0.0f), sums(stride);
  expect(finished(rlgpu::launch_mlp_weight_gradient(precision, grad.data(), x.data(), n, stride,
                                                    partials.data() + 1, nullptr)),
         "mlp_weight_gradient runs");
  expect(
      finished(rlgpu::launch_mlp_sum_slices(partials.data(), slices, stride, sums.data(), nullptr)),
      "mlp_sum_slices runs");
  expect(worst(Floats(sums.begin() + 1, sums.end()), grad_w) < allowed * 10,
         "mlp gradient of its parameters");
}

}  // namespace

int main() {
  if (!has_device()) return kSkipped;
#if defined(RLGPU_EMULATE_CUDA)
  test_rounding();
#endif
  for (const auto precision :
       {rlgpu::Precision::kFp32, rlgpu::Precision::kTf32, rlgpu::Precision::kBf16}) {
    for (const auto activation :
         {Activation::kElu, Activation::kRelu, Activation::kTanh, Activation::kNone}) {
      test_mlp(precision, activation, {70, 60, 65});
      test_mlp(precision, activation, {3, 45, 9});
    }
    test_mlp(precision, Activation::kElu, {1100, 33, 8});
  }
  return report();
}
