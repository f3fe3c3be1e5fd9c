// Philox 4x32-10: random numbers as a pure function of (seed, call, element), so that any thread
// can draw its own and a checkpoint needs only two integers. Source: Salmon et al. 2011, "Parallel
// random numbers: as easy as 1, 2, 3", section 3.3.
#pragma once

#include "portable.h"

namespace rlgpu {

struct Philox4 {
  uint32_t x, y, z, w;
};

RLGPU_HD Philox4 philox(uint64_t seed, uint64_t call, uint64_t element) {
  Philox4 c{static_cast<uint32_t>(element), static_cast<uint32_t>(element >> 32),
            static_cast<uint32_t>(call), static_cast<uint32_t>(call >> 32)};
  uint32_t key_x = static_cast<uint32_t>(seed), key_y = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product_x = static_cast<uint64_t>(0xD2511F53u) * c.x;
    const uint64_t product_z = static_cast<uint64_t>(0xCD9E8D57u) * c.z;
    c = {static_cast<uint32_t>(product_z >> 32) ^ c.y ^ key_x, static_cast<uint32_t>(product_z),
         static_cast<uint32_t>(product_x >> 32) ^ c.w ^ key_y, static_cast<uint32_t>(product_x)};
    key_x += 0x9E3779B9u;
    key_y += 0xBB67AE85u;
  }
  return c;
}

// Uniform in (0, 1]: the upper 24 bits, shifted by half a step so that zero cannot occur.
RLGPU_HD float uniform(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 5.9604644775390625e-8f + 2.98023223876953125e-8f;
}

// Two standard normals from two uniforms (Box and Muller 1958).
RLGPU_HD void box_muller(uint32_t bits_radius, uint32_t bits_angle, float& first, float& second) {
  const float radius = sqrtf(-2.0f * logf(uniform(bits_radius)));
  const float angle = 6.2831853071795865f * uniform(bits_angle);
  first = radius * cosf(angle);
  second = radius * sinf(angle);
}

// Four standard normals for actions [4 * group, 4 * group + 4) of one row.
RLGPU_HD void normals(uint64_t seed, uint64_t call, uint64_t row, uint32_t group, float out[4]) {
  const Philox4 bits = philox(seed, call, (row << 16) | group);
  box_muller(bits.x, bits.y, out[0], out[1]);
  box_muller(bits.z, bits.w, out[2], out[3]);
}

}  // namespace rlgpu
