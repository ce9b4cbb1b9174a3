// 16-bit floats in plain C++: float16 (HALF) and bfloat16, rounded to nearest even.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace plie::half {
namespace {

inline float as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t as_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

template <bool HALF>
inline float widen(uint16_t v) {
  if constexpr (!HALF) return as_float(static_cast<uint32_t>(v) << 16);
  const uint32_t sign = (v & 0x8000u) << 16, exponent = v >> 10 & 31, mantissa = v & 1023;
  if (exponent == 31) return as_float(sign | 0x7f800000u | mantissa << 13);
  if (exponent) return as_float(sign | (exponent + 112) << 23 | mantissa << 13);
  const float tiny = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
  return sign ? -tiny : tiny;
}

template <bool HALF>
inline uint16_t narrow(float v) {
  const uint32_t bits = as_bits(v), magnitude = bits & 0x7fffffffu;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  if constexpr (!HALF) {
    if (v != v) return 0x7fc0;
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
  if (magnitude > 0x7f800000u) return 0x7e00u;  // one NaN, whatever computes it
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more round to infinity
  if (magnitude < 0x38800000u) {                        // below 2^-14: steps of 2^-24
    const float steps = std::nearbyint(as_float(magnitude) * 16777216.0f);
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(steps));
  }
  const uint32_t rebased = magnitude - (112u << 23);
  return static_cast<uint16_t>(sign | (rebased + 0xfffu + (rebased >> 13 & 1)) >> 13);
}

template <bool HALF>
inline uint16_t product(uint16_t grad, float slope) {
  return narrow<HALF>(widen<HALF>(grad) * slope);
}

template <bool HALF>
inline void backward(const float* slopes, const uint16_t* x, const uint16_t* grad, uint16_t* out,
                     std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = product<HALF>(grad[i], slopes[x[i]]);
}

// One after another.
inline void gather(const uint16_t* table, const uint16_t* x, uint16_t* out, std::size_t n, bool) {
  for (std::size_t i = 0; i < n; ++i) out[i] = table[x[i]];
}

inline void gather_backward(const float* slopes, const uint16_t* x, const uint16_t* grad,
                            uint16_t* out, std::size_t n, bool half, bool) {
  (half ? backward<true> : backward<false>)(slopes, x, grad, out, n);
}

// Sixteen at a time where an instruction set H has registers for them:
//   results(table, x), products<HALF>(slopes, x, grad)   a register of them
//   store(p, v), stream(p, low, high), fence()            to memory; 32 past the cache
template <class H, class Next, class Last>
inline void by_sixteen(uint16_t* out, std::size_t n, bool stream, Next next, Last last) {
  std::size_t i = 0;
  if (stream) {
    for (; i < n && reinterpret_cast<uintptr_t>(out + i) % 64; ++i) out[i] = last(i);
    for (; i + 32 <= n; i += 32) H::stream(out + i, next(i), next(i + 16));
    H::fence();
  }
  for (; i + 16 <= n; i += 16) H::store(out + i, next(i));
  for (; i < n; ++i) out[i] = last(i);
}

template <class H>
void gather_by(const uint16_t* table, const uint16_t* x, uint16_t* out, std::size_t n, bool stream) {
  by_sixteen<H>(
      out, n, stream, [&](std::size_t i) { return H::results(table, x + i); },
      [&](std::size_t i) { return table[x[i]]; });
}

template <class H, bool HALF>
void backward_by(const float* slopes, const uint16_t* x, const uint16_t* grad, uint16_t* out, std::size_t n,
                 bool stream) {
  by_sixteen<H>(
      out, n, stream, [&](std::size_t i) { return H::template products<HALF>(slopes, x + i, grad + i); },
      [&](std::size_t i) { return product<HALF>(grad[i], slopes[x[i]]); });
}

template <class H>
void gather_backward_by(const float* slopes, const uint16_t* x, const uint16_t* grad, uint16_t* out,
                        std::size_t n, bool half, bool stream) {
  (half ? backward_by<H, true> : backward_by<H, false>)(slopes, x, grad, out, n, stream);
}

}  // namespace
}  // namespace plie::half
