// Every CUDA kernel but the network's (test_cuda_mlp.cpp) against plain loops in double precision:
// thread by thread on the CPU, and on a GPU through test_cuda_kernels.cu. What the first cannot
// show is said in cuda_emulation.h.
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "expect.h"
#include "kernels/adam_step.cuh"
#include "kernels/gae.cuh"
#include "kernels/gather_rows.cuh"
#include "kernels/ppo_loss.cuh"
#include "kernels/running_stats.cuh"
#include "kernels/sample_actions.cuh"
#include "kernels/shuffle.cuh"
#include "memory.h"
#include "numbers.h"

namespace {

Vector<uint8_t> flags(int64_t count, uint32_t seed, float share) {
  Vector<uint8_t> result(count);
  const Floats x = numbers(count, seed);
  for (int64_t i = 0; i < count; ++i) result[i] = x[i] / 3.4f + 0.5f < share;
  return result;
}

void test_gae(int64_t horizon, int64_t envs, bool normalize) {
  const int64_t count = horizon * envs;
  const Floats rewards = numbers(count, 1), values = numbers(count, 2), last = numbers(envs, 4);
  Floats final = numbers(count, 3);
  const auto terminated = flags(count, 5, 0.1f), truncated = flags(count, 6, 0.1f);
  for (int64_t i = 0; i < count; ++i) {
    if (!truncated[i]) final[i] = std::numeric_limits<float>::quiet_NaN();
  }
  const rlgpu::GaeInputs in{rewards.data(),
                            values.data(),
                            reinterpret_cast<const bool*>(terminated.data()),
                            reinterpret_cast<const bool*>(truncated.data()),
                            final.data(),
                            last.data(),
                            horizon,
                            envs,
                            0.99f,
                            0.95f};
  std::vector<double> advantages(count), returns(count);
  double sum = 0.0, squares = 0.0;
  for (int64_t env = 0; env < envs; ++env) {
    double next_value = last[env], next = 0.0;
    for (int64_t t = horizon - 1; t >= 0; --t) {
      const int64_t i = t * envs + env;
      const bool ends = terminated[i] || truncated[i];
      const double following = terminated[i] ? 0.0 : truncated[i] ? final[i] : next_value;
      next = rewards[i] + 0.99 * following - values[i] + (ends ? 0.0 : 0.99 * 0.95 * next);
      next_value = values[i];
      advantages[i] = next;
      returns[i] = next + values[i];
      sum += next;
      squares += next * next;
    }
  }
  const double mean = sum / count, std = std::sqrt((squares - sum * mean) / (count - 1));
  if (normalize) {
    for (double& advantage : advantages) advantage = (advantage - mean) / (std + 1e-8);
  }
  Floats got_advantages(count), got_returns(count), again(count);
  Vector<rlgpu::Moments> partials(rlgpu::kGaeMaxPartials);
  expect(finished(rlgpu::launch_gae(in, normalize, {got_advantages.data(), got_returns.data()},
                                    partials.data(), nullptr)),
         "gae runs");
  expect(finished(rlgpu::launch_gae(in, normalize, {again.data(), got_returns.data()},
                                    partials.data(), nullptr)),
         "gae runs");
  expect(worst(got_advantages, advantages) < 2e-5 && worst(got_returns, returns) < 2e-5 &&
             again == got_advantages,
         "gae");
}

void test_running_stats(int64_t rows, int width) {
  Floats x = numbers(rows * width, 7);
  for (float& value : x) value += 100.0f;
  if (rows > 2) x[1 * width] = std::numeric_limits<float>::infinity();
  Vector<double> mean(width, 90.0), var(width, 2.0), count{10.0};
  std::vector<double> wanted_mean(width), wanted_var(width);
  const int64_t skipped = rows > 2 ? 1 : 0;
  for (int c = 0; c < width; ++c) {
    // Ten earlier numbers of mean 90 and variance 2, then the rows that are finite.
    double sum = 900.0, squares = 10.0 * (2.0 + 90.0 * 90.0);
    for (int64_t r = 0; r < rows; ++r) {
      if (skipped && r == 1) continue;
      sum += x[r * width + c];
      squares += static_cast<double>(x[r * width + c]) * x[r * width + c];
    }
    wanted_mean[c] = sum / (10 + rows - skipped);
    wanted_var[c] = squares / (10 + rows - skipped) - wanted_mean[c] * wanted_mean[c];
  }
  Floats scale(width), offset(width), y(rows * width);
  Vector<rlgpu::BatchMoments> partials(rlgpu::stats_num_partials(rows) * width);
  expect(finished(rlgpu::launch_running_stats(
             x.data(), rows, width,
             {mean.data(), var.data(), count.data(), scale.data(), offset.data()}, partials.data(),
             nullptr)),
         "running_stats runs");
  bool right = count[0] == 10.0 + rows - skipped;
  for (int c = 0; c < width; ++c) {
    right = right && near(mean[c], wanted_mean[c], 1e-6) && near(var[c], wanted_var[c], 1e-6) &&
            near(scale[c], 1.0 / std::sqrt(var[c] + 1e-5), 1e-6);
  }
  expect(finished(rlgpu::launch_normalize(x.data(), scale.data(), offset.data(), rows * width,
                                          width, 5.0f, y.data(), nullptr)),
         "normalize runs");
  for (int64_t i = 0; i < rows * width; ++i) {
    const double z = (x[i] - mean[i % width]) / std::sqrt(var[i % width] + 1e-5);
    right = right && near(y[i], z > 5.0 ? 5.0 : z < -5.0 ? -5.0 : z, 1e-4);
  }
  expect(right, "running_stats and normalize");
}

void test_sample_actions(int64_t rows, int64_t actions) {
  const int64_t stride = actions + 1;
  const Floats outputs = numbers(rows * stride, 12), log_std = numbers(actions, 13);
  Vector<int64_t> state{5, 9};
  Floats drawn(rows * actions), log_probs(rows), mean(rows * actions), values(rows);
  const rlgpu::SampleInputs in{
      outputs.data(), stride, outputs.data() + actions, stride, log_std.data(), rows, actions};
  expect(
      finished(rlgpu::launch_sample_actions(
          in, state.data(), {drawn.data(), log_probs.data(), mean.data(), values.data()}, nullptr)),
      "sample_actions runs");
  bool right = state[0] == 5 && state[1] == 10;
  for (int64_t r = 0; r < rows; ++r) {
    Floats wanted(actions);
    float log_prob;
    rlgpu::sample_row(outputs.data() + r * stride, log_std.data(), 5, 9, r, actions, wanted.data(),
                      &log_prob);
    right = right && near(log_probs[r], log_prob, 1e-5 * (1.0 + std::fabs(log_prob))) &&
            values[r] == outputs[r * stride + actions];
    for (int64_t i = 0; i < actions; ++i) {
      right = right && near(drawn[r * actions + i], wanted[i], 1e-5) &&
              mean[r * actions + i] == outputs[r * stride + i];
    }
  }
  expect(right, "sample_actions");
}

void test_ppo_loss(int64_t rows, int64_t actions) {
  const Floats mean = numbers(rows * actions, 14), old_mean = numbers(rows * actions, 15);
  const Floats drawn = numbers(rows * actions, 16), log_std = numbers(actions, 17);
  const Floats old_log_std = numbers(actions, 18), values = numbers(rows, 19);
  const Floats old_values = numbers(rows, 20), returns = numbers(rows, 21);
  const Floats advantages = numbers(rows, 22), log_probs = numbers(rows, 23);
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
  const Vector<rlgpu::PpoCoefficients> c{{0.2f, 2.0f, 1.0f, 0.01f, 0.1f}};
  std::vector<rlgpu::ActionScale> scales(actions);
  for (int64_t i = 0; i < actions; ++i) {
    scales[i] = rlgpu::action_scale(log_std[i], old_log_std[i]);
  }
  Floats wanted_mean(rows * actions), wanted_values(rows);
  std::vector<double> wanted_log_std(actions), wanted_metrics(rlgpu::kNumPpoMetrics);
  for (int64_t row = 0; row < rows; ++row) {
    Floats grad(actions), metrics(rlgpu::kNumPpoMetrics);
    rlgpu::ppo_row(in, scales.data(), c[0], row, wanted_mean.data(), wanted_values.data(),
                   grad.data(), metrics.data());
    for (int64_t i = 0; i < actions; ++i) wanted_log_std[i] += grad[i];
    for (int i = 0; i < rlgpu::kNumPpoMetrics; ++i) wanted_metrics[i] += metrics[i] / rows;
  }
  Floats got_mean(rows * actions), got_values(rows), got_log_std(actions);
  Floats got_metrics(rlgpu::kNumPpoMetrics);
  Floats partials(rlgpu::ppo_num_blocks(rows) * (actions + rlgpu::kNumPpoMetrics));
  expect(finished(rlgpu::launch_ppo_loss(in, c.data(), got_mean.data(), got_values.data(),
                                         got_log_std.data(), got_metrics.data(), partials.data(),
                                         nullptr)),
         "ppo_loss runs");
  double mean_gap = 0.0;  // relative; a GPU's exponentials differ from the host's in the last bits
  for (size_t i = 0; i < got_mean.size(); ++i) {
    const double gap = std::fabs(got_mean[i] - wanted_mean[i]);
    mean_gap = std::fmax(mean_gap, gap / (1e-6 + std::fabs(wanted_mean[i])));
  }
  expect(mean_gap < 1e-4 && got_values == wanted_values &&
             worst(got_log_std, wanted_log_std) < 1e-4 * (1.0 + rows) &&
             worst(got_metrics, wanted_metrics) < 1e-2,
         "ppo_loss");
}

void test_adam_step(int64_t count) {
  const Floats start = numbers(count, 24), grads = numbers(count, 25);
  Floats params = start, exp_avg(count), exp_avg_sq(count), rate{0.1f}, norm(1);
  Vector<int64_t> step(1), nonfinite(1);
  Vector<uint8_t> stop(1);
  Vector<rlgpu::AdamScratch> scratch(1);
  const rlgpu::AdamHyperparameters h{0.9f, 0.999f, 1e-8f, 0.5f};
  const rlgpu::AdamBuffers buffers{params.data(), exp_avg.data(), exp_avg_sq.data(), step.data(),
                                   nonfinite.data()};
  const auto run = [&](const Floats& g, bool stopped) {
    stop[0] = stopped;
    expect(finished(rlgpu::launch_adam_step(g.data(), rate.data(),
                                            reinterpret_cast<const bool*>(stop.data()), count, h,
                                            buffers, scratch.data(), norm.data(), nullptr)),
           "adam_step runs");
  };
  run(grads, true);
  expect(params == start && step[0] == 0, "adam_step leaves everything alone when told to stop");
  Floats broken = grads;
  broken[count / 2] = std::numeric_limits<float>::quiet_NaN();
  run(broken, false);
  expect(params == start && step[0] == 0 && nonfinite[0] == 1,
         "adam_step skips what is not finite");
  run(grads, false);
  double squares = 0.0;
  for (const float g : grads) squares += static_cast<double>(g) * g;
  bool right = near(norm[0], std::sqrt(squares), 1e-4 * std::sqrt(squares)) && step[0] == 1;
  // The first step is the learning rate against the gradient's sign, unless epsilon matters.
  for (int64_t i = 0; i < count; ++i) {
    if (std::fabs(grads[i]) < 1e-2f) continue;
    right = right && near(params[i], start[i] - (grads[i] > 0 ? 0.1 : -0.1), 1e-3);
  }
  expect(right, "adam_step");
}

void test_gather_and_shuffle(int64_t rows) {
  Vector<int64_t> state{1, 2}, ids(rows);
  expect(finished(rlgpu::launch_shuffle(state.data(), rows, ids.data(), nullptr)), "shuffle runs");
  const rlgpu::ShuffleKeys keys = rlgpu::shuffle_keys(1, 2, rows);
  bool right = state[1] == 3;
  for (int64_t i = 0; i < rows; ++i) right = right && ids[i] == rlgpu::shuffled(keys, i, rows);
  expect(right, "shuffle");
  const Floats a = numbers(rows * 5, 26), b = numbers(rows, 27);
  const int64_t chosen = rows / 2 + 1;
  Floats got_a(chosen * 5), got_b(chosen);
  const rlgpu::GatherList list{{a.data(), b.data()}, {got_a.data(), got_b.data()}, {5, 1}, 2, 6};
  expect(finished(rlgpu::launch_gather_rows(list, ids.data(), chosen, nullptr)),
         "gather_rows runs");
  right = true;
  for (int64_t i = 0; i < chosen; ++i) {
    right = right && got_b[i] == b[ids[i]];
    for (int k = 0; k < 5; ++k) right = right && got_a[i * 5 + k] == a[ids[i] * 5 + k];
  }
  expect(right, "gather_rows");
}

}  // namespace

int main() {
  if (!has_device()) return kSkipped;
  for (const bool normalize : {true, false}) {
    // Resident in small and large blocks, up to 16 and 32 steps; streamed.
    for (const int64_t envs : {1, 31, 33, 1000}) test_gae(16, envs, normalize);
    test_gae(1, 64, normalize);
    test_gae(7, 5000, normalize);
    test_gae(30, 3000, normalize);
    test_gae(33, 300, normalize);
    test_gae(3, 20000, normalize);
  }
  test_running_stats(1, 1);
  test_running_stats(33, 60);
  test_running_stats(500, 200);
  test_sample_actions(100, 8);
  test_sample_actions(65, 1);
  test_ppo_loss(300, 8);
  test_ppo_loss(1, 3);
  test_ppo_loss(129, 64);
  test_adam_step(1);
  test_adam_step(70000);
  test_gather_and_shuffle(1);
  test_gather_and_shuffle(777);
  return report();
}
