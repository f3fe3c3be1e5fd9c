// Tiles of bfloat16 operands, for CPUs with AMX.
#include "tiles.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// Everything below is compiled for these CPUs only.
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512,avx512bf16,amx-tile,amx-bf16")
// GCC 12 warns of the intrinsics' deliberately undefined values.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define RLGPU_TILES_AVX512
#include "amx_products.h"
#include "passes.h"

namespace rlgpu::tiles {
namespace {

void forward_on_tiles(const Network& network, const Matrix* values, int64_t num_rows) {
  configure_tiles();
  forward(network, values, num_rows);
  _tile_release();
}

void backward_on_tiles(const Network& network, const Matrix* values, int64_t num_rows, bool adds,
                       bool input_gradient, float* sums) {
  configure_tiles();
  backward(network, values, num_rows, adds, input_gradient, sums);
  _tile_release();
}

constexpr Tiles kTiles{kPanel, &forward_on_tiles, &backward_on_tiles, &pack_pairs};

}  // namespace

const Tiles& amx_tiles() { return kTiles; }
}  // namespace rlgpu::tiles
#endif
