// The standard headers that the kernels use, for inclusion before a build narrows its instruction
// set: their inline functions are shared with the rest of the program.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
