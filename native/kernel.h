// The evaluator, written once over a vector type V that each instruction set supplies:
//   F, W                       a register of W floats
//   load, store, stream        unaligned load and store; store past the cache (aligned)
//   add, sub, mul, fma, all
//   where_less(a, b, c, d)     c where a < b, else d
//   Search<LEVELS>             finds segments (LEVELS = 0: by cells)
//   Values<LEVELS, COUNT>      reads COUNT values of each lane's segment
//   nans(F)                    bit mask of the lanes that are NaN
//   sums(F*, float*)           the sum of each of four registers' lanes
// and where ROWS says that rows are looked up better than registers are permuted:
//   floor, ceil, least, most    as they are called; least and most give the second of a NaN
//   negated_fma(a, b, c)       c - a * b
//   less_one_where(v, a, b)    v - 1 where a = b, else v
//   nans_or_others(y, a, b)    the lanes where y is NaN or a is not b
//   row(rows, cell, coef)      the four floats of each lane's cell, a whole number in a float
//   BLOCK                      how many arguments' cells are found before rows are read; where not 0:
//   places(cell, at)           stores where the rows lie, in bytes, ROW for each
//   placed(at), row_at         ROW times the cells; the four floats of each
//   other_or(v, a, b)          NaN where a is not b, else v
// and where PICKS says that one of four values is chosen in one step:
//   Place, first               a whole number for each lane, 0
//   from_border(p, x, border)  p + 1 where x is not below the border
//   four(const float*), pick   four values, and each lane's of them
// Every lane of every instruction set does the same operations in the same order, so the results
// are the same bit for bit wherever the same form of a table is read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "entry.h"
#include "tails.h"

namespace plie {
namespace {

// Values for instruction sets that look up each by itself.
template <class V, int LEVELS, int COUNT>
struct Lookups {
  typename V::template Lookup<LEVELS> part[COUNT];
  explicit Lookups(const Table& table) {
    part[0] = typename V::template Lookup<LEVELS>(table.centre);
    for (int i = 1; i < COUNT; ++i) part[i] = typename V::template Lookup<LEVELS>(table.coef[i - 1]);
  }
  template <class At>
  inline __attribute__((always_inline)) void operator()(At at, typename V::F* value) const {
#pragma GCC unroll 16
    for (int i = 0; i < COUNT; ++i) value[i] = part[i](at);
  }
};

template <class V, int LEVELS, int DEGREE, bool FINE>
struct Polynomial {
  using F = typename V::F;
  static constexpr size_t BLOCK = 0;  // one register at a time
  static constexpr int COUNT = DEGREE + 2 + FINE;
  typename V::template Search<LEVELS> search;
  typename V::template Values<LEVELS, COUNT> values;  // the centre, then the coefficients
  const Table& table;
  mutable bool open = false;

  explicit Polynomial(const Table& table) : search(table), values(table), table(table) {}

  inline __attribute__((always_inline)) F operator()(F x) const {
    const F y = core(x);
    return __builtin_expect(V::nans(y) != 0, 0) ? tails<V>(table, x, y, open) : y;
  }

  inline __attribute__((always_inline)) F core(F x) const {
    F value[COUNT];
    values(search(x), value);
    const F t = V::sub(x, value[0]), *coef = value + 1;
    F y = coef[DEGREE];
#pragma GCC unroll 16
    for (int i = DEGREE - 1; i >= (FINE ? 2 : 0); --i) y = V::fma(y, t, coef[i]);
    if constexpr (FINE) {
      const F slope = V::fma(y, t, coef[1]);
      const F rest = V::add(V::fma(y, t, V::sub(coef[1], slope)), coef[DEGREE + 1]);
      y = V::fma(slope, t, V::fma(rest, t, coef[0]));
    }
    return y;
  }
};

// At most four pieces: as many selections as there are borders, or one of four values.
template <class V, int COUNT, int DEGREE>
struct Few {
  using F = typename V::F;
  static constexpr size_t BLOCK = 0;
  static constexpr bool PICKS = V::PICKS && COUNT > 2;
  static constexpr int EACH = PICKS ? 1 : COUNT;  // registers that a row takes
  F border[3], row[DEGREE + 2][EACH];  // centre, coefficients
  const Table& table;
  mutable bool open = false;

  explicit Few(const Table& table) : table(table) {
    const float inner[3] = {table.tree[4], table.tree[2], table.tree[5]};  // from left to right
    for (int i = 0; i < 3; ++i) border[i] = V::all(inner[i]);
    for (int k = -1; k <= DEGREE; ++k) {
      const float* values = k < 0 ? table.centre : table.coef[k];
      if constexpr (PICKS) {
        row[k + 1][0] = V::four(values);
      } else {
        for (int i = 0; i < COUNT; ++i) row[k + 1][i] = V::all(values[i]);
      }
    }
  }

