// Every CUDA kernel except the network's (test_cuda_mlp.cpp) and the Gaussian policy's
// (test_cuda_gaussian.cpp) against plain loops in double precision:
// thread by thread on the CPU, and on a GPU through test_cuda_kernels.cu. cuda_emulation.h
// lists what the CPU run cannot show.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "expect.h"
#include "kernels/adam_step.cuh"
#include "kernels/gae.cuh"
#include "kernels/gather_rows.cuh"
#include "kernels/running_stats.cuh"
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
  // Values are bounded to 100 times the sum of the previous mean and deviation.
  const double bound = 100.0 * (90.0 + std::sqrt(2.0 + 1e-5));
  if (rows > 2) x[2 * width] = 1e8f;
  Vector<double> mean(width, 90.0), var(width, 2.0), count{10.0};
  std::vector<double> wanted_mean(width), wanted_var(width);
  const int64_t skipped = rows > 2 ? 1 : 0;
  for (int c = 0; c < width; ++c) {
    // Ten earlier numbers of mean 90 and variance 2, then the rows that are finite.
    double sum = 900.0, squares = 10.0 * (2.0 + 90.0 * 90.0);
    for (int64_t r = 0; r < rows; ++r) {
      if (skipped && r == 1) continue;
      const double value = std::min<double>(x[r * width + c], bound);
      sum += value;
      squares += value * value;
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
  if (rows == 0) return expect(right, "running_stats of no rows");
  expect(finished(rlgpu::launch_normalize(x.data(), scale.data(), offset.data(), rows * width,
                                          width, 5.0f, y.data(), nullptr)),
         "normalize runs");
  for (int64_t i = 0; i < rows * width; ++i) {
    const double z = (x[i] - mean[i % width]) / std::sqrt(var[i % width] + 1e-5);
    right = right && near(y[i], z > 5.0 ? 5.0 : z < -5.0 ? -5.0 : z, 1e-4);
  }
  expect(right, "running_stats and normalize");
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
  expect(params == start && step[0] == 0, "adam_step changes nothing when the stop flag is set");
  Floats broken = grads;
  broken[count / 2] = std::numeric_limits<float>::quiet_NaN();
  run(broken, false);
  expect(params == start && step[0] == 0 && nonfinite[0] == 1,
         "adam_step skips non-finite gradients");
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

// The first elements of the Python reference's permutations, for seed 1 and call 2.
const std::map<int64_t, std::vector<int64_t>> kShuffled{
    {0, {}},
    {1, {0}},
    {777, {712, 269, 23, 314, 760, 331, 634, 571}},
};

void test_gather_and_shuffle(int64_t rows) {
  Vector<int64_t> state{1, 2}, ids(rows);
  expect(finished(rlgpu::launch_shuffle(state.data(), rows, ids.data(), nullptr)), "shuffle runs");
  std::vector<int> times(rows);
  bool right = state[1] == 3;
  for (const int64_t id : ids) right = right && id >= 0 && id < rows && times[id]++ == 0;
  // The result of the Python reference, written from the paper, for seed 1 and call 2.
  const std::vector<int64_t> first = kShuffled.at(rows);
  right = right && std::equal(first.begin(), first.end(), ids.begin());
  expect(right, "shuffle");
  const Floats a = numbers(rows * 5, 26), b = numbers(rows, 27);
  const int64_t chosen = (rows + 1) / 2;
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
    // Resident kernels in small and large blocks, up to 16 and 32 steps; the streaming kernel.
    for (const int64_t envs : {1, 31, 33, 1000}) test_gae(16, envs, normalize);
    test_gae(1, 64, normalize);
    test_gae(7, 5000, normalize);
    test_gae(30, 3000, normalize);
    test_gae(33, 300, normalize);
    test_gae(3, 20000, normalize);
  }
  test_running_stats(0, 3);
  test_running_stats(1, 1);
  test_running_stats(33, 60);
  test_running_stats(500, 200);
  test_adam_step(1);
  test_adam_step(70000);
  test_gather_and_shuffle(0);
  test_gather_and_shuffle(1);
  test_gather_and_shuffle(777);
  return report();
}
