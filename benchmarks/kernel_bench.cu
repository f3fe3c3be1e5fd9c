// Device time of every kernel at the learner's sizes, without Python; also for profiling with ncu.
//
//     build/kernel_bench             every kernel, one row each
//     build/kernel_bench gae mlp     those whose names begin with gae or mlp
//     build/kernel_bench physics     the fused engine, for robots that benchmarks/physics_file.py
//     wrote ncu --set full -k regex:gae build/kernel_bench gae --once
//
// A row's time is that of one launch within a CUDA graph of many, as the median of ten replays. Its
// bytes are the minimum that must be moved; its bandwidth is compared with a device-to-device copy
// measured in the same run. All launches use the same data, so data that fits in the L2 cache may
// beat the copy, as it may within an iteration.
#include <cstring>

#include "kernel_timing.h"
#include "kernels/adam_step.cuh"
#include "kernels/gae.cuh"
#include "kernels/gather_rows.cuh"
#include "kernels/gaussian_ppo_loss.cuh"
#include "kernels/gaussian_sample.cuh"
#include "kernels/mlp.cuh"
#include "kernels/running_stats.cuh"
#include "kernels/shuffle.cuh"

namespace {

using bench::Bench, bench::check, bench::device, bench::microseconds;

constexpr int64_t kRows = 32768, kObservations = 60, kActions = 8, kParameters = 57417;

Bench copy(int64_t bytes) {
  char* from = device<char>(bytes);
  char* to = device<char>(bytes);
  return {"copy of " + std::to_string(bytes >> 20) + " MiB", 2.0 * bytes, [=](cudaStream_t s) {
            return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, s);
          }};
}

Bench gae(int64_t horizon, int64_t envs) {
  const int64_t count = horizon * envs;
  const rlgpu::GaeInputs in{device<float>(count),
                            device<float>(count),
                            device<bool>(count),
                            device<bool>(count),
                            device<float>(count),
                            device<float>(envs),
                            horizon,
                            envs,
                            0.99f,
                            0.95f};
  const rlgpu::GaeOutputs out{device<float>(count), device<float>(count)};
  rlgpu::Moments* partials = device<rlgpu::Moments>(rlgpu::kGaeMaxPartials);
  // Rewards, values and two flags in, advantages and returns out.
  return {"gae " + std::to_string(horizon) + " x " + std::to_string(envs), 18.0 * count,
          [=](cudaStream_t s) { return rlgpu::launch_gae(in, true, out, partials, s); }};
}

Bench running_stats() {
  const int64_t rows = 2 * kRows;
  const float* x = device<float>(rows * kObservations);
  const rlgpu::StatsBuffers buffers{device<double>(kObservations), device<double>(kObservations),
                                    device<double>(1), device<float>(kObservations),
                                    device<float>(kObservations)};
  auto* partials = device<rlgpu::BatchMoments>(rlgpu::stats_num_partials(rows) * kObservations);
  return {"running_stats", 4.0 * rows * kObservations, [=](cudaStream_t s) {
            return rlgpu::launch_running_stats(x, rows, kObservations, buffers, partials, s);
          }};
}

Bench normalize() {
  const int64_t count = kRows / 8 * kObservations;
  const float *x = device<float>(count), *scale = device<float>(kObservations);
  float* y = device<float>(count);
  return {"normalize", 8.0 * count, [=](cudaStream_t s) {
            return rlgpu::launch_normalize(x, scale, scale, count, kObservations, 5.0f, y, s);
          }};
}

Bench gaussian_sample() {
  const int64_t rows = kRows / 8, width = kActions + 1;
  const float* outputs = device<float>(rows * width);
  const rlgpu::SampleInputs in{outputs, width,   outputs + kActions, width, device<float>(kActions),
                               rows,    kActions};
  const rlgpu::SampleOutputs out{device<float>(rows * kActions), device<float>(rows),
                                 device<float>(rows * kActions), device<float>(rows)};
  int64_t* state = device<int64_t>(2);
  return {"gaussian_sample", 4.0 * rows * (3 * kActions + 3),
          [=](cudaStream_t s) { return rlgpu::launch_gaussian_sample(in, state, out, s); }};
}

Bench gaussian_ppo_loss() {
  const auto matrix = [] { return device<float>(kRows * kActions); };
  const auto column = [] { return device<float>(kRows); };
  const rlgpu::PpoInputs in{matrix(),
                            device<float>(kActions),
                            column(),
                            matrix(),
                            column(),
                            matrix(),
                            device<float>(kActions),
                            column(),
                            column(),
                            column(),
                            kRows,
                            kActions};
  const auto* coefficients = device<rlgpu::PpoCoefficients>(1);
  float *grad_mean = matrix(), *grad_values = column(), *small = device<float>(64);
  float* partials =
      device<float>(rlgpu::ppo_num_blocks(kRows) * (kActions + rlgpu::kNumPpoMetrics));
  return {"gaussian_ppo_loss", 4.0 * kRows * (4 * kActions + 6), [=](cudaStream_t s) {
            return rlgpu::launch_gaussian_ppo_loss(in, coefficients, grad_mean, grad_values, small,
                                                   small + 32, partials, s);
          }};
}

