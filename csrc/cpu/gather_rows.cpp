// gather_rows on the CPU: torch's index_select on each matrix, which runs at memory speed.
#include <ATen/ops/index_select.h>
#include <torch/library.h>

#include <vector>

#include "../checks/gather_rows.h"

namespace rlgpu {
namespace {

std::vector<at::Tensor> gather_rows_cpu(at::TensorList sources, const at::Tensor& ids) {
  check_gather_rows(sources, ids);
  std::vector<at::Tensor> targets;
  for (const at::Tensor& source : sources) targets.push_back(at::index_select(source, 0, ids));
  return targets;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CPU, m) { m.impl("gather_rows", &rlgpu::gather_rows_cpu); }
