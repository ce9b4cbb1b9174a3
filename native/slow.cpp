#include "slow.h"

#include <cmath>
#include <cstring>

namespace plie {
namespace {

// 1 / i!: a division for each term would cost more than all the rest, on a GPU above all.
constexpr double kTerms[] = {1.0,           1.0,          1.0 / 2,       1.0 / 6,         1.0 / 24,
                             1.0 / 120,     1.0 / 720,    1.0 / 5040,    1.0 / 40320,     1.0 / 362880,
                             1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};

// e^x to 1e-15 relative; our own, so that results do not depend on the C library.
double exponential(double x) {
  if (x < -800) return 0;
  if (x > 800) return INFINITY;
  const double n = std::nearbyint(x * 1.4426950408889634);
  const double r = std::fma(n, -1.9082149292705877e-10, std::fma(n, -0.6931471803691238, x));
  double sum = kTerms[13];
  for (int i = 12; i >= 0; --i) sum = std::fma(sum, r, kTerms[i]);
  return std::ldexp(sum, static_cast<int>(n));
}

constexpr int kCellBits = 20;  // of the mantissa that do not count: eight cells to a power of two

int segment_of(const Table& table, float x) {
  if (table.levels == 0) {
    float inside = x > table.low ? x : table.low;
    inside = inside < table.high ? inside : table.high;
    const float placed = std::fma(inside, table.scale, table.shift);
    uint32_t bits;
    std::memcpy(&bits, &placed, sizeof bits);
    const int cell = static_cast<int>(bits & 15u);
    return cell + (x >= table.tree[cell] ? 16 : 0);
  }
  int at = 1;
  for (int level = 0; level < table.levels; ++level) at = 2 * at + (x >= table.tree[at]);
  return at - (1 << table.levels);
}

}  // namespace

float beyond_grid(const Table& table, float x, bool& open) {
  const int at = segment_of(table, x);
  const float t = x - table.centre[at];
  const auto coef = [&](int i) { return table.coef[i][at]; };
  float y = coef(table.degree);
  for (int i = table.degree - 1; i >= (table.fine ? 2 : 0); --i) y = std::fma(y, t, coef(i));
  if (table.fine) {
    const float slope = std::fma(y, t, coef(1));
    const float rest = std::fma(y, t, coef(1) - slope) + coef(table.degree + 1);
    y = std::fma(slope, t, std::fma(rest, t, coef(0)));
  }
  return std::isnan(y) ? slow(table, x, open) : y;
}

float slow(const Table& table, float x, bool& open) {
  if (std::isnan(x)) return x + x;
  const Side& side = table.side[x > 0];
  if (side.open) {
    open = true;
    return NAN;
  }
  if (std::isinf(x)) return static_cast<float>(side.limit);
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const int cell = static_cast<int>((bits & 0x7fffffffu) >> kCellBits) - side.first;
  if (cell >= 0 && cell < side.count) {
    const WideSegment& segment = table.wide[side.start + cell];
    const double t = x - segment.centre;
    double y = segment.coef[kWideDegree];
    for (int i = kWideDegree - 1; i >= 0; --i) y = std::fma(y, t, segment.coef[i]);
    return static_cast<float>(segment.sign == 0 ? y : segment.sign * exponential(y));
  }
  double y = side.slope == 0 ? side.offset : side.slope * x + side.offset;
  if (side.scale != 0) y += side.scale * std::pow(std::fabs(static_cast<double>(x)), side.power);
  return static_cast<float>(y);
}

}  // namespace plie
