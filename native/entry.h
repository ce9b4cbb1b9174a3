// What each instruction set offers to the dispatcher.
#pragma once
#include <cstddef>
#include <cstdint>

#include "course.h"
#include "table.h"

namespace plie {

// Tells whether some result is missing.
using Kernel = bool (*)(const Table&, const float* x, const float* grad, float* out, size_t n,
                        bool stream);
using Choose = Kernel (*)(const Table&, bool backward);

// 16-bit floats: a table of all 65,536 results, and of the slopes in float32.
using Gather = void (*)(const uint16_t* table, const uint16_t* x, uint16_t* out, size_t n,
                        bool stream);
using GatherBackward = void (*)(const float* slopes, const uint16_t* x, const uint16_t* grad,
                                uint16_t* out, size_t n, bool half, bool stream);

// A family: sum of coef * x^power * F(scale * x + shift), plus slope * x + offset. `numbers` holds,
// for each channel, coef, scale and shift of every term, then slope and offset. A wave's F has the
// period 2 pi and a table that holds one.
constexpr int kMaxTerms = 4;
constexpr int64_t kBlock = 1024;  // elements computed at once

struct FamilyTerm {
  const Table *value, *derivative;
  int64_t power, wave;
};

struct Family {
  int64_t terms, channels;
  FamilyTerm term[kMaxTerms];
  const double* numbers;
};

// The function, and the backward pass, on one block of one channel; both tell whether a result
// is missing. `sums` are what the gradients of the numbers are made of: with g = grad * x^power, of
// g * F, g * F' * x and g * F' for every term, then of grad * x and grad.
using FamilyForward = bool (*)(const Family&, const double* numbers, const float* x, float* out,
                               int n);
using FamilyBackward = bool (*)(const Family&, const double* numbers, const float* x,
                                const float* grad, float* out, double* sums, int n);

struct Path {
  const char* name;
  Choose choose;
  Gather gather;
  GatherBackward gather_backward;
  FamilyForward family;
  FamilyBackward family_backward;
  Train train;
};

extern const Path kAvx512, kAvx2, kNeon, kPlain;

}  // namespace plie
