// One step of Adam on the CPU, for the ops adam_step and ppo_update.
#pragma once

#include "../../kernels/adam_step.cuh"

namespace rlgpu {

// Takes the step unless stop is set or the gradients are not finite; returns their norm.
double take_adam_step(const AdamHyperparameters& h, float learning_rate, bool stop,
                      const float* grads_in, int64_t count, int64_t num_threads,
                      const AdamBuffers& buffers_out);

}  // namespace rlgpu
