// The CPU's tiles: panels of 32 floats in vectors of 16, as with AVX-512, give the same bits as
// AVX2's panels of 16 in vectors of 8, and so do groups of any size. The wide vectors are emulated,
// so that this is shown on CPUs without AVX-512; there the AVX-512 build itself is compiled but
// does not run.
#include <cstdio>
#include <cstring>
#include <numeric>
#include <vector>

// Sixteen lanes as two vectors of eight, in the place of csrc/cpu/tiles/vec.h's.
#define RLGPU_TILES_EMULATED
#include "cpu/tiles/vec.h"

namespace rlgpu::tiles {
namespace {
struct Vec {
  using Reg = float __attribute__((vector_size(64)));
  using Ints = int __attribute__((vector_size(64)));
  static constexpr int kLanes = 16, kRows = 3;  // low tiles: high ones compile for minutes
  union Halves {
    Reg whole;
    __m256 half[2];
  };
  static RLGPU_INLINE Reg joined(__m256 first, __m256 second) {
    Halves x;
    x.half[0] = first, x.half[1] = second;
    return x.whole;
  }
  static RLGPU_INLINE Reg load(const float* p) {
    return joined(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
  }
  static RLGPU_INLINE void store(float* p, const Reg& x) { std::memcpy(p, &x, sizeof(x)); }
  static RLGPU_INLINE Reg all(float x) { return joined(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
  static RLGPU_INLINE Reg fma(const Reg& a, const Reg& b, const Reg& c) {
    const Halves x{a}, y{b}, z{c};
    return joined(_mm256_fmadd_ps(x.half[0], y.half[0], z.half[0]),
                  _mm256_fmadd_ps(x.half[1], y.half[1], z.half[1]));
  }
  static RLGPU_INLINE Reg min(const Reg& a, const Reg& b) { return a < b ? a : b; }
  static RLGPU_INLINE Reg max(const Reg& a, const Reg& b) { return a > b ? a : b; }
};
}  // namespace
}  // namespace rlgpu::tiles

#include "cpu/ppo_update/update.h"
#include "cpu/tiles/products.h"
// After the products that it calls.
#include "cpu/tiles/passes.h"
#include "expect.h"
#include "kernels/philox.h"

namespace {

using rlgpu::Activation;
using rlgpu::tiles::GivenNetwork;
using rlgpu::tiles::Tiles;

using Floats = std::vector<float>;

// Repeatable numbers around zero, of magnitude one.
Floats numbers(int64_t count, uint32_t seed) {
  Floats result(count);
  for (float& x : result) {
    seed = seed * 1664525u + 1013904223u;
    x = 3.4f * (rlgpu::uniform(seed) - 0.5f);
  }
  return result;
}

constexpr int64_t kRows = 777, kObservations = 37, kActions = 5, kEpochs = 2;

// An actor and a critic, or one network, of odd sizes.
std::vector<GivenNetwork> networks(bool separate, const float* params, int64_t& size) {
  std::vector<GivenNetwork> result;
  size = kActions;
  for (int n = 0; n < (separate ? 2 : 1); ++n) {
    const int64_t last = separate ? (n == 0 ? kActions : 1) : kActions + 1;
    const int64_t sizes[] = {kObservations, 100, 50, last};
    auto& layers = result.emplace_back().layers;
    for (int l = 0; l < 3; ++l) {
      const int64_t width = sizes[l], units = sizes[l + 1], bias = size + width * units;
      layers.push_back({width, units, params + size, params + bias, size, bias});
      size = bias + units;
    }
  }
  return result;
}

// The parameters after an update, and their last gradients.
std::vector<float> trained(const Tiles& tiles, bool separate, Activation activation,
                           int64_t num_threads) {
  Floats params = numbers(1 << 16, 1);
  for (float& x : params) x *= 0.1f;
  rlgpu::ppo::Problem p{};
  int64_t size = 0;
  p.networks = networks(separate, params.data(), size);
  p.activation = activation;
  const Floats observations = numbers(kRows * kObservations, 2),
               actions = numbers(kRows * kActions, 3);
  const Floats means = numbers(kRows * kActions, 4), columns = numbers(4 * kRows, 5);
  const Floats old_log_std(kActions);
  p.old_log_std = old_log_std.data();
  const float* column = columns.data();
  p.rollout = {observations.data(), actions.data(),     column,        means.data(), column + kRows,
               column + 2 * kRows,  column + 3 * kRows, kObservations, kActions,     kActions};
  p.minibatch_rows = kRows;
  p.coefficients = {0.2f, 2.0f, 1.0f, 0.01f, 0.01f};
  p.rules = {0.0f, rlgpu::AdaptWhen::kAfterStep, false, 0.008f, 1e-6f, 1e-2f, -5.0f, 2.0f};
  p.adam = {0.9f, 0.999f, 1e-8f, 1.0f};
  p.groups = {{0, size, 0.0f}};
  std::vector<float> exp_avg(size), exp_avg_sq(size), grads(size);
  int64_t step = 0, nonfinite_steps = 0;
  p.buffers = {params.data(), exp_avg.data(), exp_avg_sq.data(), &step, &nonfinite_steps};
  p.grads = grads.data();
  p.num_params = size;
  rlgpu::ppo::Update update(tiles, p, num_threads);
  std::vector<int64_t> ids(kRows);
  std::iota(ids.rbegin(), ids.rend(), 0);
  rlgpu::PpoProgress progress{};
  float learning_rate = 1e-3f;
  for (int64_t i = 0; i < kEpochs; ++i) {
    update.gradients(ids.data());
    update.step(true, progress, learning_rate);
  }
  expect(progress.steps == kEpochs && nonfinite_steps == 0, "every step was taken");
  std::vector<float> result(params.begin(), params.begin() + size);
  result.insert(result.end(), grads.begin(), grads.end());
  return result;
}

bool same_bits(const std::vector<float>& x, const std::vector<float>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
}

void test_widths(const Tiles& wide, const char* what) {
  for (const bool separate : {false, true}) {
    for (const Activation kind : {Activation::kElu, Activation::kRelu, Activation::kTanh}) {
      const Tiles& narrow = rlgpu::tiles::avx2_tiles();
      expect(same_bits(trained(wide, separate, kind, 1), trained(narrow, separate, kind, 3)), what);
    }
  }
}

// Gradients of some rows, taken in groups of this size.
std::vector<float> sums_of(int64_t group) {
  const Floats params = numbers(1 << 14, 1), x = numbers(64 * kObservations, 2);
  int64_t size = 0;
  rlgpu::tiles::PackedNetwork network(rlgpu::tiles::avx2_tiles(),
                                      networks(false, params.data(), size)[0], Activation::kElu, 1);
  for (int64_t i = 0; i < network.num_pieces(); ++i) network.pack(i);
  rlgpu::tiles::Workspace workspace(network);
  std::vector<float> sums(network.sums_size());
  for (int64_t begin = 0; begin < 64; begin += group) {
    const int64_t count = std::min<int64_t>(group, 64 - begin);
    for (int64_t row = 0; row < count; ++row) {
      workspace.set_input(row, x.data() + (begin + row) * kObservations);
    }
    network.forward(workspace.values(), count);  // whose outputs are taken for their gradients
    network.backward(workspace.values(), count, begin > 0, false, sums.data());
  }
  return sums;
}

}  // namespace

int main() {
  constexpr int kSkipped = 77;
  if (!__builtin_cpu_supports("x86-64-v3")) return kSkipped;
  const Tiles emulated{rlgpu::tiles::kPanel, &rlgpu::tiles::forward, &rlgpu::tiles::backward,
                       nullptr};
  test_widths(emulated, "emulated 3 x 32 tiles have the bits of 6 x 16");
  if (__builtin_cpu_supports("x86-64-v4")) {
    test_widths(rlgpu::tiles::avx512_tiles(), "AVX-512's tiles have the bits of AVX2's");
  } else {
    std::printf("not run: AVX-512's own tiles, which this CPU lacks\n");
  }
  for (const int64_t group : {1, 5, 32, 63}) {
    expect(same_bits(sums_of(group), sums_of(64)), "sums do not depend on the groups' size");
  }
  return report();
}
