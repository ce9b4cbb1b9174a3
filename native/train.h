// Training of one perceptron, start to end on one thread, with all it needs in the cache.
//
// Numbers of a tile of points lie feature by feature: row i of a matrix holds feature or unit i of
// all its points, so that every operation runs along points, in full registers. A tile's width is a
// multiple of 16; the lanes beyond the last point repeat it and weigh nothing.
#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "entry.h"
#include "kernel.h"

namespace plie {
namespace {

constexpr int kRows = 4;  // of a block of results kept in registers
// Registers that such a block is wide: with few rows more of them, so that enough sums are under
// way at once.
constexpr int columns_of(int rows) { return rows > 2 ? 2 : rows > 1 ? 3 : 4; }

// end(i, at, sum) takes the results of row i from point `at` on, of c = bias + a b: a is (m, k),
// its element (i, j) at a[i * by_row + j * by_column].
template <class V, int M, int N, class End>
inline __attribute__((always_inline)) void product_block(
    const float* a, int64_t by_row, int64_t by_column, const float* bias, const float* b,
    int64_t at, int64_t inner, int64_t width, const End& end) {
  typename V::F sum[M][N];
  for (int i = 0; i < M; ++i)
    for (int n = 0; n < N; ++n) sum[i][n] = V::all(bias ? bias[i] : 0.0f);
  for (int64_t j = 0; j < inner; ++j) {
    typename V::F row[N];
    for (int n = 0; n < N; ++n) row[n] = V::load(b + j * width + at + n * V::W);
    for (int i = 0; i < M; ++i) {
      const auto factor = V::all(a[i * by_row + j * by_column]);
      for (int n = 0; n < N; ++n) sum[i][n] = V::fma(factor, row[n], sum[i][n]);
    }
  }
  for (int i = 0; i < M; ++i)
    for (int n = 0; n < N; ++n) end(i * width + at + n * V::W, sum[i][n]);
}

template <class V, int M, class End>
inline void product_rows(const float* a, int64_t by_row, int64_t by_column, const float* bias,
                         const float* b, int64_t inner, int64_t width, const End& end) {
  constexpr int N = columns_of(M);
  int64_t at = 0;
  for (; at + N * V::W <= width; at += N * V::W)
    product_block<V, M, N>(a, by_row, by_column, bias, b, at, inner, width, end);
  for (; at < width; at += V::W)
    product_block<V, M, 1>(a, by_row, by_column, bias, b, at, inner, width, end);
}

// Runs `run(i, count)` for row i and those after it, as many at once as `count`, a constant, says.
template <class Run>
void in_rows(int64_t rows, const Run& run) {
  int64_t i = 0;
  for (; i + kRows <= rows; i += kRows) run(i, std::integral_constant<int, kRows>());
  if (rows - i == 3) run(i, std::integral_constant<int, 3>());
  if (rows - i == 2) run(i, std::integral_constant<int, 2>());
  if (rows - i == 1) run(i, std::integral_constant<int, 1>());
}

template <class V, class End>
void product(const float* a, int64_t by_row, int64_t by_column, const float* bias, const float* b,
             int64_t rows, int64_t inner, int64_t width, const End& end) {
  in_rows(rows, [&](int64_t i, auto count) {
    product_rows<V, decltype(count)::value>(
        a + i * by_row, by_row, by_column, bias ? bias + i : nullptr, b, inner, width,
        [&](int64_t at, auto sum) { end(i * width + at, sum); });
  });
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
  constexpr int N = columns_of(M);
  int64_t j = 0;
  for (; j + N <= columns; j += N)
    dots_block<V, M, N>(a, b + j * width, weight + j, columns, j ? nullptr : bias, width);
  for (; j < columns; ++j)
    dots_block<V, M, 1>(a, b + j * width, weight + j, columns, j ? nullptr : bias, width);
}

template <class V>
void dots(const float* a, const float* b, float* weight, float* bias, int64_t rows,
          int64_t columns, int64_t width) {
  in_rows(rows, [&](int64_t i, auto count) {
    dots_rows<V, decltype(count)::value>(a + i * width, b, weight + i * columns, bias + i, columns,
                                         width);
  });
}

// A function of two lines that meet in 0, as ReLU, and its slope: chosen while their arguments are
// still in registers. At an infinite or missing argument it is NaN.
template <class V>
struct Hinge {
  typename V::F border, left, right;
  bool is_one = false;

