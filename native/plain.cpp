#include <cmath>

#include "family.h"
#include "half.h"
#include "kernel.h"
#include "train.h"

namespace plie {
namespace {

struct V {
  using F = float;
  static constexpr int W = 1;
  static constexpr bool ROWS = true;
  static constexpr size_t BLOCK = 0;
  static constexpr int ROW = 16;
  static constexpr bool PICKS = false;
  static F load(const float* p) { return *p; }
  static void store(float* p, F v) { *p = v; }
  static void stream(float* p, F v) { *p = v; }
  static void fence() {}
  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F fma(F a, F b, F c) { return std::fma(a, b, c); }
  static uint32_t nans(F v) { return v != v; }
  using D = double;
  static constexpr int PARTS = 1;
  static D all(double v) { return v; }
  static D fma(D a, D b, D c) { return std::fma(a, b, c); }
  static D where_less(D a, D b, D c, D d) { return a < b ? c : d; }
  static void widen(F v, D* part) { *part = v; }
  static F narrow(const D* part) { return static_cast<F>(*part); }
  static D raised(D v, D n) {
    uint64_t bits, exponent;
    std::memcpy(&bits, &v, sizeof bits);
    std::memcpy(&exponent, &n, sizeof exponent);
    bits += exponent << 52;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
  static void pair(const double* rows, const int32_t* at, D* two) {
    two[0] = rows[*at], two[1] = rows[*at + 1];
  }
  static void sums(const F* v, float* out) { std::memcpy(out, v, 4 * sizeof(float)); }
  static F all(float v) { return v; }
  static F floor(F v) { return std::floor(v); }
  static F ceil(F v) { return std::ceil(v); }
  static F least(F a, F b) { return a < b ? a : b; }
  static F most(F a, F b) { return a > b ? a : b; }
  static F negated_fma(F a, F b, F c) { return std::fma(-a, b, c); }
  static F where_less(F a, F b, F c, F d) { return a < b ? c : d; }
  static uint32_t nans_or_others(F y, F a, F b) { return y != y || !(a == b); }
  static F less_one_where(F v, F a, F b) { return a == b ? v - 1 : v; }
  static void row(const char* rows, F cell, F* coef) {
    std::memcpy(coef, rows + 16 * static_cast<int>(cell), 16);
  }

  template <int LEVELS, class = void>
  struct Search {
    const float* tree;
    explicit Search(const Table& table) : tree(table.tree) {}
    unsigned operator()(F x) const {
      unsigned at = 1;
      for (int level = 0; level < LEVELS; ++level) at = 2 * at + (x >= tree[at]);
      return at - (1u << LEVELS);
    }
  };

  template <class Void>
  struct Search<0, Void> {
    const Table& table;
    explicit Search(const Table& table) : table(table) {}
    unsigned operator()(F x) const {
      F inside = x > table.low ? x : table.low;
      inside = inside < table.high ? inside : table.high;
      const unsigned cell = half::as_bits(std::fma(inside, table.scale, table.shift)) & 15u;
      return cell + (x >= table.tree[cell] ? 16u : 0u);
    }
  };

  template <int LEVELS>
  struct Lookup {
    const float* values;
    Lookup() = default;
    explicit Lookup(const float* p) : values(p) {}
    F operator()(unsigned at) const { return values[at]; }
  };

  template <int LEVELS, int COUNT>
  using Values = Lookups<V, LEVELS, COUNT>;
};

}  // namespace

extern const Path kPlain = {"plain", choose<V>, half::gather, half::gather_backward,
                           family_forward<V>, family_backward<V>, train_member<V>};

}  // namespace plie
