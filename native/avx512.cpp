#include <immintrin.h>

#include "family.h"
#include "half.h"
#include "kernel.h"
#include "train.h"

namespace plie {
namespace {

struct V {
  using F = __m512;
  static constexpr int W = 16;
  static constexpr bool ROWS = false;  // two registers and one permute hold 32 values
  static constexpr bool PICKS = false;
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  static void stream(float* p, F v) { _mm512_stream_ps(p, v); }
  static void fence() { _mm_sfence(); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static void sums(const F* v, float* out) {
    __m256 half[4];
    for (int i = 0; i < 4; ++i)
      half[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
    const __m256 four = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1)));
  }
  static F all(float v) { return _mm512_set1_ps(v); }
  static F where_less(F a, F b, F c, F d) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), d, c);
  }
  static uint32_t nans(F v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q); }

  using D = __m512d;
  static constexpr int PARTS = 2;
  static D all(double v) { return _mm512_set1_pd(v); }
  static D fma(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
  static D where_less(D a, D b, D c, D d) {
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), d, c);
  }
  static void widen(F v, D* part) {
    part[0] = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    part[1] = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
  }
  static F narrow(const D* part) {
    const F low = _mm512_castps256_ps512(_mm512_cvtpd_ps(part[0]));
    return _mm512_insertf32x8(low, _mm512_cvtpd_ps(part[1]), 1);
  }
  static D raised(D v, D n) {
    const __m512i exponent = _mm512_slli_epi64(_mm512_castpd_si512(n), 52);
    return _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(v), exponent));
  }
  static void pair(const double* rows, const int32_t* at, D* two) {
    const auto two_of = [&](int i) { return _mm_loadu_pd(rows + at[i]); };
    const auto join = [&](int i) {
      const D v = _mm512_insertf64x2(_mm512_castpd128_pd512(two_of(i)), two_of(i + 2), 1);
      return _mm512_insertf64x2(_mm512_insertf64x2(v, two_of(i + 4), 2), two_of(i + 6), 3);
    };
    const D even = join(0), odd = join(1);
    two[0] = _mm512_unpacklo_pd(even, odd), two[1] = _mm512_unpackhi_pd(even, odd);
  }

  // The node's number after each level; its low bits are at last the segment's number.
  template <int LEVELS, class = void>
  struct Search {
    F root, low, high;  // nodes 1, 0-15 and 16-31 of the tree
    explicit Search(const Table& table)
        : root(_mm512_set1_ps(table.tree[1])), low(load(table.tree)), high(load(table.tree + 16)) {}
    inline __attribute__((always_inline)) __m512i operator()(F x) const {
      const __m512i one = _mm512_set1_epi32(1);
      __m512i at = _mm512_mask_mov_epi32(_mm512_set1_epi32(2), above(x, root), _mm512_set1_epi32(3));
#pragma GCC unroll 4
      for (int level = 1; level < LEVELS; ++level) {
        const __mmask16 right = above(x, _mm512_permutexvar_ps(at, level < 4 ? low : high));
        at = _mm512_add_epi32(at, at);
        at = _mm512_mask_add_epi32(at, right, at, one);
      }
      return at;
    }
    static __mmask16 above(F x, F node) { return _mm512_cmp_ps_mask(x, node, _CMP_GE_OQ); }
  };

  template <class Void>
  struct Search<0, Void> {
    F low, high, scale, shift, border;
    explicit Search(const Table& table)
        : low(_mm512_set1_ps(table.low)),
          high(_mm512_set1_ps(table.high)),
          scale(_mm512_set1_ps(table.scale)),
          shift(_mm512_set1_ps(table.shift)),
          border(load(table.tree)) {}
    inline __attribute__((always_inline)) __m512i operator()(F x) const {
      const F inside = _mm512_min_ps(_mm512_max_ps(x, low), high);
      const __m512i cell = _mm512_castps_si512(_mm512_fmadd_ps(inside, scale, shift));
      const __mmask16 right =
          _mm512_cmp_ps_mask(x, _mm512_permutexvar_ps(cell, border), _CMP_GE_OQ);
      return _mm512_mask_add_epi32(cell, right, cell, _mm512_set1_epi32(16));
    }
  };

  template <int LEVELS>
  struct Lookup {
    F low, high;
    Lookup() = default;
    explicit Lookup(const float* p) : low(load(p)), high(load(p + 16)) {
      // With 8 segments the node's number is 8 to 15.
      if (LEVELS == 3) low = _mm512_mask_expandloadu_ps(low, 0xff00, p);
    }
    F operator()(__m512i at) const {
      if constexpr (LEVELS == 5 || LEVELS == 0) return _mm512_permutex2var_ps(low, at, high);
      return _mm512_permutexvar_ps(at, low);
    }
  };

  template <int LEVELS, int COUNT>
  using Values = Lookups<V, LEVELS, COUNT>;
};

template <bool HALF>
__m512 widen(__m256i v) {
  if constexpr (HALF) return _mm512_cvtph_ps(v);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

template <bool HALF>
__m256i narrow(__m512 v) {
  // One NaN, whatever its bits: rounded to 16 it stays the same.
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i bits = _mm512_mask_mov_epi32(_mm512_castps_si512(v), nan, _mm512_set1_epi32(0x7fc00000));
  if constexpr (HALF)
    return _mm512_cvtps_ph(_mm512_castsi512_ps(bits), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // Not the processor's own conversion, which flushes subnormal numbers.
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

struct Halves {
  static __m256i load(const uint16_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
  static void store(uint16_t* p, __m256i v) { _mm256_storeu_si256((__m256i*)p, v); }
  static void stream(uint16_t* p, __m256i low, __m256i high) {
    _mm512_stream_si512((__m512i*)p, _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
  }
  static void fence() { _mm_sfence(); }
  static __m256i results(const uint16_t* table, const uint16_t* x) {
    const __m512i index = _mm512_cvtepu16_epi32(load(x));
    return _mm512_cvtepi32_epi16(_mm512_i32gather_epi32(index, table, 2));
  }
  template <bool HALF>
  static __m256i products(const float* slopes, const uint16_t* x, const uint16_t* grad) {
    const __m512i index = _mm512_cvtepu16_epi32(load(x));
    return narrow<HALF>(_mm512_mul_ps(widen<HALF>(load(grad)), _mm512_i32gather_ps(index, slopes, 4)));
  }
};

// Functions whose core ends next to 0, where nothing but the formula would go on, as short waves:
// AVX2's cells reach further, and the formula costs a hundred times what they do. `Compiled.cells`
// in plie/compiled/tables.py says the same.
constexpr float kShort = 4;

bool is_short(const Table& table) {
  if (!table.grid.at || table.few || !table.levels) return false;
  const int last = (1 << table.levels) - 1;
  return (table.side[0].open && table.tree[(last + 1) / 2] > -kShort) ||
         (table.side[1].open && table.tree[last] < kShort);
}

Kernel choose_form(const Table& table, bool backward) {
  return is_short(table) ? kAvx2.choose(table, backward) : choose<V>(table, backward);
}

}  // namespace

extern const Path kAvx512 = {"avx512", choose_form, half::gather_by<Halves>, half::gather_backward_by<Halves>,
                           family_forward<V>, family_backward<V>, train_member<V>};

}  // namespace plie
