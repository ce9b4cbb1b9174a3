#include <immintrin.h>

#include "family.h"
#include "half.h"
#include "kernel.h"
#include "train.h"

namespace plie {
namespace {

struct V {
  using F = __m256;
  static constexpr int W = 8;
  static constexpr bool ROWS = true;
  static constexpr bool PICKS = true;
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  static void stream(float* p, F v) { _mm256_stream_ps(p, v); }
  static void fence() { _mm_sfence(); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static uint32_t nans(F v) { return _mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)); }

  using D = __m256d;
  static constexpr int PARTS = 2;
  static D all(double v) { return _mm256_set1_pd(v); }
  static D fma(D a, D b, D c) { return _mm256_fmadd_pd(a, b, c); }
  static D where_less(D a, D b, D c, D d) {
    return _mm256_blendv_pd(d, c, _mm256_cmp_pd(a, b, _CMP_LT_OQ));
  }
  static void widen(F v, D* part) {
    part[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    part[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
  }
  static F narrow(const D* part) {
    return _mm256_set_m128(_mm256_cvtpd_ps(part[1]), _mm256_cvtpd_ps(part[0]));
  }
  static D raised(D v, D n) {
    const __m256i exponent = _mm256_slli_epi64(_mm256_castpd_si256(n), 52);
    return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(v), exponent));
  }
  static void pair(const double* rows, const int32_t* at, D* two) {
    const auto join = [&](int i, int j) {
      const __m256d low = _mm256_castpd128_pd256(_mm_loadu_pd(rows + at[i]));
      return _mm256_insertf128_pd(low, _mm_loadu_pd(rows + at[j]), 1);
    };
    const D even = join(0, 2), odd = join(1, 3);
    two[0] = _mm256_unpacklo_pd(even, odd), two[1] = _mm256_unpackhi_pd(even, odd);
  }

  // The sums of four registers' lanes.
  static void sums(const F* v, float* out) {
    const F four = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1)));
  }
  static F all(float v) { return _mm256_set1_ps(v); }
  static F floor(F v) { return _mm256_floor_ps(v); }
  static F ceil(F v) { return _mm256_ceil_ps(v); }
  static F least(F a, F b) { return _mm256_min_ps(a, b); }
  static F most(F a, F b) { return _mm256_max_ps(a, b); }
  static F negated_fma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  static F where_less(F a, F b, F c, F d) {
    return _mm256_blendv_ps(d, c, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  using Place = __m256i;
  static Place first() { return _mm256_setzero_si256(); }
  static Place from_border(Place place, F x, F border) {
    return _mm256_sub_epi32(place, _mm256_castps_si256(_mm256_cmp_ps(x, border, _CMP_NLT_UQ)));
  }
  static F four(const float* p) { return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(p)); }
  static F pick(F four, Place place) { return _mm256_permutevar_ps(four, place); }
  static uint32_t nans_or_others(F y, F a, F b) {
    return _mm256_movemask_ps(
        _mm256_or_ps(_mm256_cmp_ps(y, y, _CMP_UNORD_Q), _mm256_cmp_ps(a, b, _CMP_NEQ_UQ)));
  }
  static F less_one_where(F v, F a, F b) {
    const F equal = _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
    return _mm256_sub_ps(v, _mm256_and_ps(equal, all(1.0f)));
  }

  static constexpr size_t BLOCK = 256;
  static constexpr int ROW = 16;
  static void places(F cell, int32_t* at) {
    _mm256_store_si256((__m256i*)at, _mm256_slli_epi32(_mm256_cvtps_epi32(cell), 4));
  }
  static F placed(const int32_t* at) { return _mm256_cvtepi32_ps(_mm256_load_si256((const __m256i*)at)); }
  static F other_or(F v, F a, F b) { return _mm256_or_ps(v, _mm256_cmp_ps(a, b, _CMP_NEQ_UQ)); }

  // Each lane loads its row, and eight rows are transposed.
  static inline __attribute__((always_inline)) void row(const char* rows, F cell, F* coef) {
    // Through memory: to take eight numbers out of a register costs more than to load them.
    alignas(32) int32_t at[8];
    places(cell, at);
    asm volatile("" : "+m"(at));
    row_at(rows, at, coef);
  }
  static inline __attribute__((always_inline)) void row_at(const char* rows, const int32_t* at, F* coef) {
    const auto four = [&](int lane) {
      return _mm_load_ps(reinterpret_cast<const float*>(rows + at[lane]));
    };
    F pair[4];  // lane i in the lower half, i + 4 in the upper
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      pair[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(four(i)), four(i + 4), 1);
    const F a = _mm256_unpacklo_ps(pair[0], pair[1]), b = _mm256_unpacklo_ps(pair[2], pair[3]);
    const F c = _mm256_unpackhi_ps(pair[0], pair[1]), d = _mm256_unpackhi_ps(pair[2], pair[3]);
    coef[0] = _mm256_shuffle_ps(a, b, 0x44);
    coef[1] = _mm256_shuffle_ps(a, b, 0xee);
    coef[2] = _mm256_shuffle_ps(c, d, 0x44);
    coef[3] = _mm256_shuffle_ps(c, d, 0xee);
  }

  // 2^BITS values; permutes choose among eight by the low bits, blends among those by the rest.
  template <int BITS>
  static F pick(const F* part, __m256i at) {
    F a = _mm256_permutevar8x32_ps(part[0], at);
    if constexpr (BITS == 3) return a;
    const F bit3 = _mm256_castsi256_ps(_mm256_slli_epi32(at, 28));
    a = _mm256_blendv_ps(a, _mm256_permutevar8x32_ps(part[1], at), bit3);
    if constexpr (BITS == 4) return a;
    F b = _mm256_permutevar8x32_ps(part[2], at);
    b = _mm256_blendv_ps(b, _mm256_permutevar8x32_ps(part[3], at), bit3);
    return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(at, 27)));
  }

  template <int LEVELS, class = void>
  struct Search {
    F part[4];
    explicit Search(const Table& table) {
      for (int i = 0; i < 4; ++i) part[i] = load(table.tree + 8 * i);
    }
    inline __attribute__((always_inline)) __m256i operator()(F x) const {
      __m256i at = _mm256_set1_epi32(1);
#pragma GCC unroll 5
      for (int level = 0; level < LEVELS; ++level) {
        const F node = level < 3 ? pick<3>(part, at) : level < 4 ? pick<3>(part + 1, at) : pick<4>(part + 2, at);
        const __m256i right = _mm256_castps_si256(_mm256_cmp_ps(x, node, _CMP_GE_OQ));
        at = _mm256_sub_epi32(_mm256_add_epi32(at, at), right);
      }
      return at;
    }
  };

  template <class Void>
  struct Search<0, Void> {
    F low, high, scale, shift, border[2];
    explicit Search(const Table& table)
        : low(_mm256_set1_ps(table.low)),
          high(_mm256_set1_ps(table.high)),
          scale(_mm256_set1_ps(table.scale)),
          shift(_mm256_set1_ps(table.shift)),
          border{load(table.tree), load(table.tree + 8)} {}
    inline __attribute__((always_inline)) __m256i operator()(F x) const {
      const F inside = _mm256_min_ps(_mm256_max_ps(x, low), high);
      const __m256i cell = _mm256_castps_si256(_mm256_fmadd_ps(inside, scale, shift));
      const F right = _mm256_cmp_ps(x, pick<4>(border, cell), _CMP_GE_OQ);
      const __m256i sixteen = _mm256_set1_epi32(16);
      return _mm256_add_epi32(cell, _mm256_and_si256(_mm256_castps_si256(right), sixteen));
    }
  };

  template <int LEVELS>
  struct Lookup {
    F part[4];
    Lookup() = default;
    explicit Lookup(const float* p) {
      for (int i = 0; i < 4; ++i) part[i] = load(p + 8 * i);
    }
    F operator()(__m256i at) const { return pick<LEVELS == 0 ? 5 : LEVELS>(part, at); }
  };

  template <int LEVELS, int COUNT>
  using Values = Lookups<V, LEVELS, COUNT>;
};

