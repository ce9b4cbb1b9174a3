// Training of one perceptron, start to end on one thread, with all it needs in the cache.
//
// Numbers of a tile of points lie feature by feature: row i of a matrix holds feature or unit i of
// all its points, so that every operation runs along points, in full registers. A tile's width is a
// multiple of 16; the lanes beyond the last point repeat it and weigh nothing.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "entry.h"
#include "kernel.h"

namespace plie {
namespace {

constexpr int kRows = 4;     // of a block of results kept in registers
constexpr int kColumns = 2;  // registers wide

// c = bias + a b: a is (m, k), its element (i, j) at a[i * by_row + j * by_column].
template <class V, int M, int N>
inline void product_block(const float* a, int64_t by_row, int64_t by_column, const float* bias,
                          const float* b, float* c, int64_t inner, int64_t width) {
  typename V::F sum[M][N];
  for (int i = 0; i < M; ++i)
    for (int n = 0; n < N; ++n) sum[i][n] = V::all(bias ? bias[i] : 0.0f);
  for (int64_t j = 0; j < inner; ++j) {
    typename V::F row[N];
    for (int n = 0; n < N; ++n) row[n] = V::load(b + j * width + n * V::W);
    for (int i = 0; i < M; ++i) {
      const auto factor = V::all(a[i * by_row + j * by_column]);
      for (int n = 0; n < N; ++n) sum[i][n] = V::fma(factor, row[n], sum[i][n]);
    }
  }
  for (int i = 0; i < M; ++i)
    for (int n = 0; n < N; ++n) V::store(c + i * width + n * V::W, sum[i][n]);
}

template <class V, int M>
inline void product_rows(const float* a, int64_t by_row, int64_t by_column, const float* bias,
                         const float* b, float* c, int64_t inner, int64_t width) {
  int64_t at = 0;
  for (; at + kColumns * V::W <= width; at += kColumns * V::W)
    product_block<V, M, kColumns>(a, by_row, by_column, bias, b + at, c + at, inner, width);
  for (; at < width; at += V::W)
    product_block<V, M, 1>(a, by_row, by_column, bias, b + at, c + at, inner, width);
}

template <class V>
void product(const float* a, int64_t by_row, int64_t by_column, const float* bias, const float* b,
             float* c, int64_t rows, int64_t inner, int64_t width) {
  int64_t i = 0;
  const auto next = [&](auto run) {
    run(a + i * by_row, by_row, by_column, bias ? bias + i : nullptr, b, c + i * width, inner,
        width);
  };
  for (; i + kRows <= rows; i += kRows) next(product_rows<V, kRows>);
  if (rows - i == 3) next(product_rows<V, 3>);
  if (rows - i == 2) next(product_rows<V, 2>);
  if (rows - i == 1) next(product_rows<V, 1>);
}

// weight (m, n) += a b^T over the points, and bias (m) += the sums of a's rows.
template <class V, int M, int N>
inline void dots_block(const float* a, const float* b, float* weight, int64_t by_row, float* bias,
                       int64_t width) {
  constexpr int kTotals = (M * (N + 1) + 3) / 4 * 4;
  typename V::F sum[kTotals];
  for (auto& each : sum) each = V::all(0.0f);
  for (int64_t at = 0; at < width; at += V::W) {
    typename V::F column[N];
    for (int n = 0; n < N; ++n) column[n] = V::load(b + n * width + at);
    for (int i = 0; i < M; ++i) {
      const auto row = V::load(a + i * width + at);
      for (int n = 0; n < N; ++n) sum[i * N + n] = V::fma(row, column[n], sum[i * N + n]);
      if (bias) sum[M * N + i] = V::add(sum[M * N + i], row);
    }
  }
  float total[kTotals];
  for (int k = 0; k < kTotals; k += 4) V::sums(sum + k, total + k);
  for (int i = 0; i < M; ++i) {
    for (int n = 0; n < N; ++n) weight[i * by_row + n] += total[i * N + n];
    if (bias) bias[i] += total[M * N + i];
  }
}

template <class V, int M>
inline void dots_rows(const float* a, const float* b, float* weight, float* bias, int64_t columns,
                      int64_t width) {
  int64_t j = 0;
  for (; j + kColumns <= columns; j += kColumns)
    dots_block<V, M, kColumns>(a, b + j * width, weight + j, columns, j ? nullptr : bias, width);
  if (j < columns)
    dots_block<V, M, 1>(a, b + j * width, weight + j, columns, j ? nullptr : bias, width);
}

template <class V>
void dots(const float* a, const float* b, float* weight, float* bias, int64_t rows,
          int64_t columns, int64_t width) {
  int64_t i = 0;
  const auto next = [&](auto run) {
    run(a + i * width, b, weight + i * columns, bias + i, columns, width);
  };
  for (; i + kRows <= rows; i += kRows) next(dots_rows<V, kRows>);
  if (rows - i == 3) next(dots_rows<V, 3>);
  if (rows - i == 2) next(dots_rows<V, 2>);
  if (rows - i == 1) next(dots_rows<V, 1>);
}

// A perceptron in training.
template <class V>
class Member {
 public:
  Member(const Course& course, float* room, double* wide)
      : c(course), room(room), wide(wide), outputs(c.sizes[c.layers]) {
    for (int64_t l = 0, at = 0; l < c.layers; ++l) {
      first[l] = at;
      at += (c.sizes[l] + 1) * c.sizes[l + 1];
      if (l + 1 < c.layers) learned[l] = at, at += c.bends[l].learned;
    }
  }