  inline __attribute__((always_inline)) F operator()(F x) const {
    if constexpr (PICKS) {
      typename V::Place place = V::first();
#pragma GCC unroll 4
      for (int i = 1; i < COUNT; ++i) place = V::from_border(place, x, border[i - 1]);
      return of(x, [&](int k) __attribute__((always_inline)) { return V::pick(row[k + 1][0], place); });
    } else {
      return of(x, [&](int k) __attribute__((always_inline)) {
        F value = row[k + 1][0];
#pragma GCC unroll 4
        for (int i = 1; i < COUNT; ++i) value = V::where_less(x, border[i - 1], value, row[k + 1][i]);
        return value;
      });
    }
  }

  template <class Chosen>
  inline __attribute__((always_inline)) F of(F x, Chosen chosen) const {
    const F t = V::sub(x, chosen(-1));
    F y = chosen(DEGREE);
#pragma GCC unroll 4
    for (int k = DEGREE - 1; k >= 0; --k) y = V::fma(y, t, chosen(k));
    return __builtin_expect(V::nans(y) != 0, 0) ? tails<V>(table, x, y, open) : y;
  }
};

// The core alone.
template <class V>
using Core = typename V::F (*)(const Table&, typename V::F x);
template <class V>
Core<V> core_of(const Table& table);

// The hardware's own prefetch stops at every page; these look on, further where all comes from
// memory.
constexpr size_t kAhead = 512, kFarAhead = 2048;

// The grid of a table; FACTOR and OWNERS as there. Where borders belong to the left, the cells are
// numbered one higher: ceil(x * scale) and the half width of the other sign do the rest.
template <class V, int FACTOR, int OWNERS>
struct Cubic {
  using F = typename V::F;
  static constexpr int SHIFT = OWNERS == kLeft;
  const Table& table;
  const char* rows;
  F scale, width, step, half, low, high, left[2], slope[2], offset[2];
  mutable bool open = false;

  explicit Cubic(const Table& table)
      : table(table),
        rows(reinterpret_cast<const char*>(&table) + table.grid.at -
             static_cast<int64_t>(table.grid.low + SHIFT) * 4 * static_cast<int64_t>(sizeof(float))),
        scale(V::all(table.grid.scale)),
        width(V::all(table.grid.width)),
        step(V::all(table.grid.width / V::ROW)),
        half(V::all((0.5f - SHIFT) * table.grid.width)),
        low(V::all(table.grid.low + SHIFT)),
        high(V::all(table.grid.high + SHIFT)) {
    for (int i = 0; i < 2; ++i) {
      left[i] = V::all(table.grid.left[i]);
      slope[i] = V::all(table.grid.slope[i]);
      offset[i] = V::all(table.grid.offset[i]);
    }
  }

  inline __attribute__((always_inline)) F cell_of(F x) const {
    F cell = V::mul(x, scale);
    cell = OWNERS == kLeft ? V::ceil(cell) : V::floor(cell);
    if constexpr (OWNERS == kSome) {
      cell = V::less_one_where(cell, x, left[0]);
      cell = V::less_one_where(cell, x, left[1]);
    }
    return cell;
  }
  inline __attribute__((always_inline)) F clamped(F cell) const {
    return V::least(V::most(cell, low), high);
  }
  inline __attribute__((always_inline)) F cubic(F x, F t, const F* coef) const {
    const F p = V::fma(V::fma(coef[3], t, coef[2]), t, coef[1]);
    if constexpr (FACTOR == 0) return V::fma(p, t, coef[0]);
    const F power = FACTOR == 1 ? x : V::mul(x, x);
    return V::fma(power, coef[0], V::mul(power, V::mul(p, t)));
  }

  inline __attribute__((always_inline)) F operator()(F x) const {
    const F cell = cell_of(x), inside = clamped(cell);
    F coef[4];
    V::row(rows, inside, coef);
    const F y = cubic(x, V::sub(V::negated_fma(inside, width, x), half), coef);
    const uint32_t missing = V::nans_or_others(y, cell, inside);
    return __builtin_expect(missing != 0, 0) ? mend(x, y, cell) : y;
  }

  // Where rows are found through memory, what is stored is waited for, and too little is under way
  // meanwhile: the places of a whole block are stored first.
  static constexpr size_t BLOCK = V::BLOCK;

