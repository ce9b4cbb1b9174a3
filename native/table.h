// A compiled activation, as plie/compiled/table.py lays it out in memory.
#pragma once
#include <cstdint>

namespace plie {

constexpr int kFormat = 7;  // as FORMAT in table.py
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

// The grid: cells of equal width, a power of two, each with a row of four coefficients of a cubic
// in x - its centre, of f / x^factor. For instruction sets that look up wide rows better than they
// permute registers; borders of f are borders of cells.
enum Owners : int32_t { kRight, kLeft, kSome };  // to which side borders of cells belong

struct Grid {
  int64_t at;              // of the rows, in bytes from the table; 0: there is no grid
  float scale, width;      // a cell's number is floor(x * scale), or ceil(x * scale) - 1
  float low, high;         // the first number and the last
  float slope[2], offset[2];  // below the first cell and above the last; NaN: ask the core
  float left[2];           // of kSome, the borders that belong to the cell on their left, or NaN
  int32_t factor, owners;
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
// A function of at most four pieces says so in `few`, of degree 1 or 3 in few_degree, and has them
// in order in the first places, with 3 levels: they are chosen without a search.
struct Table {
  int32_t levels, degree, fine, few, few_degree;
  float low, high, scale, shift;
  float tree[kMaxSegments];
  float centre[kMaxSegments];
  float coef[kMaxDegree + 1][kMaxSegments];
  Grid grid;
  Side side[2];  // negative, positive
  WideSegment wide[1];
};

}  // namespace plie
