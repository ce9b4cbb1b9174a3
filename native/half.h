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
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;
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

// For instruction sets without a gather worth having.
inline void gather(const uint16_t* table, const uint16_t* x, uint16_t* out, std::size_t n, bool) {
  for (std::size_t i = 0; i < n; ++i) out[i] = table[x[i]];
}

inline void gather_backward(const float* slopes, const uint16_t* x, const uint16_t* grad,
                            uint16_t* out, std::size_t n, bool half, bool) {
  (half ? backward<true> : backward<false>)(slopes, x, grad, out, n);
}

}  // namespace
}  // namespace plie::half
