// A compiled activation, as plie/compiled/table.py lays it out in memory.
#pragma once
#include <cstdint>

namespace plie {

constexpr int kFormat = 5;  // as FORMAT in table.py
constexpr int kMaxSegments = 32;
constexpr int kMaxDegree = 11;
constexpr int kWideDegree = 7;

// One segment of the wide table: polynomial in x - centre, or sign * exp(polynomial).
struct WideSegment {
  double sign;  // 0: the polynomial itself
  double centre;
  double coef[kWideDegree + 1];
};

struct Side {
  double limit;          // at infinity
  double slope, offset;  // beyond the wide table: slope * x + offset + scale * |x|^power
  double scale, power;
  int32_t first, count;  // cells of the wide table: the top bits of |x|
  int64_t open;          // nothing is known out there: the result is NaN and the caller is told
  int64_t start;         // its place among the wide segments
};

// The core: up to 32 segments, a polynomial in x - centre on each. A NaN coefficient sends x
// to the wide table. Where `fine` is set the last two steps carry their rounding errors along,
// and coef[degree + 1] holds what the float32 coefficients of t leave over. Segments are found
// in one of two ways:
// - levels = 0: sixteen cells of equal width, each divided at its own border (tree[cell]) into
//   segment `cell` to the left and `cell + 16` from the border on. x is clamped to [low, high]
//   and fma(x, scale, shift) leaves the cell's number in its lowest bits.
// - else by a binary search among 2^levels segments; tree holds the borders in breadth-first
//   order from 1, and the right side owns a border.
struct Table {
  int32_t levels, degree, fine;
  float low, high, scale, shift;
  float tree[kMaxSegments];
  float centre[kMaxSegments];
  float coef[kMaxDegree + 1][kMaxSegments];
  Side side[2];  // negative, positive
  WideSegment wide[1];
};

}  // namespace plie
