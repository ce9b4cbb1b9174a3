// Families: sum of coef * F(scale * x + shift), plus slope * x + offset, where F and its derivative
// have tables of their own and the numbers are learned, one set for all of x or one per channel.
//
// It works in blocks that stay in the first cache, in float64 between the tables, so that
// neither the line inside F nor the sum of the terms loses what float32 can hold.
#pragma once
#include <cmath>

#include "entry.h"
#include "kernel.h"

namespace plie {

constexpr int kLanes = 16;  // partial sums, so that their order is the same everywhere
constexpr double kLargest = 3.4028234663852886e38;  // float32
constexpr double kSmall = 1e-36;                    // below which u would lose digits

namespace {

// u = scale * x + shift to the nearest float32, and what that leaves over. Tells whether some u is
// too large or too small for a float32 though x is none of both.
inline bool lines(const double* number, const float* x, float* u, float* rest, int n) {
  const double scale = number[1], shift = number[2];
  bool lost = false;
  for (int i = 0; i < n; ++i) {
    const double exact = scale * x[i] + shift;
    u[i] = static_cast<float>(exact);
    const float left = static_cast<float>(exact - static_cast<double>(u[i]));
    rest[i] = std::fabs(left) < 1e30f ? left : 0.0f;  // where u is infinite nothing is left over
    const double size = std::fabs(exact);
    lost |= (size > kLargest) & (std::fabs(x[i]) <= kLargest);
    lost |= (size < kSmall) & (size > 0);
  }
  return lost;
}

inline bool is_x(const double* number) { return number[1] == 1 && number[2] == 0; }

// Whether a result is NaN though x is not: an infinity less another, or beyond a table.
inline bool misses(const float* x, const float* out, int n) {
  bool found = false;
  for (int i = 0; i < n; ++i) found |= (out[i] != out[i]) & (x[i] == x[i]);
  return found;
}

template <class V>
bool family_forward(const Family& family, const double* numbers, const float* x, float* out,
                    int n) {
  double sum[kBlock];
  float u[kBlock], rest[kBlock], value[kBlock], slope[kBlock];
  const double* line = numbers + 3 * family.terms;
  bool lost = false;
  for (int i = 0; i < n; ++i) sum[i] = line[1];
  if (line[0] != 0)
    for (int i = 0; i < n; ++i) sum[i] += line[0] * x[i];
  for (int k = 0; k < family.terms; ++k) {
    const double* number = numbers + 3 * k;
    const double coef = number[0];
    if (coef == 0) continue;  // not 0 * infinity
    const Table &f = *family.term[k].value, &df = *family.term[k].derivative;
    if (is_x(number)) {
      choose<V>(f, false)(f, x, nullptr, value, n, false);
      for (int i = 0; i < n; ++i) sum[i] += coef * value[i];
      continue;
    }
    lost |= lines(number, x, u, rest, n);
    choose<V>(f, false)(f, u, nullptr, value, n, false);
    choose<V>(df, true)(df, u, rest, slope, n, false);  // F'(u) * rest
    for (int i = 0; i < n; ++i) sum[i] += coef * (static_cast<double>(value[i]) + slope[i]);
  }
  for (int i = 0; i < n; ++i) out[i] = static_cast<float>(sum[i]);
  return lost || misses(x, out, n);
}

// The sum of a * b (and of a * b * c), in lanes.
inline double dot(const float* a, const float* b, int n) {
  double lanes[kLanes] = {}, sum = 0;
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(a[i + j]) * b[i + j];
  for (; i < n; ++i) lanes[i % kLanes] += static_cast<double>(a[i]) * b[i];
  for (double lane : lanes) sum += lane;
  return sum;
}

inline double dot(const float* a, const float* b, const float* c, int n) {
  double lanes[kLanes] = {}, sum = 0;
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j)
      lanes[j] += static_cast<double>(a[i + j]) * b[i + j] * c[i + j];
  for (; i < n; ++i) lanes[i % kLanes] += static_cast<double>(a[i]) * b[i] * c[i];
  for (double lane : lanes) sum += lane;
  return sum;
}

template <class V>
bool family_backward(const Family& family, const double* numbers, const float* x,
                     const float* grad, float* out, double* sums, int n) {
  double total[kBlock];
  float u[kBlock], rest[kBlock], value[kBlock], slope[kBlock], one[kBlock];
  const double* line = numbers + 3 * family.terms;
  bool lost = false;
  for (int i = 0; i < n; ++i) total[i] = line[0], one[i] = 1;
  for (int k = 0; k < family.terms; ++k) {
    const double* number = numbers + 3 * k;
    const Table &f = *family.term[k].value, &df = *family.term[k].derivative;
    const float* at = x;
    if (!is_x(number)) {
      lost |= lines(number, x, u, rest, n);
      at = u;
    }
    choose<V>(f, false)(f, at, nullptr, value, n, false);
    choose<V>(df, false)(df, at, nullptr, slope, n, false);
    const double factor = number[0] * number[1];
    if (factor != 0)
      for (int i = 0; i < n; ++i) total[i] += factor * slope[i];
    sums[3 * k] = dot(grad, value, n);
    sums[3 * k + 1] = dot(grad, slope, x, n);
    sums[3 * k + 2] = dot(grad, slope, n);
  }
  sums[3 * family.terms] = dot(grad, x, n);
  sums[3 * family.terms + 1] = dot(grad, one, n);
  for (int i = 0; i < n; ++i) out[i] = static_cast<float>(grad[i] * total[i]);
  for (int64_t k = 0; k < 3 * family.terms + 2; ++k) lost |= !std::isfinite(sums[k]);
  return lost || misses(x, out, n);
}

}  // namespace
}  // namespace plie
