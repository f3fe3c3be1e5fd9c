// The Gaussian policy's kernels against plain formulas in double precision, gradients by finite
// differences: thread by thread on the CPU, and on a GPU through test_cuda_gaussian.cu.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "expect.h"
#include "kernels/gaussian_ppo_loss.cuh"
#include "kernels/gaussian_sample.cuh"
#include "memory.h"
#include "numbers.h"

namespace {

// Philox 4x32-10 as in its paper, written independently of the kernels.
std::array<uint32_t, 4> philox_words(uint64_t seed, uint64_t call, uint64_t element) {
  std::array<uint64_t, 4> c{element & 0xffffffffu, element >> 32, call & 0xffffffffu, call >> 32};
  uint64_t key0 = seed & 0xffffffffu, key1 = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    c = {(b >> 32) ^ c[1] ^ key0, b & 0xffffffffu, (a >> 32) ^ c[3] ^ key1, a & 0xffffffffu};
    key0 = (key0 + 0x9E3779B9u) & 0xffffffffu;
    key1 = (key1 + 0xBB67AE85u) & 0xffffffffu;
  }
  return {static_cast<uint32_t>(c[0]), static_cast<uint32_t>(c[1]), static_cast<uint32_t>(c[2]),
          static_cast<uint32_t>(c[3])};
}

