#include "program.h"

#include <algorithm>
#include <cmath>

namespace plie {
namespace {

constexpr double kRootHalf = 0.7071067811865476, kRootTwoPi = 2.5066282746310002;

double raise(double base, int exponent) {
  const bool below = exponent < 0;
  double result = 1;
  for (unsigned left = below ? -exponent : exponent; left; left >>= 1, base *= base)
    if (left & 1) result *= base;
  return below ? 1 / result : result;
}

double sign(double u) { return u > 0 ? 1 : u < 0 ? -1 : u; }

double sech(double u) {
  const double decay = std::exp(-std::fabs(u));
  return 2 * decay / (1 + decay * decay);
}

double csch(double u) {
  const double size = std::fabs(u);
  return -2 * sign(u) * std::exp(-size) / std::expm1(-2 * size);
}

double sigmoid(double u) {
  const double decay = std::exp(-std::fabs(u));
  return (u < 0 ? decay : 1) / (1 + decay);
}

double softplus(double u) { return std::max(u, 0.0) + std::log1p(std::exp(-std::fabs(u))); }

// u - tanh(u), by its continued fraction where the difference would cancel.
double tanhshrink(double u) {
  if (!(std::fabs(u) < 1)) return u - std::tanh(u);
  const double s = u * u;
  double fraction = 19;
  for (int odd = 17; odd > 1; odd -= 2) fraction = odd + s / fraction;
  return u * s / (fraction + s);
}

// log(1 + u) - u, by its series in z = u / (2 + u) where the difference would cancel.
double log1pmx(double u) {
  if (!(std::fabs(u) < 0.4)) return std::log1p(u) - u;
  const double z = u / (2 + u), s = z * z;
  double series = 0;
  for (int k = 25; k > 1; k -= 2) series = series * s + 2.0 / k;
  return z * s * series - u * z;
}

// j_n(u) / u^n: the power series where the upward recurrence loses digits.
double bessel(double order, double u) {
  const int n = static_cast<int>(order);
  const double square = u * u;
  if (std::fabs(u) < 2.0 + n) {
    double term = 1, sum;
    for (int odd = 3; odd <= 2 * n + 1; odd += 2) term /= odd;
    sum = term;
    for (int m = 1; m < 40; ++m) {
      term *= -square / (2.0 * m * (2 * n + 2 * m + 1));
      sum += term;
    }
    return sum;
  }
  double last = std::cos(u), value = std::sin(u) / u;
  for (int k = 0; k < n; ++k) {
    const double next = ((2 * k + 1) * value - last) / square;
    last = value, value = next;
  }
  return value;
}

template <class Function>
void each(double* out, const double* a, int n, Function function) {
  for (int i = 0; i < n; ++i) out[i] = function(a[i]);
}

void run_step(const Step& step, const double* const* arg, double* out, int n) {
  const double *a = arg[0], *b = arg[1];
  const auto by = [&](auto function) { each(out, a, n, function); };
  switch (step.operation) {
    case kAdd: for (int i = 0; i < n; ++i) out[i] = a[i] + b[i]; break;
    case kMul: for (int i = 0; i < n; ++i) out[i] = a[i] * b[i]; break;
    case kDiv: for (int i = 0; i < n; ++i) out[i] = a[i] / b[i]; break;
    case kPower: by([e = static_cast<int>(step.number)](double u) { return raise(u, e); }); break;
    case kSelect: for (int i = 0; i < n; ++i) out[i] = a[i] > b[i] ? arg[2][i] : arg[3][i]; break;
    case kExp: by([](double u) { return std::exp(u); }); break;
    case kExpm1: by([](double u) { return std::expm1(u); }); break;
    case kLog: by([](double u) { return std::log(u); }); break;
    case kLog1p: by([](double u) { return std::log1p(u); }); break;
    case kSqrt: by([](double u) { return std::sqrt(u); }); break;
    case kCbrt: by([](double u) { return std::cbrt(u); }); break;
    case kAbs: by([](double u) { return std::fabs(u); }); break;
    case kSign: by(sign); break;
    case kFloor: by([](double u) { return std::floor(u); }); break;
    case kSin: by([](double u) { return std::sin(u); }); break;
    case kCos: by([](double u) { return std::cos(u); }); break;
    case kTan: by([](double u) { return std::tan(u); }); break;
    case kBessel: for (int i = 0; i < n; ++i) out[i] = bessel(a[i], b[i]); break;
    case kSinh: by([](double u) { return std::sinh(u); }); break;
    case kCosh: by([](double u) { return std::cosh(u); }); break;
    case kTanh: by([](double u) { return std::tanh(u); }); break;
    case kTanhshrink: by(tanhshrink); break;
    case kLog1pmx: by(log1pmx); break;
    case kSech: by(sech); break;
    case kCsch: by(csch); break;
    case kCoth: by([](double u) { return 1 / std::tanh(u); }); break;
    case kAsin: by([](double u) { return std::asin(u); }); break;
    case kAcos: by([](double u) { return std::acos(u); }); break;
    case kAtan: by([](double u) { return std::atan(u); }); break;
    case kAsinh: by([](double u) { return std::asinh(u); }); break;
    case kAcosh: by([](double u) { return std::acosh(u); }); break;
    case kAtanh: by([](double u) { return std::atanh(u); }); break;
    case kErf: by([](double u) { return std::erf(u); }); break;
    case kErfc: by([](double u) { return std::erfc(u); }); break;
    case kSigmoid: by(sigmoid); break;
    case kSoftplus: by(softplus); break;
    case kPhi: by([](double u) { return 0.5 * std::erfc(-u * kRootHalf); }); break;
    case kDensity: by([](double u) { return std::exp(-0.5 * u * u) / kRootTwoPi; }); break;
    case kPow: for (int i = 0; i < n; ++i) out[i] = std::pow(a[i], b[i]); break;
    default: std::fill(out, out + n, NAN);
  }
}

}  // namespace

const double* run_program(const Program& program, const float* x, const double* learned,
                          double* room, int n) {
  double* out = room;
  for (int64_t i = 0; i < program.count; ++i) {
    const Step& step = program.steps[i];
    out = room + i * kProgramBlock;
    const double* arg[4];
    for (int k = 0; k < 4; ++k) arg[k] = room + static_cast<int64_t>(step.at[k]) * kProgramBlock;
    if (step.operation == kConst)
      std::fill(out, out + n, step.number);
    else if (step.operation != kInput)
      run_step(step, arg, out, n);
    else if (step.number < 0)
      std::copy(x, x + n, out);
    else
      std::fill(out, out + n, learned[static_cast<int>(step.number)]);
  }
  return out;
}

}  // namespace plie
