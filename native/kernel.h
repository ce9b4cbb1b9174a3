// The evaluator, written once over a vector type V that each instruction set supplies:
//   F, W                       a register of W floats
//   load, store, stream        unaligned load and store; store past the cache (aligned)
//   add, sub, mul, fma
//   Search<LEVELS>             finds segments (LEVELS = 0: by cells); Lookup<LEVELS> reads one value per segment
//   nans(F)                    bit mask of the lanes that are NaN
// Every lane of every instruction set does the same operations in the same order, so the
// results are the same bit for bit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "entry.h"
#include "slow.h"

namespace plie {
namespace {

template <class V, int LEVELS, int DEGREE, bool FINE>
struct Polynomial {
  using F = typename V::F;
  typename V::template Search<LEVELS> search;
  typename V::template Lookup<LEVELS> centre, coef[DEGREE + 1 + FINE];
  const Table& table;
  mutable bool open = false;

  explicit Polynomial(const Table& table) : search(table), centre(table.centre), table(table) {
    for (int i = 0; i <= DEGREE + FINE; ++i) coef[i] = typename V::template Lookup<LEVELS>(table.coef[i]);
  }

  inline __attribute__((always_inline)) F operator()(F x) const {
    const auto at = search(x);
    const F t = V::sub(x, centre(at));
    F y = coef[DEGREE](at);
#pragma GCC unroll 16
    for (int i = DEGREE - 1; i >= (FINE ? 2 : 0); --i) y = V::fma(y, t, coef[i](at));
    if constexpr (FINE) {
      const F c = coef[1](at), slope = V::fma(y, t, c);
      const F rest = V::add(V::fma(y, t, V::sub(c, slope)), coef[DEGREE + 1](at));
      y = V::fma(slope, t, V::fma(rest, t, coef[0](at)));
    }
    const uint32_t missing = V::nans(y);
    return __builtin_expect(missing != 0, 0) ? mend(x, y, missing) : y;
  }

  __attribute__((noinline)) F mend(F x, F y, uint32_t missing) const {
    float from[V::W], to[V::W];
    V::store(from, x);
    V::store(to, y);
    for (; missing; missing &= missing - 1) {
      const int lane = __builtin_ctz(missing);
      to[lane] = slow(table, from[lane], open);
    }
    return V::load(to);
  }
};

// The hardware's own prefetch stops at every page; these look on, further where all comes from
// memory.
constexpr size_t kAhead = 512, kFarAhead = 2048;

template <class V, int LEVELS, int DEGREE, bool FINE, bool BACKWARD>
bool run(const Table& table, const float* x, const float* grad, float* out, size_t n, bool stream) {
  const Polynomial<V, LEVELS, DEGREE, FINE> polynomial(table);
  constexpr size_t W = V::W;
  const auto one = [&](size_t i) {
    auto y = polynomial(V::load(x + i));
    if constexpr (BACKWARD) y = V::mul(V::load(grad + i), y);
    return y;
  };
  const auto part = [&](size_t i, size_t count) {  // fewer than a register
    float from[W] = {}, slope[W] = {}, to[W];
    std::memcpy(from, x + i, count * sizeof(float));
    auto y = polynomial(V::load(from));
    if constexpr (BACKWARD) {
      std::memcpy(slope, grad + i, count * sizeof(float));
      y = V::mul(V::load(slope), y);
    }
    V::store(to, y);
    std::memcpy(out + i, to, count * sizeof(float));
  };
  size_t i = 0;
  if (stream) {
    // Whole lines only: a line written in halves costs two to three times as much.
    constexpr size_t LINE = 64 / sizeof(float);
    for (; i < n && reinterpret_cast<uintptr_t>(out + i) % 64; ++i) part(i, 1);
    for (; i + LINE <= n; i += LINE) {
      __builtin_prefetch(x + i + kFarAhead);
      if constexpr (BACKWARD) __builtin_prefetch(grad + i + kFarAhead);
      for (size_t j = 0; j < LINE; j += W) V::stream(out + i + j, one(i + j));
    }
    V::fence();
  }
  for (; i + W <= n; i += W) {
    if constexpr (W >= 8) __builtin_prefetch(x + i + kAhead);
    if constexpr (W >= 8 && BACKWARD) __builtin_prefetch(grad + i + kAhead);
    V::store(out + i, one(i));
  }
  if (i < n) part(i, n - i);
  return polynomial.open;
}

template <class V, int LEVELS, bool BACKWARD>
Kernel by_degree(int degree, bool fine) {
  switch (fine ? -degree : degree) {
    case 3: return run<V, LEVELS, 3, false, BACKWARD>;
    case 5: return run<V, LEVELS, 5, false, BACKWARD>;
    case 6: return run<V, LEVELS, 6, false, BACKWARD>;
    case 7: return run<V, LEVELS, 7, false, BACKWARD>;
    case 8: return run<V, LEVELS, 8, false, BACKWARD>;
    case 9: return run<V, LEVELS, 9, false, BACKWARD>;
    case -7: return run<V, LEVELS, 7, true, BACKWARD>;
    case -8: return run<V, LEVELS, 8, true, BACKWARD>;
    case -9: return run<V, LEVELS, 9, true, BACKWARD>;
    default: return nullptr;
  }
}

template <class V, bool BACKWARD>
Kernel by_levels(int levels, int degree, bool fine) {
  switch (levels) {
    case 0: return by_degree<V, 0, BACKWARD>(degree, fine);
    case 3: return by_degree<V, 3, BACKWARD>(degree, fine);
    case 4: return by_degree<V, 4, BACKWARD>(degree, fine);
    case 5: return by_degree<V, 5, BACKWARD>(degree, fine);
    default: return nullptr;
  }
}

template <class V>
Kernel choose(const Table& table, bool backward) {
  const auto by = backward ? by_levels<V, true> : by_levels<V, false>;
  return by(table.levels, table.degree, table.fine != 0);
}

}  // namespace
}  // namespace plie
