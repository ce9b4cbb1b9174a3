// What the polynomials leave NaN, a register at once: far tails, infinities, NaN, and what nothing
// is known of. Beside the operations that kernel.h lists, V supplies for doubles:
//   D, PARTS                   a register of W / PARTS doubles, with + - *
//   all, fma, where_less       as for floats
//   widen(F, D*), narrow(D*)   the lanes of F as PARTS registers, and back, rounded
//   raised(v, n)               v * 2^n, where n is kWhole and a whole number; the exponents of v and
//                              of the result are within those of normal numbers
//   pair(rows, at, D*)         of each lane the two numbers at rows + at[lane]
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "table.h"

namespace plie {

constexpr double kWhole = 6755399441055744;  // 1.5 * 2^52: what is added to it is rounded

namespace {

// 1 / i!: a division for each term would cost more than all the rest, on a GPU above all.
constexpr double kTerms[] = {1.0,           1.0,          1.0 / 2,       1.0 / 6,         1.0 / 24,
                             1.0 / 120,     1.0 / 720,    1.0 / 5040,    1.0 / 40320,     1.0 / 362880,
                             1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
constexpr double kFar = 690;  // e^x and e^-x are long infinite and 0 in float32, not in float64

constexpr int kCellBits = 20;  // of the mantissa that do not count: eight cells to a power of two
constexpr int kWideRow = sizeof(WideSegment) / sizeof(double);
constexpr int32_t kMagnitude = 0x7fffffff, kInfinite = 0x7f800000;

// The bits of a register's lanes, as integers to which GCC and Clang give operators: comparisons
// leave -1 or 0.
template <class V>
struct Bits {
  using F = typename V::F;
  typedef int32_t Lanes __attribute__((vector_size(sizeof(F))));

  static Lanes of(F v) {
    Lanes bits;
    std::memcpy(&bits, &v, sizeof bits);
    return bits;
  }
  static F floats(Lanes bits) {
    F v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
  static Lanes size(F v) { return of(v) & kMagnitude; }
  static Lanes is_nan(F v) { return size(v) > kInfinite; }
  static uint32_t places(Lanes where) { return V::nans(floats(where)); }  // -1 reads as NaN
  static F chosen(Lanes where, F a, F b) { return floats((where & of(a)) | (~where & of(b))); }
  static Lanes by_side(F x, int64_t left, int64_t right) {
    const Lanes positive = of(x) > 0;
    return (positive & static_cast<int32_t>(right)) | (~positive & static_cast<int32_t>(left));
  }
};

// x = e^x to 1e-15 relative; our own, so that results do not depend on the C library. Its chains of
// sums run side by side.
template <class V>
inline __attribute__((always_inline)) void exponentials(typename V::D* x) {
  using D = typename V::D;
  constexpr int N = V::PARTS;
  D r[N], placed[N];
  for (int k = 0; k < N; ++k) {
    D in = V::where_less(x[k], V::all(-kFar), V::all(-kFar), x[k]);
    in = V::where_less(V::all(kFar), in, V::all(kFar), in);
    placed[k] = in * V::all(1.4426950408889634) + V::all(kWhole);
    const D n = placed[k] - V::all(kWhole);
    r[k] = V::fma(n, V::all(-1.9082149292705877e-10), V::fma(n, V::all(-0.6931471803691238), in));
    x[k] = V::all(kTerms[13]);
  }
#pragma GCC unroll 16
  for (int i = 12; i >= 0; --i)
    for (int k = 0; k < N; ++k) x[k] = V::fma(x[k], r[k], V::all(kTerms[i]));
  for (int k = 0; k < N; ++k) x[k] = V::raised(x[k], placed[k]);
}

// By the segments of the wide table that lie `at` doubles from its start; `asked` tells of which
// lanes the result is wanted.
template <class V>
inline __attribute__((always_inline)) typename V::F by_segments(
    const Table& table, typename V::F x, typename Bits<V>::Lanes at, typename Bits<V>::Lanes asked) {
  using D = typename V::D;
  constexpr int N = V::PARTS, LANES = V::W / N;
  const auto* rows = reinterpret_cast<const double*>(table.wide);
  int32_t place[V::W];
  std::memcpy(place, &at, sizeof at);
  D t[N], sign[N], value[N], two[2];
  V::widen(x, t);
  for (int k = 0; k < N; ++k) {
    V::pair(rows, place + k * LANES, two);
    sign[k] = two[0], t[k] = t[k] - two[1];
    V::pair(rows + 1 + kWideDegree, place + k * LANES, two);
    value[k] = V::fma(two[1], t[k], two[0]);
  }
#pragma GCC unroll 8
  for (int i = kWideDegree - 1; i >= 2; i -= 2)
    for (int k = 0; k < N; ++k) {
      V::pair(rows + i, place + k * LANES, two);
      value[k] = V::fma(V::fma(value[k], t[k], two[1]), t[k], two[0]);
    }
  if (Bits<V>::places(asked & (Bits<V>::of(V::narrow(sign)) != 0))) {
    D curved[N];
    for (int k = 0; k < N; ++k) curved[k] = value[k];
    exponentials<V>(curved);
    for (int k = 0; k < N; ++k)
      value[k] = V::where_less(V::all(0.0), sign[k] * sign[k], sign[k] * curved[k], value[k]);
  }
  return V::narrow(value);
}

// By the closed form beyond: slope * x + offset, and in the lanes `curved` + scale * |x|^power by the
// C library, one after another.
template <class V>
inline __attribute__((always_inline)) typename V::F by_law(const Table& table, typename V::F x,
                                                           uint32_t curved) {
  using D = typename V::D;
  const Side &left = table.side[0], &right = table.side[1];
  const auto by_side = [&](D v, double a, double b) {
    return V::where_less(V::all(0.0), v, V::all(b), V::all(a));
  };
  D value[V::PARTS];
  V::widen(x, value);
  for (D& v : value)
    v = by_side(v, left.slope, right.slope) * v + by_side(v, left.offset, right.offset);
  if (__builtin_expect(curved == 0, 1)) return V::narrow(value);
  float from[V::W];
  double to[V::W];
  V::store(from, x);
  std::memcpy(to, value, sizeof value);
  for (; curved; curved &= curved - 1) {
    const int lane = __builtin_ctz(curved);
    const Side& side = table.side[from[lane] > 0];
    to[lane] += side.scale * std::pow(std::fabs(static_cast<double>(from[lane])), side.power);
  }
  std::memcpy(value, to, sizeof value);
  return V::narrow(value);
}

// The lanes `asked` that lie in no segment. Sets `open` where the table has no answer.
template <class V>
inline __attribute__((always_inline)) typename V::F beyond_segments(
    const Table& table, typename V::F x, typename Bits<V>::Lanes asked, bool& open) {
  using B = Bits<V>;
  const Side &left = table.side[0], &right = table.side[1];
  const auto size = B::size(x);
  const auto curved = asked & B::by_side(x, -(left.scale != 0), -(right.scale != 0));
  auto y = by_law<V>(table, x, B::places(curved & (size < kInfinite)));
  const auto limit = V::where_less(V::all(0.0f), x, V::all(static_cast<float>(right.limit)),
                                   V::all(static_cast<float>(left.limit)));
  y = B::chosen(size == kInfinite, limit, y);
  const auto lost = asked & B::by_side(x, -left.open, -right.open) & (size <= kInfinite);
  open |= B::places(lost) != 0;
  y = B::chosen(lost, V::all(NAN), y);
  return B::chosen(B::is_nan(x), V::add(x, x), y);
}

// Whether nothing is known of either far end.
inline bool is_open(const Table& table) { return table.side[0].open && table.side[1].open; }

// The lanes of y that are NaN by the wide table and what holds beyond it. Sets `open` where the
// table has no answer.
template <class V>
__attribute__((noinline)) typename V::F tails(const Table& table, typename V::F x, typename V::F y,
                                              bool& open) {
  using B = Bits<V>;
  if (is_open(table)) {
    open = true;
    return y;
  }
  const Side &left = table.side[0], &right = table.side[1];
  const auto missing = B::is_nan(y);
  const auto cell = (B::size(x) >> kCellBits) - B::by_side(x, left.first, right.first);
  const auto wide = missing & (cell >= 0) & (cell < B::by_side(x, left.count, right.count));
  if (B::places(wide)) {
    const auto at = wide & ((cell + B::by_side(x, left.start, right.start)) * kWideRow);
    y = B::chosen(wide, by_segments<V>(table, x, at, wide), y);
  }
  const auto rest = missing & ~wide;
  if (B::places(rest)) y = B::chosen(rest, beyond_segments<V>(table, x, rest, open), y);
  return y;
}

}  // namespace
}  // namespace plie
