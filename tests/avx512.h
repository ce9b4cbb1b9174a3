// AVX-512 on machines that have none: each intrinsic that native/avx512.cpp uses, lane by lane,
// as the processor's manual defines it. Given to the compiler in front of that file.
#pragma once
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulated {

using F = __m512;
using D = __m512d;
using I = __m512i;
using Words = int32_t __attribute__((vector_size(64)));
using Longs = uint64_t __attribute__((vector_size(64)));

template <class To, class From>
To cast(From v) {
  To to{};
  std::memcpy(&to, &v, sizeof(to) < sizeof(v) ? sizeof(to) : sizeof(v));
  return to;
}

template <class V, int N, class Each>
V lanes(Each each) {
  V v{};
  for (int i = 0; i < N; ++i) v[i] = each(i);
  return v;
}

template <class Each>
I words(Each each) {
  return cast<I>(lanes<Words, 16>(each));
}

inline int32_t word(I v, int i) { return cast<Words>(v)[i]; }

template <class Each>
uint32_t bits(int n, Each each) {
  uint32_t mask = 0;
  for (int i = 0; i < n; ++i) mask |= uint32_t(each(i)) << i;
  return mask;
}

template <class T>
bool compare(T a, T b, int how) {
  switch (how) {
    case _CMP_LT_OQ: return a < b;
    case _CMP_GE_OQ: return a >= b;
    case _CMP_UNORD_Q: return std::isnan(a) || std::isnan(b);
  }
  __builtin_trap();  // one that is not written yet
}

// The part-th piece of v, or v with that piece replaced.
template <class Piece, class V>
Piece part(V v, int at) {
  Piece found;
  std::memcpy(&found, reinterpret_cast<char*>(&v) + at * sizeof(found), sizeof(found));
  return found;
}
template <class V, class Piece>
V with_part(V v, Piece piece, int at) {
  std::memcpy(reinterpret_cast<char*>(&v) + at * sizeof(piece), &piece, sizeof(piece));
  return v;
}

inline F loadu_ps(const void* p) { return lanes<F, 16>([&](int i) { return static_cast<const float*>(p)[i]; }); }
inline void storeu_ps(void* p, F v) { std::memcpy(p, &v, sizeof(v)); }
template <class V>
void stream(void* p, V v) {
  if (reinterpret_cast<uintptr_t>(p) % 64) __builtin_trap();  // as the processor would
  std::memcpy(p, &v, sizeof(v));
}

inline F fmadd_ps(F a, F b, F c) { return lanes<F, 16>([&](int i) { return std::fma(float(a[i]), float(b[i]), float(c[i])); }); }
inline D fmadd_pd(D a, D b, D c) { return lanes<D, 8>([&](int i) { return std::fma(double(a[i]), double(b[i]), double(c[i])); }); }
// Of which the second is the result where one is not a number.
inline F max_ps(F a, F b) { return lanes<F, 16>([&](int i) { return a[i] > b[i] ? a[i] : b[i]; }); }
inline F min_ps(F a, F b) { return lanes<F, 16>([&](int i) { return a[i] < b[i] ? a[i] : b[i]; }); }
inline uint32_t cmp_ps_mask(F a, F b, int how) { return bits(16, [&](int i) { return compare(float(a[i]), float(b[i]), how); }); }
inline uint32_t cmp_pd_mask(D a, D b, int how) { return bits(8, [&](int i) { return compare(double(a[i]), double(b[i]), how); }); }
inline F mask_blend_ps(uint32_t k, F a, F b) { return lanes<F, 16>([&](int i) { return k >> i & 1 ? b[i] : a[i]; }); }
inline D mask_blend_pd(uint32_t k, D a, D b) { return lanes<D, 8>([&](int i) { return k >> i & 1 ? b[i] : a[i]; }); }

inline I mask_mov_epi32(I other, uint32_t k, I a) { return words([&](int i) { return word(k >> i & 1 ? a : other, i); }); }
inline I add_epi32(I a, I b) { return words([&](int i) { return int32_t(uint32_t(word(a, i)) + uint32_t(word(b, i))); }); }
inline I mask_add_epi32(I other, uint32_t k, I a, I b) { return mask_mov_epi32(other, k, add_epi32(a, b)); }
inline I add_epi64(I a, I b) { return cast<I>(cast<Longs>(a) + cast<Longs>(b)); }
inline I slli_epi64(I a, int n) { return cast<I>(cast<Longs>(a) << n); }
inline I slli_epi32(I a, int n) { return words([&](int i) { return int32_t(uint32_t(word(a, i)) << n); }); }
inline I srli_epi32(I a, int n) { return words([&](int i) { return int32_t(uint32_t(word(a, i)) >> n); }); }
inline I and_si512(I a, I b) { return words([&](int i) { return word(a, i) & word(b, i); }); }
inline I set1_epi32(int n) { return words([&](int) { return n; }); }

inline F permutexvar_ps(I at, F a) { return lanes<F, 16>([&](int i) { return a[word(at, i) & 15]; }); }
inline F permutex2var_ps(F a, I at, F b) {
  return lanes<F, 16>([&](int i) { return (word(at, i) & 16 ? b : a)[word(at, i) & 15]; });
}
inline F mask_expandloadu_ps(F other, uint32_t k, const void* p) {
  const float* next = static_cast<const float*>(p);
  return lanes<F, 16>([&](int i) { return k >> i & 1 ? *next++ : other[i]; });
}
inline D unpacklo_pd(D a, D b) { return lanes<D, 8>([&](int i) { return i % 2 ? b[i - 1] : a[i]; }); }
inline D unpackhi_pd(D a, D b) { return lanes<D, 8>([&](int i) { return i % 2 ? b[i] : a[i + 1]; }); }

template <class T>
T fetched(I at, const void* p, int scale, int i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(p) + int64_t(word(at, i)) * scale, sizeof(value));
  return value;
}
inline F i32gather_ps(I at, const void* p, int scale) { return lanes<F, 16>([&](int i) { return fetched<float>(at, p, scale, i); }); }
inline I i32gather_epi32(I at, const void* p, int scale) { return words([&](int i) { return fetched<int32_t>(at, p, scale, i); }); }

