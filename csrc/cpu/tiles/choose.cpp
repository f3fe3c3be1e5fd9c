// Picks the tiles with the widest vectors that the CPU has.
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <atomic>

#include "tiles.h"

namespace rlgpu::tiles {
namespace {
std::atomic<int64_t> limit{-1};

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
// Linux gives a process the registers of AMX when it asks for them. Source: Linux, Documentation,
// arch/x86/xstate.rst.
bool has_amx() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif
}  // namespace

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

const Tiles* half_tiles() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
  static const bool has = has_amx();
  if (has && limit < 0) return &amx_tiles();
#endif
  return nullptr;
}

}  // namespace rlgpu::tiles
