// Tiles of 12 x 32 floats, for CPUs with AVX-512.
#include "tiles.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// Everything below is compiled for these CPUs only.
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
// GCC 12 warns of the intrinsics' deliberately undefined values.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define RLGPU_TILES_AVX512
#include "products.h"
// After the products that it calls.
#include "passes.h"

namespace rlgpu::tiles {
namespace {
constexpr Tiles kTiles{kPanel, &forward, &backward, nullptr};
}
const Tiles& avx512_tiles() { return kTiles; }
}  // namespace rlgpu::tiles
#endif