Bench adam_step() {
  float *grads = device<float>(kParameters), *rate = device<float>(2);
  const rlgpu::AdamBuffers buffers{device<float>(kParameters), device<float>(kParameters),
                                   device<float>(kParameters), device<int64_t>(1),
                                   device<int64_t>(1)};
  const bool* stop = device<bool>(1);
  auto* scratch = device<rlgpu::AdamScratch>(1);
  return {"adam_step", 4.0 * kParameters * 8, [=](cudaStream_t s) {
            return rlgpu::launch_adam_step(grads, rate, stop, kParameters,
                                           {0.9f, 0.999f, 1e-8f, 1.0f}, buffers, scratch, rate + 1,
                                           s);
          }};
}

Bench shuffle() {
  int64_t *state = device<int64_t>(2), *ids = device<int64_t>(2 * kRows);
  return {"shuffle", 8.0 * 2 * kRows,
          [=](cudaStream_t s) { return rlgpu::launch_shuffle(state, 2 * kRows, ids, s); }};
}

Bench gather_rows() {
  int64_t *state = device<int64_t>(2), *ids = device<int64_t>(2 * kRows);
  check(rlgpu::launch_shuffle(state, 2 * kRows, ids, nullptr), "shuffle");
  const int widths[] = {kObservations, kActions, kActions, 1, 1, 1, 1};
  rlgpu::GatherList list{};
  for (const int width : widths) {
    const int k = list.num_sources++;
    list.sources[k] = device<float>(2 * kRows * width);
    list.targets[k] = device<float>(kRows * width);
    list.widths[k] = width;
    list.total_width += width;
  }
  return {"gather_rows", 8.0 * kRows * list.total_width,
          [=](cudaStream_t s) { return rlgpu::launch_gather_rows(list, ids, kRows, s); }};
}

// Forward pass, gradient of the inputs and gradient of the parameters of one layer.
std::vector<Bench> layer(rlgpu::Precision precision, const char* name, int64_t rows, int64_t width,
                         int64_t units) {
  const rlgpu::LayerSizes n{rows, width, units};
  const int64_t count = width * units + units, slices = rlgpu::mlp_num_slices(rows);
  float *x = device<float>(rows * width), *w = device<float>(count),
        *y = device<float>(rows * units);
  float *grad = device<float>(rows * width), *partials = device<float>(slices * count);
  const double moved = 4.0 * (rows * (width + units) + count);
  const std::string size = std::string(" ") + name + " " + std::to_string(rows) + " x " +
                           std::to_string(width) + " -> " + std::to_string(units);
  return {
      {"mlp layer" + size, moved,
       [=](cudaStream_t s) {
         return rlgpu::launch_mlp_layer(precision, x, w, w, n, rlgpu::Activation::kElu, y, s);
       }},
      {"mlp grad x" + size, moved + 4.0 * rows * width,
       [=](cudaStream_t s) {
         return rlgpu::launch_mlp_input_gradient(precision, y, w, x, n, rlgpu::Activation::kElu,
                                                 grad, s);
       }},
      {"mlp grad w" + size, moved,
       [=](cudaStream_t s) {
         if (const cudaError_t error =
                 rlgpu::launch_mlp_weight_gradient(precision, y, x, n, count, partials, s);
             error != cudaSuccess) {
           return error;
         }
         return rlgpu::launch_mlp_sum_slices(partials, slices, count, w, s);
       }},
  };
}

}  // namespace

int main(int count, char** words) {
  int num_devices = 0;
  if (cudaGetDeviceCount(&num_devices) != cudaSuccess || num_devices == 0) {
    std::printf("no CUDA device: nothing to measure\n");
    return 0;
  }
  bool once = false;
  std::vector<std::string> wanted;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--once") == 0) {
      once = true;
    } else {
      wanted.push_back(words[i]);
    }
  }
  const auto is_wanted = [&](const std::string& name) {
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const auto& prefix) {
             return name.rfind(prefix, 0) == 0;
           });
  };
  const Bench reference = copy(int64_t{1} << 30);
  const double copied = once ? 1.0 : reference.bytes / microseconds(reference.launch, false);
  std::printf("%-38s %10s %10s %10s %8s\n", "kernel", "us", "MB", "GB/s", "of copy");
  const auto show = [&](const Bench& bench) {
    if (!is_wanted(bench.name)) return;
    const double time = microseconds(bench.launch, once);
    if (once) return;
    std::printf("%-38s %10.2f %10.2f %10.0f %7.0f%%\n", bench.name.c_str(), time, bench.bytes / 1e6,
                bench.bytes / time / 1e3, 100.0 * bench.bytes / time / copied);
  };
  if (!once) std::printf("%-38s %10s %10s %10.0f\n", reference.name.c_str(), "", "", copied / 1e3);
  for (const int64_t envs : {4096, 65536, 1048576}) show(gae(16, envs));
  for (const Bench& bench : {running_stats(), normalize(), gaussian_sample(), gaussian_ppo_loss(),
                             adam_step(), shuffle(), gather_rows()}) {
    show(bench);
  }
  const int64_t sizes[] = {kObservations, 256, 128, 64, kActions + 1};
  for (int i = 0; i < 4; ++i) {
    for (const Bench& bench :
         layer(rlgpu::Precision::kTf32, "tf32", kRows, sizes[i], sizes[i + 1])) {
      show(bench);
    }
  }
  for (const Bench& bench : layer(rlgpu::Precision::kBf16, "bf16", kRows, 256, 128)) show(bench);
  for (const Bench& bench : layer(rlgpu::Precision::kFp32, "fp32", kRows, 256, 128)) show(bench);
  if (is_wanted("physics")) {
    for (const Bench& bench : bench::physics(words[0])) show(bench);
  }
  return 0;
}