  void train(int64_t member) {
    int64_t* state = c.state + member * kStates;
    values = c.values + member * c.parameters;
    slope = take(c.parameters);
    const int64_t epochs = c.last - c.first;
    for (int64_t e = 0; e < epochs && !state[kStopped]; ++e) {
      double* curve = c.curves + (member * epochs + e) * kCurves;
      const int32_t* order = c.batch ? c.order + (member * epochs + e) * c.train.rows : nullptr;
      epoch(member, order, c.rates[member * epochs + e], state, curve);
      if (c.validation.rows) {
        measure(c.validation, curve + 2);
        if (c.patience) keep_best(member, c.first + e, curve[2], state);
      }
    }
    if (trouble) state[kTrouble] = 1;
  }

 private:
  const Course& c;
  float* room;
  double* wide;
  const int64_t outputs;
  int64_t first[kMaxLayers], learned[kMaxLayers];
  float *values = nullptr, *slope = nullptr;
  bool trouble = false;

  float* take(int64_t count) {
    float* taken = room;
    room += (count + 15) / 16 * 16;
    return taken;
  }

  const float* weight(int64_t l) const { return values + first[l]; }
  const float* bias(int64_t l) const { return weight(l) + c.sizes[l] * c.sizes[l + 1]; }

  void epoch(int64_t member, const int32_t* order, double rate, int64_t* state, double* curve) {
    double sums[kSums] = {};
    if (!order) {
      double mass = 0;
      for (int64_t i = 0; i < c.train.rows; ++i) mass += c.train.weight ? c.train.weight[i] : 1;
      update(member, 0, c.train.rows, nullptr, mass, rate, state, sums);
    } else {
      for (int64_t at = 0; at < c.train.rows; at += c.batch) {
        const int64_t n = std::min(c.batch, c.train.rows - at);
        double mass = static_cast<double>(n);
        if (c.train.weight) {
          mass = 0;
          for (int64_t i = 0; i < n; ++i) mass += c.train.weight[order[at + i]];
        }
        update(member, at, n, order, mass, rate, state, sums);
      }
    }
    const double mass = std::max(sums[kMassSum], kTiny);
    curve[0] = sums[kLossSum] / mass, curve[1] = sums[kRightSum] / mass;
  }

  // One step of the optimiser, on n points.
  void update(int64_t member, int64_t begin, int64_t n, const int32_t* order, double mass,
              double rate, int64_t* state, double* sums) {
    std::fill(slope, slope + c.parameters, 0.0f);
    const double each = 1 / std::max(mass, kTiny);
    for (int64_t at = begin; at < begin + n; at += c.tile) {
      float* before = room;
      pass(c.train, at, std::min(c.tile, begin + n - at), order, each, sums, true);
      room = before;
    }
    ++state[kSteps];
    if (c.optimizer == kSgd)
      descend(member, rate, state[kSteps]);
    else
      adapt(member, rate, state[kSteps]);
  }

