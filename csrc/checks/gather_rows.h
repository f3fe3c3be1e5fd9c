// Argument checks shared by the CPU and CUDA host functions of gather_rows.
#pragma once

#include <ATen/core/Tensor.h>

#include "../kernels/gather_rows.cuh"
#include "tensor.h"

namespace rlgpu {

inline void check_gather_rows(at::TensorList sources, const at::Tensor& ids) {
  const char* op = "gather_rows";
  TORCH_CHECK_VALUE(!sources.empty() && sources.size() <= kMaxGathered, op, ": got ",
                    sources.size(), " sources, wanted 1 to ", kMaxGathered);
  check_dim(op, "ids", ids, 1);
  check_tensor(op, "ids", ids, ids.sizes(), at::kLong, sources[0].device());
  for (const at::Tensor& source : sources) {
    TORCH_CHECK_VALUE(source.dim() == 1 || source.dim() == 2, op, ": a source has ", source.dim(),
                      " dimensions, wanted 1 or 2");
    TORCH_CHECK_VALUE(source.size(0) == sources[0].size(0), op, ": sources have ",
                      sources[0].size(0), " and ", source.size(0), " rows");
    check_tensor(op, "sources", source, source.sizes(), at::kFloat, sources[0].device());
  }
}

}  // namespace rlgpu
