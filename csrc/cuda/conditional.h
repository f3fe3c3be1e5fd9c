// Conditional nodes in a CUDA graph that torch is capturing; see conditional.cu.
#pragma once

#include <ATen/core/Tensor.h>

namespace rlgpu {

// Whether toolkit and driver know conditional nodes.
bool can_skip();

// What is launched on body_stream from now on, until end_unless, runs in a replay of the graph that
// the current stream is capturing only if flag is unset then.
void begin_unless(const at::Tensor& flag, int64_t body_stream);
void end_unless(int64_t body_stream);

}  // namespace rlgpu