  void measure(const Points& points, double* curve) {
    double sums[kSums] = {};
    for (int64_t at = 0; at < points.rows; at += c.tile) {
      float* before = room;
      pass(points, at, std::min(c.tile, points.rows - at), nullptr, 0, sums, false);
      room = before;
    }
    curve[0] = sums[kLossSum] / sums[kMassSum], curve[1] = sums[kRightSum] / sums[kMassSum];
  }

  void keep_best(int64_t member, int64_t epoch, double loss, int64_t* state) {
    if (loss < c.best_loss[member]) {
      c.best_loss[member] = loss;
      state[kBest] = epoch;
      std::copy(values, values + c.parameters, c.best + member * c.parameters);
    }
    if (epoch - state[kBest] >= c.patience) state[kStopped] = epoch + 1;
  }

  // Forward on one tile, its loss, and, to learn, backward.
  void pass(const Points& points, int64_t at, int64_t n, const int32_t* order, double each,
            double* sums, bool learns) {
    const int64_t width = (n + 15) / 16 * 16;
    const float *into[kMaxLayers], *out = nullptr;  // what comes into each layer
    float* before[kMaxLayers];                      // what goes into each activation
    into[0] = order ? gather(points, order + at, n, width) : points.tiles + at * c.sizes[0];
    for (int64_t l = 0; l < c.layers; ++l) {
      const int64_t units = c.sizes[l + 1];
      float* made = take(units * width);
      product<V>(weight(l), c.sizes[l], 1, bias(l), into[l], made, units, c.sizes[l], width);
      out = made;
      if (l + 1 == c.layers) break;
      before[l] = made;
      float* bent = take(units * width);
      bend(l, made, bent, units * width);
      into[l + 1] = bent;
    }
    float* flow = take(std::max<int64_t>(outputs, 2) * width);
    loss(points, at, n, order, each, out, flow, width, sums);
    if (learns) backward(into, before, flow, width);
  }

  const float* gather(const Points& points, const int32_t* rows, int64_t n, int64_t width) {
    const int64_t features = c.sizes[0];
    float* tile = take(features * width);
    for (int64_t i = 0; i < width; ++i) {
      const float* point = points.x + rows[std::min(i, n - 1)] * features;
      for (int64_t f = 0; f < features; ++f) tile[f * width + i] = point[f];
    }
    return tile;
  }

  void backward(const float* const* into, float* const* before, float* flow, int64_t width) {
    for (int64_t l = c.layers - 1;; --l) {
      const int64_t units = c.sizes[l + 1], inputs = c.sizes[l];
      float* to = slope + first[l];
      dots<V>(flow, into[l], to, to + inputs * units, units, inputs, width);
      if (l == 0) return;
      float *back = take(inputs * width), *next = take(inputs * width);
      product<V>(weight(l), 1, inputs, nullptr, flow, back, inputs, units, width);
      unbend(l - 1, before[l - 1], back, next, inputs * width);
      flow = next;
    }
  }

  // The learned parameters of an activation, each within its range.
  void bounded(int64_t l, double* mine) const {
    const Bend& bend = c.bends[l];
    for (int64_t k = 0; k < bend.learned; ++k)
      mine[k] = std::min(std::max<double>(values[learned[l] + k], bend.low[k]), bend.high[k]);
  }

  void bend(int64_t l, const float* x, float* y, int64_t n) {
    const Bend& bend = c.bends[l];
    if (!bend.value)
      by_formula(bend.function, l, x, nullptr, y, n, false);
    else if (choose<V>(*bend.value, false)(*bend.value, x, nullptr, y, n, false))
      by_formula(bend.function, l, x, nullptr, y, n, true);
  }

  void unbend(int64_t l, const float* x, const float* flow, float* y, int64_t n) {
    const Bend& bend = c.bends[l];
    for (int64_t k = 0; k < bend.learned; ++k) slope[learned[l] + k] += by_parameter(l, k, x, flow, n);
    if (!bend.slope)
      by_formula(bend.derivative, l, x, flow, y, n, false);
    else if (choose<V>(*bend.slope, true)(*bend.slope, x, flow, y, n, false))
      by_formula(bend.derivative, l, x, flow, y, n, true);
  }

