// Adam over one flat parameter buffer, with global gradient-norm clipping, a device learning rate,
// a device stop flag and a guard against non-finite gradients.
//
// The one idea: the device decides whether to take the step, so the host never waits for it.
// Source: Kingma and Ba 2015, "Adam", algorithm 1 with the bias corrections folded into the rate.
#pragma once

#include "reduce.cuh"

namespace rlgpu {

struct AdamHyperparameters {
  float beta1;
  float beta2;
  float eps;
  float max_grad_norm;  // zero or less: no clipping
};

// Values shared by all elements in one step.
struct AdamScalars {
  float grad_scale;
  float step_size;
  float inverse_sqrt_correction2;
};

struct AdamBuffers {
  float* __restrict__ params;
  float* __restrict__ exp_avg;
  float* __restrict__ exp_avg_sq;
  int64_t* __restrict__ step;
  int64_t* __restrict__ nonfinite_steps;
};

// step counts from 1. The corrections are computed in double: 1 - beta2^step is tiny at first.
RLGPU_HD AdamScalars adam_scalars(const AdamHyperparameters& h, float learning_rate, int64_t step,
                                  double grad_norm) {
  const double correction1 = 1.0 - pow(static_cast<double>(h.beta1), static_cast<double>(step));
  const double correction2 = 1.0 - pow(static_cast<double>(h.beta2), static_cast<double>(step));
  const double clip = h.max_grad_norm / (grad_norm + 1e-6);
  return {h.max_grad_norm > 0.0f && clip < 1.0 ? static_cast<float>(clip) : 1.0f,
          static_cast<float>(learning_rate / correction1),
          static_cast<float>(1.0 / sqrt(correction2))};
}

RLGPU_HD void adam_element(const AdamHyperparameters& h, const AdamScalars& s, float grad,
                           float& param, float& exp_avg, float& exp_avg_sq) {
  const float g = grad * s.grad_scale;
  exp_avg = h.beta1 * exp_avg + (1.0f - h.beta1) * g;
  exp_avg_sq = h.beta2 * exp_avg_sq + (1.0f - h.beta2) * g * g;
  param -= s.step_size * exp_avg / (sqrtf(exp_avg_sq) * s.inverse_sqrt_correction2 + h.eps);
}

}  // namespace rlgpu

#if defined(RLGPU_KERNELS)
namespace rlgpu {

constexpr int kAdamBlock = 256;      // hides memory latency; few registers are needed
constexpr int kAdamMaxBlocks = 256;  // at most kAdamBlock: one block adds all partials

// Device scratch for one step: the norm's partial sums, then the decision made from them.
struct AdamScratch {
  double partials[kAdamMaxBlocks];
  AdamScalars scalars;
  bool taken;
};

// Each thread strides over the gradients; one partial per block; coalesced; deterministic.
__global__ void __launch_bounds__(kAdamBlock)
    grad_norm_kernel(const float* __restrict__ grads_in, int64_t count,
                     AdamScratch* __restrict__ scratch_out) {
  double mine = 0.0;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kAdamBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kAdamBlock) + threadIdx.x; i < count;
       i += stride) {
    mine += static_cast<double>(grads_in[i]) * grads_in[i];
  }
  const double total = block_sum<kAdamBlock>(mine);
  if (threadIdx.x == 0) scratch_out->partials[blockIdx.x] = total;
}

// One block: adds the partials in a fixed tree and decides whether the step is taken.
__global__ void __launch_bounds__(kAdamBlock)
    adam_decide_kernel(int num_partials, const float* __restrict__ learning_rate_in,
                       const bool* __restrict__ stop_in, AdamHyperparameters h,
                       AdamBuffers buffers_out, AdamScratch* __restrict__ scratch_out,
                       float* __restrict__ grad_norm_out) {
  const bool mine = threadIdx.x < num_partials;
  const double norm = sqrt(block_sum<kAdamBlock>(mine ? scratch_out->partials[threadIdx.x] : 0.0));
  if (threadIdx.x != 0) return;
  *grad_norm_out = static_cast<float>(norm);
  const bool finite = isfinite(norm);
  scratch_out->taken = finite && !*stop_in;
  if (!finite && !*stop_in) *buffers_out.nonfinite_steps += 1;
  if (!scratch_out->taken) return;
  *buffers_out.step += 1;
  scratch_out->scalars = adam_scalars(h, *learning_rate_in, *buffers_out.step, norm);
}

// Each thread strides over the parameters; coalesced; does nothing if the step is not taken.
__global__ void __launch_bounds__(kAdamBlock)
    adam_apply_kernel(const float* __restrict__ grads_in,
                      const AdamScratch* __restrict__ scratch_in, int64_t count,
                      AdamHyperparameters h, AdamBuffers buffers_out) {
  if (!scratch_in->taken) return;
  const AdamScalars scalars = scratch_in->scalars;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kAdamBlock;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kAdamBlock) + threadIdx.x; i < count;
       i += stride) {
    adam_element(h, scalars, grads_in[i], buffers_out.params[i], buffers_out.exp_avg[i],
                 buffers_out.exp_avg_sq[i]);
  }
}

inline cudaError_t launch_adam_step(const float* grads_in, const float* learning_rate_in,
                                    const bool* stop_in, int64_t count,
                                    const AdamHyperparameters& h, const AdamBuffers& buffers_out,
                                    AdamScratch* scratch, float* grad_norm_out,
                                    cudaStream_t stream) {
  const unsigned blocks = num_blocks(count, kAdamBlock, kAdamMaxBlocks);
  const AdamScratch* decided = scratch;
  if (const cudaError_t error =
          launch(&grad_norm_kernel, dim3(blocks), kAdamBlock, 0, stream, grads_in, count, scratch);
      error != cudaSuccess) {
    return error;
  }
  if (const cudaError_t error =
          launch(&adam_decide_kernel, dim3(1), kAdamBlock, 0, stream, static_cast<int>(blocks),
                 learning_rate_in, stop_in, h, buffers_out, scratch, grad_norm_out);
      error != cudaSuccess) {
    return error;
  }
  return launch(&adam_apply_kernel, dim3(blocks), kAdamBlock, 0, stream, grads_in, decided, count,
                h, buffers_out);
}

}  // namespace rlgpu
#endif  // RLGPU_KERNELS
