// Argument checks whose messages name the op, the argument, and the actual and expected values.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

namespace rlgpu {

inline void check_tensor(const char* op, const char* name, const at::Tensor& tensor,
                         at::IntArrayRef shape, at::ScalarType dtype, const at::Device& device) {
  TORCH_CHECK_VALUE(tensor.sizes() == shape, op, ": ", name, " has shape ", tensor.sizes(),
                    ", wanted ", shape);
  TORCH_CHECK_VALUE(tensor.scalar_type() == dtype, op, ": ", name, " is ", tensor.scalar_type(),
                    ", wanted ", dtype);
  TORCH_CHECK_VALUE(tensor.device() == device, op, ": ", name, " is on ", tensor.device(),
                    ", wanted ", device);
}

inline void check_dim(const char* op, const char* name, const at::Tensor& tensor, int64_t dim) {
  TORCH_CHECK_VALUE(tensor.dim() == dim, op, ": ", name, " has ", tensor.dim(),
                    " dimensions, wanted ", dim);
}

// For output tensors: writing to a contiguous copy would lose the result.
inline void check_contiguous(const char* op, const char* name, const at::Tensor& tensor) {
  TORCH_CHECK_VALUE(tensor.is_contiguous(), op, ": ", name, " is written and must be contiguous, ",
                    "got strides ", tensor.strides());
}

}  // namespace rlgpu
