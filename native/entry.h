// What each instruction set offers to the dispatcher.
#pragma once
#include <cstddef>
#include <cstdint>

#include "table.h"

namespace plie {

// Tells whether some result is missing.
using Kernel = bool (*)(const Table&, const float* x, const float* grad, float* out, size_t n,
                        bool stream);
using Choose = Kernel (*)(int levels, int degree, bool backward);

// 16-bit floats: a table of all 65,536 results, and of the slopes in float32.
using Gather = void (*)(const uint16_t* table, const uint16_t* x, uint16_t* out, size_t n,
                        bool stream);
using GatherBackward = void (*)(const float* slopes, const uint16_t* x, const uint16_t* grad,
                                uint16_t* out, size_t n, bool half, bool stream);

struct Path {
  const char* name;
  Choose choose;
  Gather gather;
  GatherBackward gather_backward;
};

extern const Path kAvx512, kAvx2, kNeon, kPlain;

}  // namespace plie