  explicit Hinge(const Bend& bend) {
    if (!bend.value || !bend.slope) return;
    const Table &f = *bend.value, &df = *bend.slope;
    constexpr float least = 1.4e-45f;  // the slope at 0 may belong to the left
    is_one = f.few == 2 && df.few == 2 && f.few_degree == 1 && df.few_degree == 1 &&
             f.tree[4] == 0 && df.tree[4] >= 0 && df.tree[4] <= least;
    for (int i = 0; i < 2 && is_one; ++i)
      is_one = f.centre[i] == 0 && f.coef[0][i] == 0 && df.coef[1][i] == 0 &&
               df.coef[0][i] == f.coef[1][i];
    border = V::all(df.tree[4]), left = V::all(df.coef[0][0]), right = V::all(df.coef[0][1]);
  }
  typename V::F slope(typename V::F x) const { return V::where_less(x, border, left, right); }
  typename V::F operator()(typename V::F x) const { return V::mul(slope(x), x); }
};

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
    if (c.looks) look(c.looks + member * (3 * c.layers - 2));
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
      pass(c.train, at, std::min(c.tile, begin + n - at), order, each, sums, true);
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
      pass(points, at, std::min(c.tile, points.rows - at), nullptr, 0, sums, false);
    }
    curve[0] = sums[kLossSum] / sums[kMassSum], curve[1] = sums[kRightSum] / sums[kMassSum];
  }

  // The gradient's norm by each layer's weights, then of each hidden layer the share of dead units,
  // then that of flat slopes.
  void look(double* found) {
    const Points& points = c.looked_at;
    double sums[kSums] = {};
    const int64_t hidden = c.layers - 1;
    std::fill(slope, slope + c.parameters, 0.0f);
    for (int64_t at = 0; at < points.rows; at += c.tile)
      pass(points, at, std::min(c.tile, points.rows - at), nullptr, 1.0 / points.rows, sums, true);
    for (int64_t l = 0; l < c.layers; ++l) {
      const float* of = slope + first[l];
      double square = 0;
      for (int64_t i = 0; i < c.sizes[l] * c.sizes[l + 1]; ++i)
        square += static_cast<double>(of[i]) * of[i];
      found[l] = std::sqrt(square);
    }
    float* before = room;
    for (int64_t l = 0; l < hidden; ++l) {
      float* steepest = take(c.sizes[l + 1]);  // of each unit, over the points
      std::fill(steepest, steepest + c.sizes[l + 1], 0.0f);
      double flat = 0;
      for (int64_t at = 0; at < points.rows; at += c.tile) {
        float* here = room;
        flat += flatness(l, at, std::min(c.tile, points.rows - at), steepest);
        room = here;
      }
      const auto units = static_cast<double>(c.sizes[l + 1]);
      const auto dead = std::count(steepest, steepest + c.sizes[l + 1], 0.0f);
      found[c.layers + l] = dead / units;
      found[c.layers + hidden + l] = flat / (units * points.rows);
      room = before;
    }
  }

  // How many slopes of a hidden layer are flat on one tile; raises each unit's steepest.
  double flatness(int64_t l, int64_t at, int64_t n, float* steepest) {
    const Tile tile = forward(c.looked_at, at, n, nullptr, true);
    const int64_t width = tile.width, count = c.sizes[l + 1] * width;
    float *ones = take(count), *slopes = take(count);
    std::fill(ones, ones + count, 1.0f);
    unbend(l, tile.before[l], ones, slopes, count);
    double flat = 0;
    for (int64_t unit = 0; unit < c.sizes[l + 1]; ++unit)
      for (int64_t i = 0; i < n; ++i) {
        const float size = std::fabs(slopes[unit * width + i]);
        if (!(size <= steepest[unit])) steepest[unit] = size;  // NaN is not dead
        flat += size < c.flat[l];
      }
    return flat;
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
    float* before = room;
    double found[kSums] = {};
    pass(points, at, n, order, each, found, learns, false);
    room = before;
    if (!std::isfinite(found[kLossSum])) {  // hinges leave infinities to the tables
      std::fill(found, found + kSums, 0.0);
      pass(points, at, n, order, each, found, learns, true);
      room = before;
    }
    for (int i = 0; i < kSums; ++i) sums[i] += found[i];
  }

  void pass(const Points& points, int64_t at, int64_t n, const int32_t* order, double each,
            double* sums, bool learns, bool careful) {
    const Tile tile = forward(points, at, n, order, careful);
    float* flow = take(std::max<int64_t>(outputs, 2) * tile.width);
    loss(points, at, n, order, each, tile.out, flow, tile.width, sums);
    if (learns && (careful || std::isfinite(sums[kLossSum]))) backward(tile, flow, careful);
  }

  struct Tile {
    int64_t width;
    const float *into[kMaxLayers], *out;  // what comes into each layer
    float* before[kMaxLayers];            // what goes into each activation
  };

  Tile forward(const Points& points, int64_t at, int64_t n, const int32_t* order, bool careful) {
    Tile tile;
    const int64_t width = tile.width = (n + 15) / 16 * 16;
    tile.into[0] = order ? gather(points, order + at, n, width) : points.tiles + at * c.sizes[0];
    for (int64_t l = 0; l < c.layers; ++l) {
      const int64_t units = c.sizes[l + 1];
      float* made = take(units * width);
      const auto multiply = [&](const auto& end) {
        product<V>(weight(l), c.sizes[l], 1, bias(l), tile.into[l], units, c.sizes[l], width, end);
      };
      const auto keep = [&](int64_t at, auto sum) { V::store(made + at, sum); };
      if (l + 1 == c.layers) {
        multiply(keep);
        tile.out = made;
        break;
      }
      tile.before[l] = made;
      float* bent = take(units * width);
      tile.into[l + 1] = bent;
      if (const Hinge<V> hinge(c.bends[l]); hinge.is_one && !careful) {
        multiply([&](int64_t at, auto sum) {
          V::store(made + at, sum);
          V::store(bent + at, hinge(sum));
        });
      } else {
        multiply(keep);
        bend(l, made, bent, units * width);
      }
    }
    return tile;
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

  void backward(const Tile& tile, float* flow, bool careful) {
    const int64_t width = tile.width;
    for (int64_t l = c.layers - 1;; --l) {
      const int64_t units = c.sizes[l + 1], inputs = c.sizes[l];
      float* to = slope + first[l];
      dots<V>(flow, tile.into[l], to, to + inputs * units, units, inputs, width);
      if (l == 0) return;
      float *back = take(inputs * width), *next = take(inputs * width);
      const auto multiply = [&](const auto& end) {
        product<V>(weight(l), 1, inputs, nullptr, flow, inputs, units, width, end);
      };
      const float* x = tile.before[l - 1];
      if (const Hinge<V> hinge(c.bends[l - 1]); hinge.is_one && !careful) {
        multiply([&](int64_t at, auto sum) {
          V::store(next + at, V::mul(sum, hinge.slope(V::load(x + at))));
        });
      } else {
        multiply([&](int64_t at, auto sum) { V::store(back + at, sum); });
        for (int64_t k = 0; k < c.bends[l - 1].learned; ++k)
          slope[learned[l - 1] + k] += by_parameter(l - 1, k, x, back, inputs * width);
        unbend(l - 1, x, back, next, inputs * width);
      }
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

  // y = flow times the activation's slope at x.
  void unbend(int64_t l, const float* x, const float* flow, float* y, int64_t n) {
    const Bend& bend = c.bends[l];
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
        const float in = x[at + i], value = in != in ? in : static_cast<float>(made[i]);
        trouble |= value != value && in == in;
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
      for (int i = 0; i < count; ++i) total += (x[at + i] == x[at + i] ? made[i] : NAN) * flow[at + i];
    }
    trouble |= total != total;
    return static_cast<float>(total);
  }

  // Adds up loss, right answers and weight, and leaves in `flow` the slope by each output.
  void loss(const Points& points, int64_t at, int64_t n, const int32_t* order, double each,
            const float* out, float* flow, int64_t width, double* sums) {
    int32_t row[kMaxTile];
    float share[kMaxTile];
    for (int64_t i = 0; i < width; ++i) {
      const int64_t point = at + std::min(i, n - 1);
      row[i] = order ? order[point] : static_cast<int32_t>(point);
      share[i] = i < n ? 1.0f : 0.0f;
    }
    if (points.weight)
      for (int64_t i = 0; i < n; ++i) share[i] = points.weight[row[i]];
    sums[kMassSum] += total(width, [&](int64_t i) { return share[i]; });
    if (c.loss == kSquares)
      squares(points, row, share, static_cast<float>(each), out, flow, width, sums);
    else
      entropy(points, row, share, static_cast<float>(each), out, flow, width, sums);
  }

  // The sum of a term for each point, in lanes, so that a compiler makes vectors of it.
  template <class Term>
  static double total(int64_t width, const Term& term) {
    double lanes[16] = {}, sum = 0;
    for (int64_t i = 0; i < width; i += 16)
      for (int64_t j = 0; j < 16; ++j) lanes[j] += term(i + j);
    for (double lane : lanes) sum += lane;
    return sum;
  }

  void squares(const Points& points, const int32_t* row, const float* share, float each,
               const float* out, float* flow, int64_t width, double* sums) {
    for (int64_t k = 0; k < outputs; ++k) {
      const float* made = out + k * width;
      float* slope = flow + k * width;
      for (int64_t i = 0; i < width; ++i)
        slope[i] = made[i] - points.targets[static_cast<int64_t>(row[i]) * outputs + k];
      sums[kLossSum] += total(width, [&](int64_t i) {
        return static_cast<double>(slope[i]) * slope[i] * share[i] / outputs;
      });
      for (int64_t i = 0; i < width; ++i) slope[i] *= 2 * each * share[i] / outputs;
    }
  }

  // A single logit is the second of two, the first being 0.
  void entropy(const Points& points, const int32_t* row, const float* share, float each,
               const float* out, float* flow, int64_t width, double* sums) {
    const bool single = c.loss == kSingle;
    const auto classes = static_cast<int32_t>(single ? 2 : outputs);
    float top[kMaxTile], sum[kMaxTile], own[kMaxTile], factor[kMaxTile], odd[kMaxTile];
    int32_t best[kMaxTile], label[kMaxTile];
    if (single) {
      float* logits = take(2 * width);
      std::fill(logits, logits + width, 0.0f);
      std::copy(out, out + width, logits + width);
      out = logits;
    }
    for (int64_t i = 0; i < width; ++i) label[i] = points.labels[row[i]];
    for (int64_t i = 0; i < width; ++i) top[i] = out[i], own[i] = out[i], best[i] = 0;
    for (int64_t i = 0; i < width; ++i) odd[i] = out[i] - out[i];
    for (int32_t k = 1; k < classes; ++k) {
      const float* logit = out + k * width;
      for (int64_t i = 0; i < width; ++i) {
        own[i] = label[i] == k ? logit[i] : own[i];
        best[i] = logit[i] > top[i] ? k : best[i];
        top[i] = logit[i] > top[i] ? logit[i] : top[i];
        odd[i] += logit[i] - logit[i];  // NaN from the first logit on that is not finite
      }
    }
    for (int32_t k = 0; k < classes; ++k)
      for (int64_t i = 0; i < width; ++i) flow[k * width + i] = out[k * width + i] - top[i];
    choose<V>(*c.exponential, false)(*c.exponential, flow, nullptr, flow, classes * width, false);
    std::fill(sum, sum + width, 0.0f);
    for (int32_t k = 0; k < classes; ++k)
      for (int64_t i = 0; i < width; ++i) sum[i] += flow[k * width + i];
    for (int64_t i = 0; i < width; ++i)
      factor[i] = best[i] == label[i] && odd[i] == 0 ? share[i] : 0.0f;
    sums[kRightSum] += total(width, [&](int64_t i) { return factor[i]; });
    sums[kLossSum] += total(width, [&](int64_t i) {
      return share[i] * (static_cast<double>(top[i]) - own[i]);
    });
    sums[kLossSum] += logarithms(sum, share, width, points.weight != nullptr);
    for (int64_t i = 0; i < width; ++i) factor[i] = share[i] * each;
    for (int64_t i = 0; i < width; ++i) sum[i] = factor[i] / sum[i];
    for (int32_t k = 0; k < classes; ++k) {
      float* slope = flow + k * width;
      for (int64_t i = 0; i < width; ++i)
        slope[i] = slope[i] * sum[i] - (label[i] == k ? factor[i] : 0.0f);
    }
    if (single) std::copy(flow + width, flow + 2 * width, flow);
  }

  // The sum of share * log(sum). Without weights one logarithm does for many points: their sums,
  // from 1 to the number of classes, are multiplied.
  static double logarithms(const float* sum, const float* share, int64_t width, bool weighted) {
    double found = 0, whole[16];
    if (weighted) {
      for (int64_t i = 0; i < width; ++i)
        if (share[i] != 0) found += share[i] * std::log(static_cast<double>(sum[i]));
      return found;
    }
    std::fill(whole, whole + 16, 1.0);
    for (int64_t i = 0; i < width; i += 16)  // at most eight, so that a double holds the product
      for (int64_t j = 0; j < 16; ++j) whole[j] *= share[i + j] != 0 ? sum[i + j] : 1.0f;
    for (double each : whole) found += std::log(each);
    return found;
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