// 16-bit floats. The processor's gather is slower than loads of one value after another, which go
// into a register at once, their places taken out of 64 bits at a time.
struct Halves {
  static void store(uint16_t* p, __m256i v) { _mm256_storeu_si256((__m256i*)p, v); }
  static void stream(uint16_t* p, __m256i low, __m256i high) {
    _mm256_stream_si256((__m256i*)p, low);
    _mm256_stream_si256((__m256i*)(p + 16), high);
  }
  static void fence() { _mm_sfence(); }

  struct Four {
    uint64_t bits;
    explicit Four(const uint16_t* x) { std::memcpy(&bits, x, sizeof bits); }
    size_t operator[](int i) const { return static_cast<uint16_t>(bits >> 16 * i); }
  };

  static __m128i four(const uint16_t* table, const uint16_t* x) {
    const Four at(x);
    __m128i v = _mm_cvtsi32_si128(table[at[0]]);
    v = _mm_insert_epi16(v, table[at[1]], 1);
    v = _mm_insert_epi16(v, table[at[2]], 2);
    return _mm_insert_epi16(v, table[at[3]], 3);
  }
  static __m256i results(const uint16_t* table, const uint16_t* x) {
    const __m128i low = _mm_unpacklo_epi64(four(table, x), four(table, x + 4));
    return _mm256_set_m128i(_mm_unpacklo_epi64(four(table, x + 8), four(table, x + 12)), low);
  }

  static __m128 four(const float* slopes, const uint16_t* x) {
    const Four at(x);
    return _mm_setr_ps(slopes[at[0]], slopes[at[1]], slopes[at[2]], slopes[at[3]]);
  }
  // Whatever its bits: rounded to 16 it stays the same.
  static __m256 one_nan(__m256 y) {
    const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
    return _mm256_blendv_ps(y, nan, _mm256_cmp_ps(y, y, _CMP_UNORD_Q));
  }
  template <bool HALF>
  static __m256i eight(const float* slopes, const uint16_t* x, const uint16_t* grad) {
    const __m256 slope = _mm256_set_m128(four(slopes, x + 4), four(slopes, x));
    const __m128i g = _mm_loadu_si128((const __m128i*)grad);
    if constexpr (HALF) {
      const __m256 y = one_nan(_mm256_mul_ps(_mm256_cvtph_ps(g), slope));
      return _mm256_cvtepu16_epi32(_mm256_cvtps_ph(y, _MM_FROUND_TO_NEAREST_INT));
    }
    const __m256 wide = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(g), 16));
    const __m256i bits = _mm256_castps_si256(one_nan(_mm256_mul_ps(wide, slope)));
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  }
  template <bool HALF>
  static __m256i products(const float* slopes, const uint16_t* x, const uint16_t* grad) {
    const __m256i low = eight<HALF>(slopes, x, grad), high = eight<HALF>(slopes, x + 8, grad + 8);
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
  }
};

}  // namespace

extern const Path kAvx2 = {"avx2", choose<V>, half::gather_by<Halves>, half::gather_backward_by<Halves>,
                           family_forward<V>, family_backward<V>, train_member<V>};

}  // namespace plie