// The standard normal of one row and action: Box-Muller on two of the four words.
double normal_of(uint64_t seed, uint64_t call, uint64_t row, int64_t action) {
  const auto words = philox_words(seed, call, (row << 16) | static_cast<uint64_t>(action / 4));
  const auto uniform = [&](int i) { return (words[i] >> 8) * 0x1p-24 + 0x1p-25; };
  const int pair = action % 4 / 2 * 2;
  const double radius = std::sqrt(-2.0 * std::log(uniform(pair)));
  const double angle = 2.0 * M_PI * uniform(pair + 1);
  return radius * (action % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

double log_density(double x, double mean, double log_std) {
  const double z = (x - mean) / std::exp(log_std);
  return -0.5 * z * z - log_std - 0.5 * std::log(2.0 * M_PI);
}

void test_gaussian_sample(int64_t rows, int64_t actions) {
  const int64_t stride = actions + 1;
  const Floats outputs = numbers(rows * stride, 12), log_std = numbers(actions, 13);
  Vector<int64_t> state{5, 9};
  Floats drawn(rows * actions), log_probs(rows), mean(rows * actions), values(rows);
  const rlgpu::SampleInputs in{
      outputs.data(), stride, outputs.data() + actions, stride, log_std.data(), rows, actions};
  expect(
      finished(rlgpu::launch_gaussian_sample(
          in, state.data(), {drawn.data(), log_probs.data(), mean.data(), values.data()}, nullptr)),
      "gaussian_sample runs");
  bool right = state[0] == 5 && state[1] == 10;
  for (int64_t r = 0; r < rows; ++r) {
    double log_prob = 0.0;
    for (int64_t i = 0; i < actions; ++i) {
      const double centre = outputs[r * stride + i], got = drawn[r * actions + i];
      const double wanted = centre + std::exp(log_std[i]) * normal_of(5, 9, r, i);
      log_prob += log_density(got, centre, log_std[i]);
      right = right && near(got, wanted, 1e-4) && mean[r * actions + i] == outputs[r * stride + i];
    }
    right = right && near(log_probs[r], log_prob, 1e-4 * (1.0 + std::fabs(log_prob))) &&
            values[r] == outputs[r * stride + actions];
  }
  expect(right, "gaussian_sample");
}

// One row of PPO's loss in double precision, as in the paper, and the metrics of that row.
struct PlainPpo {
  std::vector<double> mean, log_std;
  double value;
};

double plain_loss(const PlainPpo& now, const rlgpu::PpoInputs& in, const rlgpu::PpoCoefficients& c,
                  int64_t row, double* metrics) {
  double log_prob = 0.0, entropy = 0.0, kl = 0.0, bounds = 0.0;
  for (int64_t i = 0; i < in.num_actions; ++i) {
    const double mean = now.mean[i], log_std = now.log_std[i];
    const double old_mean = in.old_mean[row * in.num_actions + i], old_log_std = in.old_log_std[i];
    log_prob += log_density(in.actions[row * in.num_actions + i], mean, log_std);
    entropy += 0.5 * std::log(2.0 * M_PI * M_E) + log_std;
    const double variance = std::exp(2.0 * log_std), old_variance = std::exp(2.0 * old_log_std);
    kl += log_std - old_log_std - 0.5 +
          (old_variance + (old_mean - mean) * (old_mean - mean)) / (2.0 * variance);
    bounds += std::pow(std::max(std::fabs(mean) - 1.1, 0.0), 2);
  }
  const double ratio = std::exp(log_prob - in.old_log_probs[row]), advantage = in.advantages[row];
  const double clipped = std::clamp(ratio, 1.0 - c.clip_ratio, 1.0 + c.clip_ratio);
  const double surrogate = -std::min(ratio * advantage, clipped * advantage);
  const double old_value = in.old_values[row], target = in.returns[row];
  const double near_old =
      old_value + std::clamp<double>(now.value - old_value, -c.clip_ratio, c.clip_ratio);
  const double value_loss =
      0.5 * std::max(std::pow(now.value - target, 2), std::pow(near_old - target, 2));
  const double row_metrics[] = {surrogate, value_loss, entropy,
                                bounds,    kl,         ratio != clipped ? 1.0 : 0.0};
  for (int i = 0; metrics && i < rlgpu::kNumPpoMetrics; ++i) metrics[i] += row_metrics[i];
  return surrogate + c.value_loss_coef * value_loss - c.entropy_coef * entropy +
         c.bounds_loss_coef * bounds;
}

// The derivative of the row's loss with respect to one of its inputs.
template <typename Number>
double slope(PlainPpo at, const Number& number, const rlgpu::PpoInputs& in,
             const rlgpu::PpoCoefficients& c, int64_t row) {
  constexpr double kStep = 1e-6;
  number(at) += kStep;
  const double above = plain_loss(at, in, c, row, nullptr);
  number(at) -= 2.0 * kStep;
  return (above - plain_loss(at, in, c, row, nullptr)) / (2.0 * kStep);
}

void test_gaussian_ppo_loss(int64_t rows, int64_t actions) {
  const Floats mean = numbers(rows * actions, 14), old_mean = numbers(rows * actions, 15);
  const Floats drawn = numbers(rows * actions, 16), old_log_std = numbers(actions, 18);
  const Floats log_std = numbers(actions, 17), values = numbers(rows, 19);
  const Floats old_values = numbers(rows, 20), returns = numbers(rows, 21);
  const Floats advantages = numbers(rows, 22);
  Floats log_probs = numbers(rows, 23);
  const rlgpu::PpoInputs in{mean.data(),
                            log_std.data(),
                            values.data(),
                            drawn.data(),
                            log_probs.data(),
                            old_mean.data(),
                            old_log_std.data(),
                            old_values.data(),
                            advantages.data(),
                            returns.data(),
                            rows,
                            actions};
  // Ratios around one, on both sides of the clip.
  for (int64_t row = 0; row < rows; ++row) {
    log_probs[row] *= 0.2f;
    for (int64_t i = 0; i < actions; ++i) {
      log_probs[row] += log_density(drawn[row * actions + i], mean[row * actions + i], log_std[i]);
    }
  }
  const Vector<rlgpu::PpoCoefficients> c{{0.2f, 2.0f, 1.0f, 0.01f, 0.1f}};
  std::vector<double> wanted_mean(rows * actions), wanted_values(rows), wanted_log_std(actions);
  std::vector<double> wanted_metrics(rlgpu::kNumPpoMetrics);
  for (int64_t row = 0; row < rows; ++row) {
    const PlainPpo at{{mean.begin() + row * actions, mean.begin() + (row + 1) * actions},
                      {log_std.begin(), log_std.end()},
                      values[row]};
    plain_loss(at, in, c[0], row, wanted_metrics.data());
    for (int64_t i = 0; i < actions; ++i) {
      const auto mean_of = [i](PlainPpo& p) -> double& { return p.mean[i]; };
      const auto log_std_of = [i](PlainPpo& p) -> double& { return p.log_std[i]; };
      wanted_mean[row * actions + i] = slope(at, mean_of, in, c[0], row) / rows;
      wanted_log_std[i] += slope(at, log_std_of, in, c[0], row) / rows;
    }
    const auto value_of = [](PlainPpo& p) -> double& { return p.value; };
    wanted_values[row] = slope(at, value_of, in, c[0], row) / rows;
  }
  for (double& metric : wanted_metrics) metric /= rows;
  Floats got_mean(rows * actions), got_values(rows), got_log_std(actions);
  Floats got_metrics(rlgpu::kNumPpoMetrics);
  Floats partials(rlgpu::ppo_num_blocks(rows) * (actions + rlgpu::kNumPpoMetrics));
  expect(finished(rlgpu::launch_gaussian_ppo_loss(in, c.data(), got_mean.data(), got_values.data(),
                                                  got_log_std.data(), got_metrics.data(),
                                                  partials.data(), nullptr)),
         "gaussian_ppo_loss runs");
  // Log-probabilities of many actions are in the hundreds, where float32 has three digits fewer.
  const double tolerance = actions > 32 ? 1e-3 : 1e-4;
  const auto agree = [&](const Floats& got, const std::vector<double>& wanted) {
    double scale = 1e-6;
    for (const double x : wanted) scale = std::fmax(scale, std::fabs(x));
    return worst(got, wanted) < tolerance * scale;
  };
  expect(agree(got_mean, wanted_mean) && agree(got_values, wanted_values) &&
             agree(got_log_std, wanted_log_std) && agree(got_metrics, wanted_metrics),
         "gaussian_ppo_loss");
}

}  // namespace

int main() {
  if (!has_device()) return kSkipped;
  test_gaussian_sample(100, 8);
  test_gaussian_sample(65, 1);
  test_gaussian_ppo_loss(300, 8);
  test_gaussian_ppo_loss(1, 3);
  test_gaussian_ppo_loss(129, 64);
  return report();
}