  // Stores where the rows of `count` arguments lie; whether all are in cells.
  inline __attribute__((always_inline)) bool find(const float* x, int32_t* at, size_t count, size_t ahead) const {
    F others = V::all(0.0f);
    for (size_t i = 0; i < count; i += V::W) {
      __builtin_prefetch(x + i + ahead);
      const F cell = cell_of(V::load(x + i)), inside = clamped(cell);
      others = V::other_or(others, cell, inside);
      V::places(inside, at + i);
    }
    return V::nans(others) == 0;
  }

  template <bool INSIDE>
  inline __attribute__((always_inline)) F found(F x, const int32_t* at) const {
    F coef[4];
    V::row_at(rows, at, coef);
    const F y = cubic(x, V::sub(V::negated_fma(V::placed(at), step, x), half), coef);
    if constexpr (INSIDE) return y;  // a number: the rows are, and nothing overflows in the cells
    const F cell = cell_of(x);
    const uint32_t missing = V::nans_or_others(y, cell, clamped(cell));
    return __builtin_expect(missing != 0, 0) ? mend(x, y, cell) : y;
  }

  // Beyond the cells f may be a line; what is NaN then has a value in the core or beyond it.
  __attribute__((noinline)) F mend(F x, F y, F cell) const {
    y = V::where_less(cell, low, V::fma(x, slope[0], offset[0]), y);
    y = V::where_less(high, cell, V::fma(x, slope[1], offset[1]), y);
    if (V::nans(y) == 0) return y;
    const F none = V::all(0.0f);
    const F inner = V::where_less(x, V::all(-reach(0)), none, V::where_less(V::all(reach(1)), x, none, y));
    if (V::nans(inner) && !is_open(table)) {
      y = Bits<V>::chosen(Bits<V>::is_nan(y), core_of<V>(table)(table, x), y);
      if (V::nans(y) == 0) return y;
    }
    return tails<V>(table, x, y, open);
  }

