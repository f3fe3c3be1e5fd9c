// A GPU that is not there: tensors say that they are on cuda:0, their memory is the CPU's.
//
// Every operation on such tensors arrives at `run`, which checks what a GPU would refuse (tensors
// of two devices, waiting inside a captured graph), and then runs the CPU's kernel on the same
// memory. Capturing records operations with their tensors; replaying runs them again on the same
// addresses, so whatever the host computed during the capture stays as it was, as in a CUDA graph.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <pybind11/pybind11.h>
#include <torch/csrc/utils/pybind.h>
#include <torch/library.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "memory.h"

namespace stand_in {
namespace {

using torch::jit::Stack;

// ------------------------------------------------------------------ capture and replay

struct Node {
  enum Kind { kCall, kPython, kBeginUnless, kEndUnless } kind;
  std::optional<c10::OperatorHandle> op;  // of kCall
  Stack arguments;                        // of kCall
  std::vector<at::Tensor> fresh;          // results of kCall in new memory
  at::Tensor flag;                        // of kBeginUnless
  pybind11::object function;              // of kPython
};

struct Graph {
  std::vector<Node> nodes;
};

Graph* capturing = nullptr;
bool waiting_is_an_error = false;
std::map<void*, std::vector<char>> before_capture;

const std::set<std::string>& waiting_operations() {
  static const std::set<std::string> names = {"aten::_local_scalar_dense",
                                              "aten::nonzero",
                                              "aten::masked_select",
                                              "aten::equal",
                                              "aten::_unique2",
                                              "aten::unique_dim",
                                              "aten::unique_consecutive",
                                              "aten::repeat_interleave"};
  return names;
}

void refuse_waiting(const std::string& name, const Stack& arguments) {
  bool waits = waiting_operations().count(name) > 0;
  if (name == "aten::index" || name == "aten::_index_put_impl_") {
    for (const c10::IValue& index : arguments[1].toListRef()) {
      waits |= index.isTensor() && index.toTensor().defined() &&
               index.toTensor().scalar_type() == at::kBool;
    }
  }
  if (name == "aten::copy_") {
    const bool crosses = on_gpu(arguments[0].toTensor()) != on_gpu(arguments[1].toTensor());
    waits |= crosses && (capturing || !arguments[2].toBool());
  }
  if (!waits) return;
  TORCH_CHECK(!capturing, "operation not permitted when stream is capturing: ", name);
  TORCH_CHECK(!waiting_is_an_error, "called a synchronizing CUDA operation: ", name);
}

// torch lets numbers of no dimension stay on the CPU; ours stay there only as a physics header.
void refuse_two_devices(const c10::FunctionSchema& schema, const Stack& arguments) {
  const std::string& name = schema.name();
  if (name == "aten::copy_") return;
  const bool ours = name.rfind("rlgpu::", 0) == 0;
  bool gpu = false, cpu = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (ours && schema.arguments()[i].name() == "header") continue;
    c10::IValue value = arguments[i];
    for_tensors(value, [&](const at::Tensor& tensor) {
      gpu |= tensor.is_cuda();
      cpu |= !tensor.is_cuda() && (ours || tensor.dim() > 0);
      return tensor;
    });
  }
  TORCH_CHECK(!(gpu && cpu),
              "Expected all tensors to be on the same device, but found at least two "
              "devices, cuda:0 and cpu, in ",
              name);
}

void run(const c10::OperatorHandle& op, Stack* stack) {
  const auto& schema = op.schema();
  const size_t num_arguments = schema.arguments().size();
  Stack arguments(stack->end() - num_arguments, stack->end());
  stack->erase(stack->end() - num_arguments, stack->end());

  refuse_waiting(schema.name(), arguments);
  refuse_two_devices(schema, arguments);
  Aliases aliases;
  for (c10::IValue& value : arguments) {
    for_tensors(value, [&](const at::Tensor& tensor) { return aliases.to_cpu(tensor); });
    if (value.isStorage() && value.toStorage().device() == kGpu) {
      value = aliases.to_cpu(value.toStorage());
    }
    if (value.isDevice() && value.toDevice().is_cuda()) value = c10::Device(c10::kCPU);
  }
  at::AutoDispatchBelowADInplaceOrView guard;
  Stack results = arguments;
  op.callBoxed(&results);
  aliases.carry_shapes();
  for (c10::IValue& value : results) {
    for_tensors(value, [&](const at::Tensor& tensor) { return aliases.to_gpu_again(tensor); });
    stack->push_back(value);
  }
  if (capturing) capturing->nodes.push_back({Node::kCall, op, arguments, aliases.fresh, {}, {}});
}

void replay(const Graph& graph) {
  at::AutoDispatchBelowADInplaceOrView guard;
  bool skips = false;
  for (const Node& node : graph.nodes) {
    if (node.kind == Node::kEndUnless) skips = false;
    if (node.kind == Node::kBeginUnless) skips = node.flag.item<bool>();
    if (node.kind == Node::kPython && !skips) node.function();
    if (node.kind != Node::kCall || skips) continue;
    Stack results = node.arguments;
    node.op->callBoxed(&results);
    size_t i = 0;
    for (c10::IValue& value : results) {
      for_tensors(value, [&](const at::Tensor& tensor) {
        bool argument = false;
        for (c10::IValue given : node.arguments) {
          for_tensors(given, [&](const at::Tensor& other) {
            argument |=
                other.storage().unsafeGetStorageImpl() == tensor.storage().unsafeGetStorageImpl();
            return other;
          });
        }
        if (!argument) {
          at::Tensor recorded = node.fresh[i++];
          recorded.copy_(tensor);
        }
        return tensor;
      });
    }
  }
}

void begin_capture(Graph& graph) {
  TORCH_CHECK(!capturing, "a capture inside a capture");
  before_capture.clear();
  for (const auto& [address, block] : blocks()) {
    const char* const bytes = static_cast<const char*>(address);
    before_capture[address].assign(bytes, bytes + block.size);
  }
  capturing = &graph;
}

// A capture runs nothing on a GPU: the memory goes back to what it was.
void end_capture() {
  capturing = nullptr;
  for (const auto& [address, bytes] : before_capture) {
    const auto found = blocks().find(address);
    if (found != blocks().end() && found->second.size == bytes.size()) {
      std::memcpy(address, bytes.data(), bytes.size());
    }
  }
  before_capture.clear();
}

void begin_unless(const at::Tensor& flag) {
  if (!capturing) return;
  Aliases aliases;
  TORCH_CHECK(on_gpu(flag), "the flag is not on the GPU");
  capturing->nodes.push_back({Node::kBeginUnless, {}, {}, {}, aliases.to_cpu(flag), {}});
}

void end_unless() {
  if (capturing) capturing->nodes.push_back({Node::kEndUnless, {}, {}, {}, {}, {}});
}

// Work of another library: not run now, but whenever the graph is replayed.
void record(const pybind11::object& function) {
  TORCH_CHECK(capturing, "nothing is being captured");
  capturing->nodes.push_back({Node::kPython, {}, {}, {}, {}, function});
}

// The same memory as the GPU's, for libraries that allocate on their own.
at::Tensor on_the_gpu(const at::Tensor& tensor) {
  return labelled(to_gpu(tensor.storage()), c10::DispatchKey::CUDA, tensor);
}

// ------------------------------------------------------------------ what torch asks of a device

struct Guard final : public c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::kCUDA;
  Guard() = default;
  explicit Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return kGpu; }
  c10::Device getDevice() const override { return kGpu; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);

struct Hooks final : public at::CUDAHooksInterface {
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::Device getDeviceFromPtr(void*) const override { return kGpu; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::detail::createCPUGenerator();
  }
};

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run>()); }

// Its own kernel is not per device, but asks for one that is.
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("copy_", torch::CppFunction::makeFromBoxedFunction<&run>());
}

}  // namespace
}  // namespace stand_in

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  using namespace stand_in;  // NOLINT
  // torch makes its hooks when it is imported, so it is too late to register others.
  auto* const hooks = const_cast<at::CUDAHooksInterface*>(&at::detail::getCUDAHooks());
  static_assert(sizeof(Hooks) == sizeof(at::CUDAHooksInterface));
  new (hooks) Hooks();
  pybind11::class_<Graph>(m, "Graph").def(pybind11::init<>());
  m.def("begin_capture", &begin_capture);
  m.def("end_capture", &end_capture);
  m.def("replay", &replay);
  m.def("record", &record);
  m.def("on_the_gpu", &on_the_gpu);
  m.def("begin_unless", &begin_unless);
  m.def("end_unless", &end_unless);
  m.def("is_capturing", [] { return capturing != nullptr; });
  m.def("set_waiting_is_an_error", [](bool value) { waiting_is_an_error = value; });
}
