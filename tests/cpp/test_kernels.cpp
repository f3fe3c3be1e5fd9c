// The kernels' arithmetic on the host, without Python: published vectors and numbers worked by
// hand.
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include "expect.h"
#include "kernels/adam_step.cuh"
#include "kernels/gae.cuh"
#include "kernels/mlp.cuh"
#include "kernels/philox.h"
#include "kernels/gaussian_ppo_loss.cuh"
#include "kernels/running_stats.cuh"
#include "kernels/shuffle.cuh"

namespace {

void test_philox() {
  // Random123, kat_vectors, philox4x32 10 rounds.
  const rlgpu::Philox4 zero = rlgpu::philox(0, 0, 0);
  expect(zero.x == 0x6627e8d5u && zero.y == 0xe169c58du && zero.z == 0xbc57ac4cu &&
             zero.w == 0x9b00dbd8u,
         "philox of zeros is as published");
  const uint64_t ones = ~0ull;
  const rlgpu::Philox4 full = rlgpu::philox(ones, ones, ones);
  expect(full.x == 0x408f276du && full.y == 0x41c83b0eu && full.z == 0xa20bc7c6u &&
             full.w == 0x6d5451fdu,
         "philox of ones is as published");
  expect(rlgpu::uniform(0) > 0.0f && rlgpu::uniform(~0u) <= 1.0f, "uniforms stay above zero");
}

void test_gae() {
  // 1 + 0.5 * 8 - 2 + 0.25 * 3 = 3.75
  expect(rlgpu::gae_step(1, 2, 8, 100, false, false, 3, 0.5f, 0.5f) == 3.75f, "an ordinary step");
  expect(rlgpu::gae_step(1, 2, 8, 100, true, false, 3, 0.5f, 0.5f) == -1.0f, "a failure");
  expect(rlgpu::gae_step(1, 2, 8, 10, false, true, 3, 0.5f, 0.5f) == 4.0f, "a time limit");
  expect(rlgpu::gae_step(1, 2, 8, 10, true, true, 3, 0.5f, 0.5f) == -1.0f, "both: a failure");
  rlgpu::Moments moments{};
  for (const double x : {1.0, 2.0, 3.0, 4.0}) rlgpu::accumulate(moments, x);
  const rlgpu::Normalizer n = rlgpu::normalizer(moments, 4);
  expect(near(n.mean, 2.5, 1e-6) && near(n.inverse_std, 1 / std::sqrt(5.0 / 3.0), 1e-6),
         "the deviation is unbiased");
}

void test_elu() {
  double worst = 0.0;
  for (float x = -90.0f; x < 5.0f; x += 0.00037f) {
    worst = std::fmax(worst, std::fabs(rlgpu::elu(x) - (x > 0 ? x : std::expm1(double(x)))));
  }
  expect(worst < 1.3e-7, "elu is accurate to float32's step at one");
  expect(std::isnan(rlgpu::elu(std::numeric_limits<float>::quiet_NaN())), "elu keeps NaN");
}

void test_gaussian() {
  // N(0, 1) at 1: -0.5 - 0.5 log(2 pi) = -1.418939
  expect(near(rlgpu::gaussian_log_prob(1.0f, 0.0f), -1.4189385, 1e-6), "a log-probability");
  const rlgpu::ActionScale same = rlgpu::action_scale(-0.7f, -0.7f);
  expect(rlgpu::gaussian_kl(0.3f, 0.3f, same) == 0.0f, "KL of a distribution with itself is zero");
  // KL(N(0, 1) || N(1, 2)) = log 2 + (1 + 1) / 8 - 1/2 = 0.443147
  const rlgpu::ActionScale wider = rlgpu::action_scale(std::log(2.0f), 0.0f);
  expect(near(rlgpu::gaussian_kl(0.0f, 1.0f, wider), 0.4431472, 1e-6), "KL worked by hand");
}

void test_value_loss() {
  const rlgpu::PpoCoefficients c{0.2f, 1.0f, 1.0f, 0.0f, 0.0f};
  float grad = 0.0f;
  // Moved from 0 to the target 1: the clipped value 0.2 has the larger error and no gradient.
  expect(near(rlgpu::value_term(1.0f, 0.0f, 1.0f, c, grad), 0.32, 1e-6) && grad == 0.0f,
         "a value clipped on its way to the target gets no gradient");
  expect(near(rlgpu::value_term(0.1f, 0.0f, 1.0f, c, grad), 0.405, 1e-6) && near(grad, -0.9, 1e-6),
         "a value within the clip gets its error");
}

void test_adam() {
  const rlgpu::AdamHyperparameters h{0.9f, 0.999f, 1e-8f, 0.0f};
  const rlgpu::AdamScalars s = rlgpu::adam_scalars(h, 0.1f, 1, 5.0);
  float param = 1.0f, exp_avg = 0.0f, exp_avg_sq = 0.0f;
  rlgpu::adam_element(h, s, 5.0f, param, exp_avg, exp_avg_sq);
  expect(near(param, 0.9, 1e-6), "Adam's first step is the learning rate, whatever the gradient");
}

void test_running_moments() {
  // {1, 3} seen, {5, 7} new: mean 4, variance 5. The batch is centred by 2: sums 3 + 5, 9 + 25.
  const rlgpu::RunningMoments old{2.0, 1.0, 2.0};
  const rlgpu::RunningMoments m = rlgpu::merge(old, rlgpu::BatchMoments{2.0, 8.0, 34.0});
  expect(near(m.mean, 4.0, 1e-12) && near(m.var, 5.0, 1e-12) && m.count == 4.0,
         "moments merge as worked by hand");
  // Values are bounded to 100 times the mean of 2 plus the deviation of 1, then centred.
  const rlgpu::StatsRange range = rlgpu::stats_range(old, 1e6f);
  expect(near(rlgpu::centred(5.0f, range), 3.0, 1e-12) &&
             near(rlgpu::centred(1e8f, range), 300.0 - 2.0, 1e-2) &&
             near(rlgpu::centred(-1e8f, range), -300.0 - 2.0, 1e-2),
         "a value far beyond anything before it is bounded");
  const rlgpu::StatsRange fresh = rlgpu::stats_range({0.0, 1.0, 0.0}, 1e6f);
  expect(near(rlgpu::centred(3e6f, fresh), 3e6, 1e-6), "the first row sets the first bound");
}

void test_shuffle() {
  for (const int64_t count : {1, 2, 5, 100, 65536}) {
    const rlgpu::ShuffleKeys keys = rlgpu::shuffle_keys(3, 4, count);
    std::vector<bool> seen(count);
    bool once = true;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t to = rlgpu::shuffled(keys, i, count);
      once = once && to >= 0 && to < count && !seen[to];
      seen[to] = true;
    }
    expect(once, "a shuffle visits everything once");
  }
}

}  // namespace

int main() {
  test_running_moments();
  test_shuffle();
  test_philox();
  test_gae();
  test_elu();
  test_gaussian();
  test_value_loss();
  test_adam();
  return report();
}
