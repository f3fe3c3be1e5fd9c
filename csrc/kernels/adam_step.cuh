// Adam over one flat parameter buffer, with global gradient-norm clipping, a device learning rate, a
// device stop flag and a guard against non-finite gradients.
//
// The one idea: whether to step is decided from device memory, so the host never waits to know.
// Source: Kingma and Ba 2015, "Adam", algorithm 1 with the bias corrections folded into the rate.
#pragma once

#include "portable.h"

namespace rlgpu {

struct AdamHyperparameters {
  float beta1;
  float beta2;
  float eps;
  float max_grad_norm;  // zero or less: no clipping
};

// What every element of one step shares.
struct AdamScalars {
  float grad_scale;
  float step_size;
  float inverse_sqrt_correction2;
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
