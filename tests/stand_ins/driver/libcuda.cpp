// Stands in for NVIDIA's driver library in tests of what two processes share: "device" memory is
// memory that another process can open, full of NaN at first. Each record of an event must be
// awaited once, before the next, and nothing else may be awaited.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>

namespace {

struct Handle {
  char reserved[64];
};

constexpr int kOk = 0, kInvalidValue = 1, kInvalidHandle = 400, kNotRecorded = 401,
              kNotAwaited = 402;

struct Event {
  int recorded, awaited;
};

struct Allocation {
  int file;
  size_t size;
};

std::map<uint64_t, Allocation> allocations;
int depth = 0;  // of current contexts

uint64_t map_file(int file, size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) return 0;
  const auto address = reinterpret_cast<uint64_t>(memory);
  allocations[address] = {file, size};
  return address;
}

uint64_t create(size_t size) {
  const int file = memfd_create("device", 0);
  if (file < 0 || ftruncate(file, static_cast<off_t>(size)) != 0) return 0;
  return map_file(file, size);
}

int share(Handle* handle, uint64_t address) {
  if (depth == 0 || allocations.count(address) == 0) return kInvalidHandle;
  const Allocation& found = allocations[address];
  std::snprintf(handle->reserved, sizeof(handle->reserved), "/proc/%d/fd/%d %zu", getpid(),
                found.file, found.size);
  return kOk;
}

uint64_t open_shared(const Handle& handle) {
  char path[64];
  size_t size = 0;
  if (std::sscanf(handle.reserved, "%63s %zu", path, &size) != 2) return 0;
  const int file = open(path, O_RDWR);
  return file < 0 ? 0 : map_file(file, size);
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return kOk; }
int cuDriverGetVersion(int* version) { return *version = 13000, kOk; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, kOk; }
int cuDeviceGetUuid(char* uuid, int) { return std::memcpy(uuid, "0123456789abcdef", 16), kOk; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &depth, kOk; }
int cuCtxPushCurrent_v2(void* context) { return context == &depth ? (++depth, kOk) : 1; }
int cuCtxPopCurrent_v2(void**) { return depth > 0 ? (--depth, kOk) : kInvalidValue; }

int cuMemAlloc_v2(uint64_t* address, size_t size) {
  if (depth == 0 || (*address = create(size)) == 0) return kInvalidValue;
  std::memset(reinterpret_cast<void*>(*address), 0xff, size);
  return kOk;
}
int cuMemFree_v2(uint64_t address) {
  if (allocations.count(address) == 0) return kInvalidValue;
  const Allocation found = allocations[address];
  allocations.erase(address);
  close(found.file);
  return munmap(reinterpret_cast<void*>(address), found.size);
}
int cuIpcGetMemHandle(Handle* handle, uint64_t address) { return share(handle, address); }
int cuIpcOpenMemHandle_v2(uint64_t* address, Handle handle, unsigned flags) {
  return flags == 1 && depth > 0 && (*address = open_shared(handle)) ? kOk : kInvalidHandle;
}
int cuIpcCloseMemHandle(uint64_t address) { return cuMemFree_v2(address); }
int cuMemcpyAsync(uint64_t to, uint64_t from, size_t size, void*) {
  if (depth == 0) return kInvalidValue;
  return std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), size), kOk;
}
int cuStreamSynchronize(void*) { return depth > 0 ? kOk : kInvalidValue; }

int cuEventCreate(void** event, unsigned flags) {
  *event = reinterpret_cast<void*>(create(sizeof(Event)));
  return flags == (0x2 | 0x4) && *event ? kOk : kInvalidValue;
}
int cuEventRecord(void* event, void*) {
  auto* counts = static_cast<Event*>(event);
  if (depth == 0) return kInvalidValue;
  return counts->recorded == counts->awaited ? (++counts->recorded, kOk) : kNotAwaited;
}
int cuStreamWaitEvent(void*, void* event, unsigned) {
  auto* counts = static_cast<Event*>(event);
  if (depth == 0) return kInvalidValue;
  return counts->recorded > counts->awaited ? (++counts->awaited, kOk) : kNotRecorded;
}
int cuEventDestroy_v2(void* event) { return cuMemFree_v2(reinterpret_cast<uint64_t>(event)); }
int cuIpcGetEventHandle(Handle* handle, void* event) {
  return share(handle, reinterpret_cast<uint64_t>(event));
}
int cuIpcOpenEventHandle(void** event, Handle handle) {
  return (*event = reinterpret_cast<void*>(open_shared(handle))) ? kOk : kInvalidHandle;
}
int cuGetErrorName(int code, const char** text) {
  *text = code == kNotRecorded  ? "NOT_RECORDED"
          : code == kNotAwaited ? "NOT_AWAITED"
                                : "CUDA_ERROR_INVALID_VALUE";
  return kOk;
}
}
