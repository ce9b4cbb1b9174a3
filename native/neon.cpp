#include <arm_neon.h>

#include "family.h"
#include "half.h"
#include "kernel.h"
#include "train.h"

namespace plie {
namespace {

struct V {
  using F = float32x4_t;
  static constexpr int W = 4;
  static constexpr bool ROWS = true;
  static constexpr size_t BLOCK = 0;
  static constexpr int ROW = 16;
  static constexpr bool PICKS = false;
  static F load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, F v) { vst1q_f32(p, v); }
  static void stream(float* p, F v) { vst1q_f32(p, v); }
  static void fence() {}
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F sub(F a, F b) { return vsubq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static uint32_t nans(F v) {
    const uint32x4_t bad = vmvnq_u32(vceqq_f32(v, v));
    const uint32x4_t bit = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(bad, bit));
  }

  using D = float64x2_t;
  static constexpr int PARTS = 2;
  static D all(double v) { return vdupq_n_f64(v); }
  static D fma(D a, D b, D c) { return vfmaq_f64(c, a, b); }
  static D where_less(D a, D b, D c, D d) { return vbslq_f64(vcltq_f64(a, b), c, d); }
  static void widen(F v, D* part) {
    part[0] = vcvt_f64_f32(vget_low_f32(v)), part[1] = vcvt_high_f64_f32(v);
  }
  static F narrow(const D* part) { return vcvt_high_f32_f64(vcvt_f32_f64(part[0]), part[1]); }
  static D raised(D v, D n) {
    const int64x2_t exponent = vshlq_n_s64(vreinterpretq_s64_f64(n), 52);
    return vreinterpretq_f64_s64(vaddq_s64(vreinterpretq_s64_f64(v), exponent));
  }
  static void pair(const double* rows, const int32_t* at, D* two) {
    const D a = vld1q_f64(rows + at[0]), b = vld1q_f64(rows + at[1]);
    two[0] = vzip1q_f64(a, b), two[1] = vzip2q_f64(a, b);
  }

  static void sums(const F* v, float* out) {
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])));
  }
  static F all(float v) { return vdupq_n_f32(v); }
  static F floor(F v) { return vrndmq_f32(v); }
  static F ceil(F v) { return vrndpq_f32(v); }
  static F least(F a, F b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static F most(F a, F b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static F negated_fma(F a, F b, F c) { return vfmsq_f32(c, a, b); }
  static F where_less(F a, F b, F c, F d) { return vbslq_f32(vcltq_f32(a, b), c, d); }
  static uint32_t nans_or_others(F y, F a, F b) {
    const uint32x4_t good = vandq_u32(vceqq_f32(y, y), vceqq_f32(a, b));
    return vminvq_u32(good) == 0;
  }
  static F less_one_where(F v, F a, F b) { return vbslq_f32(vceqq_f32(a, b), vsubq_f32(v, all(1.0f)), v); }

  // Each lane loads its row, and four rows are transposed.
  static void row(const char* rows, F cell, F* coef) {
    const int32x4_t at = vshlq_n_s32(vcvtq_s32_f32(cell), 4);
    const auto four = [&](int offset) { return vld1q_f32(reinterpret_cast<const float*>(rows + offset)); };
    const F r0 = four(vgetq_lane_s32(at, 0)), r1 = four(vgetq_lane_s32(at, 1));
    const F r2 = four(vgetq_lane_s32(at, 2)), r3 = four(vgetq_lane_s32(at, 3));
    const float32x4x2_t a = vtrnq_f32(r0, r1), b = vtrnq_f32(r2, r3);
    coef[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    coef[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    coef[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    coef[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
  }

  // One value per lane by its segment's number: four loads from a table in the first cache.
  static F pick(const float* values, uint32x4_t at) {
    F v = vdupq_n_f32(values[vgetq_lane_u32(at, 0)]);
    v = vsetq_lane_f32(values[vgetq_lane_u32(at, 1)], v, 1);
    v = vsetq_lane_f32(values[vgetq_lane_u32(at, 2)], v, 2);
    return vsetq_lane_f32(values[vgetq_lane_u32(at, 3)], v, 3);
  }

  template <int LEVELS, class = void>
  struct Search {
    const float* tree;
    explicit Search(const Table& table) : tree(table.tree) {}
    uint32x4_t operator()(F x) const {
      uint32x4_t at = vdupq_n_u32(1);
      for (int level = 0; level < LEVELS; ++level)
        at = vsubq_u32(vaddq_u32(at, at), vcgeq_f32(x, pick(tree, at)));
      return vsubq_u32(at, vdupq_n_u32(1u << LEVELS));
    }
  };

  template <class Void>
  struct Search<0, Void> {
    const Table& table;
    explicit Search(const Table& table) : table(table) {}
    uint32x4_t operator()(F x) const {
      const F low = vdupq_n_f32(table.low), high = vdupq_n_f32(table.high);
      F inside = vbslq_f32(vcgtq_f32(x, low), x, low);
      inside = vbslq_f32(vcltq_f32(inside, high), inside, high);
      const F placed = vfmaq_f32(vdupq_n_f32(table.shift), inside, vdupq_n_f32(table.scale));
      const uint32x4_t cell = vandq_u32(vreinterpretq_u32_f32(placed), vdupq_n_u32(15));
      const uint32x4_t right = vcgeq_f32(x, pick(table.tree, cell));
      return vaddq_u32(cell, vandq_u32(right, vdupq_n_u32(16)));
    }
  };

  template <int LEVELS>
  struct Lookup {
    const float* values;
    Lookup() = default;
    explicit Lookup(const float* p) : values(p) {}
    F operator()(uint32x4_t at) const { return pick(values, at); }
  };

  template <int LEVELS, int COUNT>
  using Values = Lookups<V, LEVELS, COUNT>;
};

}  // namespace

extern const Path kNeon = {"neon", choose<V>, half::gather, half::gather_backward,
                           family_forward<V>, family_backward<V>, train_member<V>};

}  // namespace plie
