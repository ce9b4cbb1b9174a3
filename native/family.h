// Families: sum of coef * x^power * F(scale * x + shift), plus slope * x + offset, where F and its
// derivative have tables of their own and the numbers are learned, one set for all of x or one
// per channel.
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
constexpr double kFarthest = 1e9;                   // phase that is reduced without loss
constexpr double kPerPeriod = 0.15915494309189535;  // 1 / (2 pi)
constexpr double kPeriod = 6.283185307179586, kPeriodRest = 2.4492935982947064e-16;

namespace {

// u = scale * x + shift to the nearest float32, a wave's less whole periods, and what that leaves
// over. NaN where u is too large or too small to be had, though x is none of both.
inline void lines(const double* number, bool wave, const float* x, float* u, float* rest, int n) {
  const double scale = number[1], shift = number[2], largest = wave ? kFarthest : kLargest;
  // Of one width throughout, and without branches: compilers then make vectors of the loops.
  double exact[kBlock];
  for (int i = 0; i < n; ++i) {
    const double wide = x[i], line = scale * wide + shift, size = std::fabs(line);
    const double far = std::fabs(wide) <= kLargest && size > largest ? NAN : line;
    exact[i] = size < kSmall && size > 0 ? NAN : far;
  }
  if (wave)
    for (int i = 0; i < n; ++i) {
      const double periods = (exact[i] * kPerPeriod + kWhole) - kWhole;  // the nearest number
      exact[i] = std::fma(periods, -kPeriodRest, std::fma(periods, -kPeriod, exact[i]));
    }
  for (int i = 0; i < n; ++i) {
    u[i] = static_cast<float>(exact[i]);
    const float left = static_cast<float>(exact[i] - static_cast<double>(u[i]));
    rest[i] = std::fabs(left) < 1e30f ? left : 0.0f;  // where u is infinite nothing is left over
  }
}

inline bool is_x(const FamilyTerm& term, const double* number) {
  return !term.wave && number[1] == 1 && number[2] == 0;
}

// weight = factor * x^power, in loops that a compiler makes vectors of.
inline void weigh(const float* x, int64_t power, double factor, double* weight, int n) {
  for (int i = 0; i < n; ++i) weight[i] = factor;
  for (; power > 0; --power)
    for (int i = 0; i < n; ++i) weight[i] *= x[i];
}

// Whether a result is NaN though x is not: an infinity less another, or beyond a table.
inline bool misses(const float* x, const float* out, int n) {
  int32_t found = 0;
  for (int i = 0; i < n; ++i)
    found |= static_cast<int32_t>(out[i] != out[i]) & static_cast<int32_t>(x[i] == x[i]);
  return found != 0;
}

template <class V>
bool family_forward(const Family& family, const double* numbers, const float* x, float* out,
                    int n) {
  double sum[kBlock], weight[kBlock];
  float u[kBlock], rest[kBlock], value[kBlock], slope[kBlock];
  const double* line = numbers + 3 * family.terms;
  for (int i = 0; i < n; ++i) sum[i] = line[1];
  if (line[0] != 0)
    for (int i = 0; i < n; ++i) sum[i] += line[0] * x[i];
  for (int k = 0; k < family.terms; ++k) {
    const double* number = numbers + 3 * k;
    const FamilyTerm& term = family.term[k];
    const double coef = number[0];
    if (coef == 0) continue;  // not 0 * infinity
    const Table &f = *term.value, &df = *term.derivative;
    weigh(x, term.power, coef, weight, n);
    if (is_x(term, number)) {
      choose<V>(f, false)(f, x, nullptr, value, n, false);
      for (int i = 0; i < n; ++i) sum[i] += weight[i] * value[i];
      continue;
    }
    lines(number, term.wave, x, u, rest, n);
    choose<V>(f, false)(f, u, nullptr, value, n, false);
    choose<V>(df, true)(df, u, rest, slope, n, false);  // F'(u) * rest
    for (int i = 0; i < n; ++i)
      sum[i] += weight[i] * (static_cast<double>(value[i]) + slope[i]);
  }
  for (int i = 0; i < n; ++i) out[i] = static_cast<float>(sum[i]);
  return misses(x, out, n);
}

// The sum of a term for each i, in lanes.
template <class Term>
inline double sum_of(int n, Term term) {
  double lanes[kLanes] = {}, sum = 0;
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += term(i + j);
  for (; i < n; ++i) lanes[i % kLanes] += term(i);
  for (double lane : lanes) sum += lane;
  return sum;
}

template <class V>
bool family_backward(const Family& family, const double* numbers, const float* x,
                     const float* grad, float* out, double* sums, int n) {
  double total[kBlock], weight[kBlock];
  float u[kBlock], rest[kBlock], value[kBlock], slope[kBlock];
  const double* line = numbers + 3 * family.terms;
  bool lost = false;
  for (int i = 0; i < n; ++i) total[i] = line[0];
  for (int k = 0; k < family.terms; ++k) {
    const double* number = numbers + 3 * k;
    const FamilyTerm& term = family.term[k];
    const Table &f = *term.value, &df = *term.derivative;
    const float *at = x, *flow = grad;
    if (!is_x(term, number)) {
      lines(number, term.wave, x, u, rest, n);
      at = u;
    }
    choose<V>(f, false)(f, at, nullptr, value, n, false);
    choose<V>(df, false)(df, at, nullptr, slope, n, false);
    const double coef = number[0], factor = coef * number[1];
    if (factor != 0) {
      weigh(x, term.power, factor, weight, n);
      for (int i = 0; i < n; ++i) total[i] += weight[i] * slope[i];
    }
    if (term.power > 0) {
      weigh(x, term.power - 1, coef * static_cast<double>(term.power), weight, n);
      for (int i = 0; i < n; ++i) total[i] += weight[i] * value[i];
      weigh(x, term.power, 1.0, weight, n);
      for (int i = 0; i < n; ++i) rest[i] = static_cast<float>(weight[i] * grad[i]);
      flow = rest;
    }
    sums[3 * k] = sum_of(n, [&](int i) { return static_cast<double>(flow[i]) * value[i]; });
    sums[3 * k + 1] =
        sum_of(n, [&](int i) { return static_cast<double>(flow[i]) * slope[i] * x[i]; });
    sums[3 * k + 2] = sum_of(n, [&](int i) { return static_cast<double>(flow[i]) * slope[i]; });
  }
  sums[3 * family.terms] = sum_of(n, [&](int i) { return static_cast<double>(grad[i]) * x[i]; });
  sums[3 * family.terms + 1] = sum_of(n, [&](int i) { return static_cast<double>(grad[i]); });
  for (int i = 0; i < n; ++i) out[i] = static_cast<float>(grad[i] * total[i]);
  for (int64_t k = 0; k < 3 * family.terms + 2; ++k) lost |= !std::isfinite(sums[k]);
  return lost || misses(x, out, n);
}

}  // namespace
}  // namespace plie