using Shorts = uint16_t __attribute__((vector_size(32)));
inline I cvtepu16_epi32(__m256i v) { return words([&](int i) { return int32_t(cast<Shorts>(v)[i]); }); }
inline __m256i cvtepi32_epi16(I v) { return cast<__m256i>(lanes<Shorts, 16>([&](int i) { return uint16_t(word(v, i)); })); }
inline D cvtps_pd(__m256 v) { return lanes<D, 8>([&](int i) { return double(v[i]); }); }
inline __m256 cvtpd_ps(D v) { return lanes<__m256, 8>([&](int i) { return float(v[i]); }); }
inline F cvtph_ps(__m256i v) {
  const auto half = [&](int i) { return _mm256_cvtph_ps(part<__m128i>(v, i)); };
  return with_part(cast<F>(half(0)), half(1), 1);
}
template <int ROUNDING>
__m256i cvtps_ph(F v) {
  const auto half = [&](int i) { return _mm256_cvtps_ph(part<__m256>(v, i), ROUNDING & 3); };
  return with_part(cast<__m256i>(half(0)), half(1), 1);
}

}  // namespace emulated

#define _mm512_add_ps(a, b) ((a) + (b))
#define _mm512_sub_ps(a, b) ((a) - (b))
#define _mm512_mul_ps(a, b) ((a) * (b))
#define _mm512_set1_ps(v) (emulated::F{} + (v))
#define _mm512_set1_pd(v) (emulated::D{} + (v))
#define _mm512_castps256_ps512 emulated::cast<__m512>
#define _mm512_castps512_ps256 emulated::cast<__m256>
#define _mm512_castpd128_pd512 emulated::cast<__m512d>
#define _mm512_castsi256_si512 emulated::cast<__m512i>
#define _mm512_castpd_si512 emulated::cast<__m512i>
#define _mm512_castps_si512 emulated::cast<__m512i>
#define _mm512_castsi512_pd emulated::cast<__m512d>
#define _mm512_castsi512_ps emulated::cast<__m512>
#define _mm512_extractf32x8_ps emulated::part<__m256>
#define _mm512_insertf32x8 emulated::with_part
#define _mm512_insertf64x2 emulated::with_part
#define _mm512_inserti64x4 emulated::with_part
#define _mm512_stream_ps emulated::stream
#define _mm512_stream_si512 emulated::stream
#define _mm512_cvtps_ph(v, rounding) emulated::cvtps_ph<rounding>(v)
#define _mm512_add_epi32 emulated::add_epi32
#define _mm512_add_epi64 emulated::add_epi64
#define _mm512_and_si512 emulated::and_si512
#define _mm512_cmp_pd_mask emulated::cmp_pd_mask
#define _mm512_cmp_ps_mask emulated::cmp_ps_mask
#define _mm512_cvtepi32_epi16 emulated::cvtepi32_epi16
#define _mm512_cvtepu16_epi32 emulated::cvtepu16_epi32
#define _mm512_cvtpd_ps emulated::cvtpd_ps
#define _mm512_cvtph_ps emulated::cvtph_ps
#define _mm512_cvtps_pd emulated::cvtps_pd
#define _mm512_fmadd_pd emulated::fmadd_pd
#define _mm512_fmadd_ps emulated::fmadd_ps
#define _mm512_i32gather_epi32 emulated::i32gather_epi32
#define _mm512_i32gather_ps emulated::i32gather_ps
#define _mm512_loadu_ps emulated::loadu_ps
#define _mm512_mask_add_epi32 emulated::mask_add_epi32
#define _mm512_mask_blend_pd emulated::mask_blend_pd
#define _mm512_mask_blend_ps emulated::mask_blend_ps
#define _mm512_mask_expandloadu_ps emulated::mask_expandloadu_ps
#define _mm512_mask_mov_epi32 emulated::mask_mov_epi32
#define _mm512_max_ps emulated::max_ps
#define _mm512_min_ps emulated::min_ps
#define _mm512_permutex2var_ps emulated::permutex2var_ps
#define _mm512_permutexvar_ps emulated::permutexvar_ps
#define _mm512_set1_epi32 emulated::set1_epi32
#define _mm512_slli_epi32 emulated::slli_epi32
#define _mm512_slli_epi64 emulated::slli_epi64
#define _mm512_srli_epi32 emulated::srli_epi32
#define _mm512_storeu_ps emulated::storeu_ps
#define _mm512_unpackhi_pd emulated::unpackhi_pd
#define _mm512_unpacklo_pd emulated::unpacklo_pd