  // y = the formula, times flow; only where y is missing, if asked.
  void by_formula(const Program& program, int64_t l, const float* x, const float* flow, float* y,
                  int64_t n, bool missing) {
    double mine[kMaxLearned];
    bounded(l, mine);
    for (int64_t at = 0; at < n; at += kProgramBlock) {
      const int count = static_cast<int>(std::min<int64_t>(kProgramBlock, n - at));
      if (missing && !std::any_of(y + at, y + at + count, [](float v) { return v != v; })) continue;
      const double* made = run_program(program, x + at, mine, wide, count);
      for (int i = 0; i < count; ++i) {
        if (missing && y[at + i] == y[at + i]) continue;
        const float value = static_cast<float>(made[i]);
        trouble |= value != value && std::isfinite(x[at + i]);
        y[at + i] = flow ? value * flow[at + i] : value;
      }
    }
  }

  float by_parameter(int64_t l, int64_t k, const float* x, const float* flow, int64_t n) {
    double mine[kMaxLearned], total = 0;
    bounded(l, mine);
    for (int64_t at = 0; at < n; at += kProgramBlock) {
      const int count = static_cast<int>(std::min<int64_t>(kProgramBlock, n - at));
      const double* made = run_program(c.bends[l].partial[k], x + at, mine, wide, count);
      for (int i = 0; i < count; ++i) total += made[i] * flow[at + i];
    }
    trouble |= total != total;
    return static_cast<float>(total);
  }

  // Adds up loss, right answers and weight, and leaves in `flow` the slope by each output.
  void loss(const Points& points, int64_t at, int64_t n, const int32_t* order, double each,
            const float* out, float* flow, int64_t width, double* sums) {
    float share[kMaxTile];
    for (int64_t i = 0; i < width; ++i) {
      const int64_t row = order ? order[at + std::min(i, n - 1)] : at + std::min(i, n - 1);
      share[i] = i < n ? (points.weight ? points.weight[row] : 1.0f) : 0.0f;
      sums[kMassSum] += share[i];
    }
    if (c.loss == kSquares)
      squares(points, at, n, order, each, share, out, flow, width, sums);
    else
      entropy(points, at, n, order, each, share, out, flow, width, sums);
  }

  void squares(const Points& points, int64_t at, int64_t n, const int32_t* order, double each,
               const float* share, const float* out, float* flow, int64_t width, double* sums) {
    const float factor = static_cast<float>(2 * each / outputs);
    double total = 0;
    for (int64_t k = 0; k < outputs; ++k)
      for (int64_t i = 0; i < width; ++i) {
        const int64_t row = order ? order[at + std::min(i, n - 1)] : at + std::min(i, n - 1);
        const float off = out[k * width + i] - points.targets[row * outputs + k];
        flow[k * width + i] = off * (factor * share[i]);
        if (i < n) total += static_cast<double>(off) * off * share[i];
      }
    sums[kLossSum] += total / outputs;
  }

