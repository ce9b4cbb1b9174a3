// Many perceptrons of one shape to be trained, as plie/engine.py lays them out.
#pragma once
#include <cstdint>

#include "program.h"
#include "table.h"

namespace plie {

constexpr int kMaxLayers = 256;   // linear ones
constexpr int kMaxLearned = 32;   // parameters of one activation
constexpr int kMaxTile = 128;     // points at once
constexpr double kTiny = 1.1754943508222875e-38;  // so that no weight at all makes no NaN

enum Loss : int64_t { kEntropy, kSingle, kSquares };
enum Optimizer : int64_t { kSgd, kAdam, kAdamW };
enum Sum { kLossSum, kRightSum, kMassSum, kSums };
enum State { kSteps, kBest, kStopped, kTrouble, kStates };
constexpr int kCurves = 4;  // training loss and right answers, the same for validation

// An activation between layers: its tables, or the formula where there are none.
struct Bend {
  const Table *value, *slope;
  Program function, derivative;
  const Program* partial;  // the derivatives by the learned parameters
  const double *low, *high;
  int64_t learned;
};

struct Points {
  int64_t rows;
  const float* x;      // (rows, features)
  const float* tiles;  // the same, tile after tile, each (features, width)
  const int32_t* labels;
  const float* targets;  // (rows, outputs)
  const float* weight;
};

struct Course {
  int64_t layers, loss, members, parameters, tile;
  const int64_t* sizes;
  const Bend* bends;
  const Table* exponential;
  Points train, validation, looked_at;
  int64_t first, last, batch;  // epochs [first, last); points of a batch, 0 for all
  const int32_t* order;        // (members, epochs, rows)
  const double* rates;         // (members, epochs)
  int64_t optimizer, nesterov, patience;
  double momentum, beta1, beta2, eps, decay;
  float *values, *moments, *squares, *best;  // (members, parameters)
  double *best_loss, *curves;                // (members), (members, epochs, kCurves)
  int64_t* state;                            // (members, kStates)
  const double* flat;  // of each activation: slopes below are flat
  double* looks;       // (members, 3 * layers - 2), or null: nobody looks
  int64_t room, wide;                        // floats and doubles that a thread works in
};

using Train = void (*)(const Course&, int64_t member, float* room, double* wide);

}  // namespace plie