  // From where on the core has nothing: the cell of the wide table after the one in which it ends,
  // if it does.
  float reach(int side) const {
    const int32_t last = table.side[side].first, bits = last ? (last + 1) << kCellBits : kInfinite;
    float end;
    std::memcpy(&end, &bits, sizeof end);
    return end;
  }
};

// Whole registers from i on, as many as lie before `end`: by blocks of them; where it stopped.
template <class V, bool BACKWARD, class Function, class Put>
inline __attribute__((always_inline)) size_t by_blocks(const Function& function, const float* x, const float* grad,
                                                       float* out, size_t i, size_t end, size_t ahead, Put put) {
  constexpr size_t W = V::W, BLOCK = Function::BLOCK;
  alignas(64) int32_t at[BLOCK];
  while (i + W <= end) {
    const size_t count = std::min(BLOCK, (end - i) / W * W);
    const auto results = [&](auto inside) __attribute__((always_inline)) {
      for (size_t j = 0; j < count; j += W) {
        if constexpr (BACKWARD) __builtin_prefetch(grad + i + j + ahead);
        auto y = function.template found<decltype(inside)::value>(V::load(x + i + j), at + j);
        if constexpr (BACKWARD) y = V::mul(V::load(grad + i + j), y);
        put(out + i + j, y);
      }
    };
    if (function.find(x + i, at, count, ahead))
      results(std::true_type{});
    else
      results(std::false_type{});
    i += count;
  }
  return i;
}

template <class V, class Function, bool BACKWARD>
bool run(const Table& table, const float* x, const float* grad, float* out, size_t n, bool stream) {
  const Function function(table);
  constexpr size_t W = V::W;
  // Always inline: what a call captures lies in memory, and is loaded from there at each turn.
  const auto one = [&](size_t i) __attribute__((always_inline)) {
    auto y = function(V::load(x + i));
    if constexpr (BACKWARD) y = V::mul(V::load(grad + i), y);
    return y;
  };
  const auto part = [&](size_t i, size_t count) __attribute__((always_inline)) {  // of a register
    float from[W] = {}, slope[W] = {}, to[W];
    std::memcpy(from, x + i, count * sizeof(float));
    auto y = function(V::load(from));
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
    if constexpr (Function::BLOCK != 0) {
      i = by_blocks<V, BACKWARD>(function, x, grad, out, i, i + (n - i) / LINE * LINE, kFarAhead, V::stream);
    } else {
      for (; i + LINE <= n; i += LINE) {
        __builtin_prefetch(x + i + kFarAhead);
        if constexpr (BACKWARD) __builtin_prefetch(grad + i + kFarAhead);
        for (size_t j = 0; j < LINE; j += W) V::stream(out + i + j, one(i + j));
      }
    }
    V::fence();
  }
  if constexpr (Function::BLOCK != 0) {
    i = by_blocks<V, BACKWARD>(function, x, grad, out, i, n, kAhead, V::store);
  } else {
    for (; i + W <= n; i += W) {
      if constexpr (W >= 8) __builtin_prefetch(x + i + kAhead);
      if constexpr (W >= 8 && BACKWARD) __builtin_prefetch(grad + i + kAhead);
      V::store(out + i, one(i));
    }
  }
  if (i < n) part(i, n - i);
  return function.open;
}

// What is made of a table's core: something to run, or the core alone.
template <class V, bool BACKWARD>
struct Runs {
  using Type = Kernel;
  template <class Function>
  static constexpr Type of = run<V, Function, BACKWARD>;
};

template <class V>
struct Alone {
  using Type = Core<V>;
  template <class Function>
  static typename V::F of(const Table& table, typename V::F x) {
    return Function(table).core(x);
  }
};

template <class V, int LEVELS, class Made>
typename Made::Type by_degree(int degree, bool fine) {
  switch (fine ? -degree : degree) {
    case 3: return Made::template of<Polynomial<V, LEVELS, 3, false>>;
    case 5: return Made::template of<Polynomial<V, LEVELS, 5, false>>;
    case 6: return Made::template of<Polynomial<V, LEVELS, 6, false>>;
    case 7: return Made::template of<Polynomial<V, LEVELS, 7, false>>;
    case 8: return Made::template of<Polynomial<V, LEVELS, 8, false>>;
    case 9: return Made::template of<Polynomial<V, LEVELS, 9, false>>;
    case -7: return Made::template of<Polynomial<V, LEVELS, 7, true>>;
    case -8: return Made::template of<Polynomial<V, LEVELS, 8, true>>;
    case -9: return Made::template of<Polynomial<V, LEVELS, 9, true>>;
    default: return nullptr;
  }
}

template <class V, class Made>
typename Made::Type by_levels(const Table& table) {
  switch (table.levels) {
    case 0: return by_degree<V, 0, Made>(table.degree, table.fine != 0);
    case 3: return by_degree<V, 3, Made>(table.degree, table.fine != 0);
    case 4: return by_degree<V, 4, Made>(table.degree, table.fine != 0);
    case 5: return by_degree<V, 5, Made>(table.degree, table.fine != 0);
    default: return nullptr;
  }
}

template <class V>
Core<V> core_of(const Table& table) {
  return by_levels<V, Alone<V>>(table);
}

template <class V, int OWNERS, bool BACKWARD>
Kernel by_factor(int factor) {
  switch (factor) {
    case 0: return run<V, Cubic<V, 0, OWNERS>, BACKWARD>;
    case 1: return run<V, Cubic<V, 1, OWNERS>, BACKWARD>;
    case 2: return run<V, Cubic<V, 2, OWNERS>, BACKWARD>;
    default: return nullptr;
  }
}

template <class V, bool BACKWARD>
Kernel by_owners(const Grid& grid) {
  switch (grid.owners) {
    case kRight: return by_factor<V, kRight, BACKWARD>(grid.factor);
    case kLeft: return by_factor<V, kLeft, BACKWARD>(grid.factor);
    case kSome: return by_factor<V, kSome, BACKWARD>(grid.factor);
    default: return nullptr;
  }
}

template <class V, int DEGREE, bool BACKWARD>
Kernel by_count(int count) {
  switch (count) {
    case 1: return run<V, Few<V, 1, DEGREE>, BACKWARD>;
    case 2: return run<V, Few<V, 2, DEGREE>, BACKWARD>;
    case 3: return run<V, Few<V, 3, DEGREE>, BACKWARD>;
    case 4: return run<V, Few<V, 4, DEGREE>, BACKWARD>;
    default: return nullptr;
  }
}

template <class V, bool BACKWARD>
Kernel of_few(const Table& table) {
  return table.few_degree == 1 ? by_count<V, 1, BACKWARD>(table.few) : by_count<V, 3, BACKWARD>(table.few);
}

template <class V>
Kernel choose(const Table& table, bool backward) {
  if (table.few) return backward ? of_few<V, true>(table) : of_few<V, false>(table);
  if constexpr (V::ROWS) {
    if (table.grid.at)
      return backward ? by_owners<V, true>(table.grid) : by_owners<V, false>(table.grid);
  }
  return backward ? by_levels<V, Runs<V, true>>(table) : by_levels<V, Runs<V, false>>(table);
}

}  // namespace
}  // namespace plie
