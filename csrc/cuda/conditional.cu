// Conditional nodes in a CUDA graph that torch is capturing: work that a replay skips if a flag in
// device memory is set.
//
// The one idea: the body is captured on a separate stream, into the graph that the node owns; the
// parent stream's capture then continues after the node. (torch's own wrapper offers this only from
// version 2.13 on.)
// Source: CUDA C++ Programming Guide, "Conditional Graph Nodes".
#include "conditional.h"

#include <c10/cuda/CUDAException.h>
#include <c10/util/Exception.h>

#include "../checks/tensor.h"
#include "launch.h"

namespace rlgpu {
namespace {

// Conditional nodes were introduced in CUDA 12.4.
constexpr int kFirstDriver = 12040;

#if CUDART_VERSION >= 12040

__global__ void set_condition_kernel(cudaGraphConditionalHandle handle, const bool* flag_in) {
  cudaGraphSetConditional(handle, *flag_in ? 0u : 1u);
}

struct Capture {
  cudaGraph_t graph = nullptr;
  const cudaGraphNode_t* dependencies = nullptr;
  size_t num_dependencies = 0;
};

Capture capture_of(cudaStream_t stream) {
  Capture capture;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
#if CUDART_VERSION >= 13000
  const cudaGraphEdgeData* edges = nullptr;
  C10_CUDA_CHECK(cudaStreamGetCaptureInfo(stream, &status, nullptr, &capture.graph,
                                          &capture.dependencies, &edges,
                                          &capture.num_dependencies));
#else
  C10_CUDA_CHECK(cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, &capture.graph,
                                             &capture.dependencies, &capture.num_dependencies));
#endif
  TORCH_CHECK(status == cudaStreamCaptureStatusActive, "begin_unless: nothing is being captured");
  return capture;
}

#endif

}  // namespace

bool can_skip() {
#if CUDART_VERSION >= 12040
  int driver = 0;
  return cudaDriverGetVersion(&driver) == cudaSuccess && driver >= kFirstDriver;
#else
  return false;
#endif
}

void begin_unless(const at::Tensor& flag, int64_t body_stream) {
#if CUDART_VERSION >= 12040
  check_tensor("begin_unless", "flag", flag, {}, at::kBool, flag.device());
  const c10::cuda::CUDAGuard guard(flag.device());
  const cudaStream_t stream = current_stream();
  cudaGraphNodeParams node_params = {};
  node_params.type = cudaGraphNodeTypeConditional;
  node_params.conditional.type = cudaGraphCondTypeIf;
  node_params.conditional.size = 1;
  C10_CUDA_CHECK(cudaGraphConditionalHandleCreate(&node_params.conditional.handle,
                                                  capture_of(stream).graph, 0, 0));
  set_condition_kernel<<<1, 1, 0, stream>>>(node_params.conditional.handle,
                                            flag.const_data_ptr<bool>());
  C10_CUDA_CHECK(cudaGetLastError());

  const Capture capture = capture_of(stream);
  cudaGraphNode_t node = nullptr;
#if CUDART_VERSION >= 13000
  C10_CUDA_CHECK(cudaGraphAddNode(&node, capture.graph, capture.dependencies, nullptr,
                                  capture.num_dependencies, &node_params));
  C10_CUDA_CHECK(cudaStreamUpdateCaptureDependencies(stream, &node, nullptr, 1,
                                                     cudaStreamSetCaptureDependencies));
#else
  C10_CUDA_CHECK(cudaGraphAddNode(&node, capture.graph, capture.dependencies,
                                  capture.num_dependencies, &node_params));
  C10_CUDA_CHECK(
      cudaStreamUpdateCaptureDependencies(stream, &node, 1, cudaStreamSetCaptureDependencies));
#endif
  C10_CUDA_CHECK(cudaStreamBeginCaptureToGraph(reinterpret_cast<cudaStream_t>(body_stream),
                                               node_params.conditional.phGraph_out[0], nullptr,
                                               nullptr, 0, cudaStreamCaptureModeThreadLocal));
#else
  TORCH_CHECK(false, "begin_unless: needs CUDA 12.4 or newer, built with ", CUDART_VERSION);
#endif
}

void end_unless(int64_t body_stream) {
  cudaGraph_t graph = nullptr;
  C10_CUDA_CHECK(cudaStreamEndCapture(reinterpret_cast<cudaStream_t>(body_stream), &graph));
}

}  // namespace rlgpu