  // A single logit is the second of two, the first being 0.
  void entropy(const Points& points, int64_t at, int64_t n, const int32_t* order, double each,
               const float* share, const float* out, float* flow, int64_t width, double* sums) {
    const bool single = c.loss == kSingle;
    const int64_t classes = single ? 2 : outputs;
    float top[kMaxTile], sum[kMaxTile];
    int32_t best[kMaxTile], label[kMaxTile];
    float* logits = take(2 * width);
    if (single) {
      std::fill(logits, logits + width, 0.0f);
      std::copy(out, out + width, logits + width);
      out = logits;
    }
    for (int64_t i = 0; i < width; ++i) top[i] = out[i], best[i] = 0;
    for (int32_t k = 1; k < classes; ++k)
      for (int64_t i = 0; i < width; ++i) {
        const float logit = out[k * width + i];
        best[i] = logit > top[i] ? k : best[i];
        top[i] = logit > top[i] ? logit : top[i];
      }
    for (int64_t k = 0; k < classes; ++k)
      for (int64_t i = 0; i < width; ++i) flow[k * width + i] = out[k * width + i] - top[i];
    choose<V>(*c.exponential, false)(*c.exponential, flow, nullptr, flow, classes * width, false);
    std::fill(sum, sum + width, 0.0f);
    for (int64_t k = 0; k < classes; ++k)
      for (int64_t i = 0; i < width; ++i) sum[i] += flow[k * width + i];
    for (int64_t i = 0; i < n; ++i) label[i] = points.labels[order ? order[at + i] : at + i];
    if (each > 0) {
      float factor[kMaxTile];
      for (int64_t i = 0; i < width; ++i) factor[i] = share[i] * static_cast<float>(each);
      for (int64_t k = 0; k < classes; ++k)
        for (int64_t i = 0; i < width; ++i) flow[k * width + i] *= factor[i] / sum[i];
      for (int64_t i = 0; i < n; ++i) flow[label[i] * width + i] -= factor[i];
    }
    double total = 0, right = 0, whole = 1;
    for (int64_t i = 0; i < n; ++i) {
      const double surplus = static_cast<double>(top[i]) - out[label[i] * width + i];
      right += best[i] == label[i] ? share[i] : 0.0f;
      if (points.weight) {
        total += share[i] * (std::log(sum[i]) + surplus);
        continue;
      }
      // One logarithm for many points: sums lie between 1 and the number of classes.
      total += surplus;
      whole *= sum[i];
      if (!(whole < 1e200)) total += std::log(whole), whole = 1;
    }
    sums[kLossSum] += total + std::log(whole);
    sums[kRightSum] += right;
    if (single) std::copy(flow + width, flow + 2 * width, flow);
  }

  // Torch's SGD: the first step's momentum is the gradient itself.
  void descend(int64_t member, double rate, int64_t step) {
    const float decay = static_cast<float>(c.decay), lr = static_cast<float>(rate);
    const float momentum = static_cast<float>(c.momentum);
    float* __restrict p = values;
    float* __restrict g = slope;
    const int64_t n = c.parameters;
    if (c.decay != 0)
      for (int64_t i = 0; i < n; ++i) g[i] += decay * p[i];
    if (c.momentum == 0) {
      for (int64_t i = 0; i < n; ++i) p[i] -= lr * g[i];
      return;
    }
    float* __restrict m = c.moments + member * n;
    for (int64_t i = 0; i < n; ++i) m[i] = step == 1 ? g[i] : momentum * m[i] + g[i];
    if (c.nesterov)
      for (int64_t i = 0; i < n; ++i) p[i] -= lr * (g[i] + momentum * m[i]);
    else
      for (int64_t i = 0; i < n; ++i) p[i] -= lr * m[i];
  }

  // Torch's Adam, and AdamW, whose decay stays out of the gradient.
  void adapt(int64_t member, double rate, int64_t step) {
    const int64_t n = c.parameters;
    const float b1 = static_cast<float>(1 - c.beta1), b2 = static_cast<float>(c.beta2);
    const float rest = static_cast<float>(1 - c.beta2), eps = static_cast<float>(c.eps);
    const float size = static_cast<float>(rate / (1 - std::pow(c.beta1, step)));
    const float root = static_cast<float>(std::sqrt(1 - std::pow(c.beta2, step)));
    const float decay = static_cast<float>(c.decay);
    const float keep = static_cast<float>(1 - rate * c.decay);
    float* __restrict p = values;
    float* __restrict g = slope;
    float* __restrict m = c.moments + member * n;
    float* __restrict v = c.squares + member * n;
    if (c.optimizer == kAdamW)
      for (int64_t i = 0; i < n; ++i) p[i] *= keep;
    else if (c.decay != 0)
      for (int64_t i = 0; i < n; ++i) g[i] += decay * p[i];
    for (int64_t i = 0; i < n; ++i) {
      m[i] += b1 * (g[i] - m[i]);
      v[i] = b2 * v[i] + rest * (g[i] * g[i]);
      p[i] -= size * (m[i] / (std::sqrt(v[i]) / root + eps));
    }
  }
};

template <class V>
void train_member(const Course& course, int64_t member, float* room, double* wide) {
  Member<V>(course, room, wide).train(member);
}

}  // namespace
}  // namespace plie
