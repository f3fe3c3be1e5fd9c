// gather_rows on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <vector>

#include "../checks/gather_rows.h"
#include "launch.h"

namespace rlgpu {
namespace {

std::vector<at::Tensor> gather_rows_cuda(at::TensorList sources, const at::Tensor& ids) {
  check_gather_rows(sources, ids);
  const c10::cuda::CUDAGuard guard(ids.device());
  std::vector<at::Tensor> kept, targets;
  GatherList list{};
  for (const at::Tensor& source : sources) {
    std::vector<int64_t> shape = source.sizes().vec();
    shape[0] = ids.size(0);
    kept.push_back(source.contiguous());
    targets.push_back(at::empty(shape, source.options()));
    const int width = source.dim() == 1 ? 1 : static_cast<int>(source.size(1));
    const int k = list.num_sources++;
    list.sources[k] = kept.back().const_data_ptr<float>();
    list.targets[k] = targets.back().mutable_data_ptr<float>();
    list.widths[k] = width;
    list.total_width += width;
  }
  if (ids.numel() == 0 || list.total_width == 0) return targets;
  const at::Tensor ids_c = ids.contiguous();
  check_launch("gather_rows", launch_gather_rows(list, ids_c.const_data_ptr<int64_t>(), ids.size(0),
                                                 current_stream()));
  return targets;
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) { m.impl("gather_rows", &rlgpu::gather_rows_cuda); }
