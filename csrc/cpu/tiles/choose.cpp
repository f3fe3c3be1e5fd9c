// Picks the tiles with the widest vectors that the CPU has.
#include <atomic>

#include "tiles.h"

namespace rlgpu::tiles {
namespace {
std::atomic<int64_t> limit{-1};
}

int64_t limit_lanes(int64_t lanes) { return limit.exchange(lanes); }

const Tiles* tiles() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  static const bool has_16 = __builtin_cpu_supports("x86-64-v4");
  static const bool has_8 = __builtin_cpu_supports("x86-64-v3");
  const int64_t most = limit < 0 ? 16 : limit.load();
  if (has_16 && most >= 16) return &avx512_tiles();
  if (has_8 && most >= 8) return &avx2_tiles();
#endif
  return nullptr;
}

}  // namespace rlgpu::tiles
