// Tiles of 6 x 16 floats, for CPUs with AVX2.
#include "tiles.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// Everything below is compiled for these CPUs only.
#pragma GCC target("arch=x86-64-v3")
#define RLGPU_TILES_AVX2
#include "products.h"
// After the products that it calls.
#include "passes.h"

namespace rlgpu::tiles {
namespace {
constexpr Tiles kTiles{kPanel, &forward, &backward, nullptr};
}
const Tiles& avx2_tiles() { return kTiles; }
}  // namespace rlgpu::tiles
#endif
