// running_stats and normalize on CUDA: checks, device guard, current stream, launch, launch check.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "../checks/running_stats.h"
#include "launch.h"

namespace rlgpu {
namespace {

void running_stats_cuda(const at::Tensor& x, at::Tensor& mean, at::Tensor& var, at::Tensor& count,
                        at::Tensor& scale, at::Tensor& offset) {
  const StatsTensors tensors{mean, var, count, scale, offset};
  check_running_stats(x, tensors);
  if (x.size(1) == 0) return;
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor rows = x.contiguous();
  const int width = static_cast<int>(x.size(1));
  // Three doubles each; the kernels treat them as BatchMoments.
  const at::Tensor partials =
      at::empty({stats_num_partials(x.size(0)), width, 3}, x.options().dtype(at::kDouble));
  check_launch(
      "running_stats",
      launch_running_stats(rows.const_data_ptr<float>(), x.size(0), width, buffers(tensors),
                           reinterpret_cast<BatchMoments*>(partials.mutable_data_ptr<double>()),
                           current_stream()));
}

void normalize_cuda(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& offset,
                    double clip, at::Tensor& out) {
  check_normalize(x, scale, offset, out);
  if (x.numel() == 0) return;
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor rows = x.contiguous(), scale_c = scale.contiguous(),
                   offset_c = offset.contiguous();
  check_launch(
      "normalize",
      launch_normalize(rows.const_data_ptr<float>(), scale_c.const_data_ptr<float>(),
                       offset_c.const_data_ptr<float>(), x.numel(), static_cast<int>(x.size(1)),
                       static_cast<float>(clip), out.mutable_data_ptr<float>(), current_stream()));
}

}  // namespace
}  // namespace rlgpu

TORCH_LIBRARY_IMPL(rlgpu, CUDA, m) {
  m.impl("running_stats", &rlgpu::running_stats_cuda);
  m.impl("normalize", &rlgpu::normalize_cuda);
}
