// A formula as steps, run in float64 on blocks of numbers: for activations without a table, for
// results that a table leaves, and for the slopes by learned parameters.
#pragma once
#include <cstdint>

namespace plie {

// The operations, in the order of OPERATIONS in plie/engine.py.
enum Operation : int32_t {
  kInput, kConst, kAdd, kMul, kDiv, kPower, kSelect,
  kExp, kExpm1, kLog, kLog1p, kSqrt, kCbrt, kAbs, kSign, kFloor, kSin, kCos, kTan, kBessel,
  kSinh, kCosh, kTanh, kTanhshrink, kLog1pmx, kSech, kCsch, kCoth, kAsin, kAcos, kAtan,
  kAsinh, kAcosh, kAtanh, kErf, kErfc, kSigmoid, kSoftplus, kPhi, kDensity, kPow,
  kOperations
};

// Step i leaves its block in slot i; `at` are the slots of its arguments. An input's number is -1
// for x or that of a learned parameter; a power's is its exponent.
struct Step {
  int32_t operation, at[4], unused;
  double number;
};

struct Program {
  const Step* steps;
  int64_t count;  // 0: there is no formula
};

constexpr int kProgramBlock = 256;  // numbers at once

// The values at n <= kProgramBlock numbers; `room` holds count * kProgramBlock.
const double* run_program(const Program& program, const float* x, const double* learned,
                          double* room, int n);

}  // namespace plie
