// The pretended GPU's memory, and an operation's tensors as the CPU sees them.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace stand_in {

inline const c10::Device kGpu(c10::kCUDA, 0);

struct Block {
  size_t size;
  int owners;
};

// Every block of the pretended device's memory that is alive, by its address.
inline std::map<void*, Block>& blocks() {
  static auto* const found = new std::map<void*, Block>();
  return *found;
}

struct Owner {
  c10::Storage storage;
  void* address;
};

inline void release(void* context) {
  auto* const owner = static_cast<Owner*>(context);
  const auto found = blocks().find(owner->address);
  if (found != blocks().end() && --found->second.owners == 0) blocks().erase(found);
  delete owner;
}

// The CPU storage's memory, as the GPU's.
inline c10::Storage to_gpu(const c10::Storage& cpu) {
  void* const address = cpu.mutable_data();
  if (address) {
    Block& block = blocks().try_emplace(address, Block{0, 0}).first->second;
    block = {cpu.nbytes(), block.owners + 1};
  }
  c10::DataPtr data(address, new Owner{cpu, address}, &release, kGpu);
  return c10::Storage(c10::Storage::use_byte_size_t(), cpu.nbytes(), std::move(data),
                      c10::GetAllocator(c10::kCPU), /*resizable=*/true);
}

inline at::Tensor labelled(c10::Storage storage, c10::DispatchKey key, const at::Tensor& like) {
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage),
                                                         c10::DispatchKeySet(key), like.dtype());
  auto* const impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_offset(like.storage_offset());
  impl->set_sizes_and_strides(like.sizes(), like.strides());
  return tensor;
}

inline void release_storage(void* context) { delete static_cast<c10::Storage*>(context); }

inline bool on_gpu(const at::Tensor& tensor) { return tensor.defined() && tensor.is_cuda(); }

// Calls `visit` for every tensor of an argument or result and puts what it returns in its place.
template <typename Visit>
void for_tensors(c10::IValue& value, Visit visit) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) value = visit(value.toTensor());
  } else if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(visit(tensor));
    value = list;
  } else if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const c10::IValue& item : value.toListRef()) {
      list.push_back(item.isTensor() && item.toTensor().defined()
                         ? std::optional<at::Tensor>(visit(item.toTensor()))
                         : std::nullopt);
    }
    value = list;
  }
}

// The CPU's views of an operation's tensors, and the way back.
class Aliases {
 public:
  c10::Storage to_cpu(const c10::Storage& storage) {
    auto* const key = storage.unsafeGetStorageImpl();
    if (!storages_.count(key)) {
      c10::DataPtr data(storage.mutable_data(), new c10::Storage(storage), &release_storage,
                        c10::Device(c10::kCPU));
      const c10::Storage alias(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data),
                               c10::GetAllocator(c10::kCPU), true);
      storages_.emplace(key, alias);
      origins_.emplace(alias.unsafeGetStorageImpl(), storage);
    }
    return storages_.at(key);
  }

  at::Tensor to_cpu(const at::Tensor& tensor) {
    if (!on_gpu(tensor)) return tensor;
    at::Tensor alias = labelled(to_cpu(tensor.storage()), c10::DispatchKey::CPU, tensor);
    pairs_.emplace_back(alias, tensor);
    return alias;
  }

  // The GPU's tensor for a result: the argument itself, a view of one, or new memory.
  at::Tensor to_gpu_again(const at::Tensor& result) {
    for (const auto& [alias, tensor] : pairs_) {
      if (alias.is_same(result)) return tensor;
    }
    const auto origin = origins_.find(result.storage().unsafeGetStorageImpl());
    if (origin != origins_.end()) {
      return labelled(origin->second, c10::DispatchKey::CUDA, result);
    }
    fresh.push_back(result);
    return labelled(to_gpu(result.storage()), c10::DispatchKey::CUDA, result);
  }

  // Operations such as resize_ and out= change more than the numbers.
  void carry_shapes() {
    for (const auto& [alias, tensor] : pairs_) {
      const bool same = alias.sizes() == tensor.sizes() && alias.strides() == tensor.strides() &&
                        alias.storage_offset() == tensor.storage_offset();
      const bool moved = alias.storage().data() != tensor.storage().data();
      if (same && !moved) continue;
      auto* const impl = tensor.unsafeGetTensorImpl();
      if (moved) {
        const auto origin = origins_.find(alias.storage().unsafeGetStorageImpl());
        const bool resized =
            origin == origins_.end() || origin->second.data() != alias.storage().data();
        impl->set_storage_keep_dtype(resized ? to_gpu(alias.storage()) : origin->second);
      }
      impl->set_storage_offset(alias.storage_offset());
      impl->set_sizes_and_strides(alias.sizes(), alias.strides());
    }
  }

  std::vector<at::Tensor> fresh;  // results in new memory

 private:
  std::map<c10::StorageImpl*, c10::Storage> storages_;  // the CPU's, by the GPU's
  std::map<c10::StorageImpl*, c10::Storage> origins_;   // the GPU's, by the CPU's
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;
};

}  // namespace stand_in
