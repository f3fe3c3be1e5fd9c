// Conditional nodes in a CUDA graph that torch is capturing; see conditional.cu.
#pragma once

#include <ATen/core/Tensor.h>

namespace rlgpu {

// Returns whether the toolkit and the driver support conditional nodes.
bool can_skip();

// Adds a conditional node to the graph that the current stream is capturing. Work launched on
// body_stream until end_unless becomes its body: a replay runs it only if flag is then unset.
void begin_unless(const at::Tensor& flag, int64_t body_stream);
void end_unless(int64_t body_stream);

}  // namespace rlgpu
