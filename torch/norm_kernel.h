// The arithmetic of norm.cpp, one table of functions for each instruction set.
//
// A channels-last tensor is a flat array in which element i belongs to channel i mod C. Everything here walks that
// array vector by vector. Per-channel values are tiled to one `period`, a common multiple of C and of the vectors
// that are in flight together, so that no number of channels needs code of its own; every range begins at a multiple
// of the period. Gates are one bit an element in the same order, set where a ReLU is closed.
#pragma once
#include <stdint.h>

namespace norm {

// kDecide shuts a ReLU where what reaches it is not positive; kRecord also writes that down, kReplay reads it.
enum class Gate { kOpen, kDecide, kRecord, kReplay };

struct Tensors {
  bool bf16;  // of all that elements are read from or written to; float32 otherwise
  Gate gate;
  int64_t channels, period;
  const void *x, *add, *dy, *along;
  void *y, *dx, *dadd, *dalong;
  uint8_t* gates;
  const float *mean, *scale, *bias, *slope, *offset;  // tiled
  const float *turn, *bend, *lean, *shift;            // tiled; of curve alone
};

// Per-channel sums of one range: of dy and dy·(x − mean), or the mean and the squared deviations from it.
struct Sums {
  double *first, *second;
};

// What one thread needs beside its results: 3 periods of floats, 2·channels doubles.
struct Scratch {
  float* lanes;
  double* sums;
};

struct Kernels {
  int64_t lanes;  // elements in flight together
  // Mean and squared deviations of the range [begin, end), robust against |mean| ≫ deviation.
  void (*moments)(const Tensors&, int64_t begin, int64_t end, Sums, Scratch);
  // y = gate((x − mean)·scale + bias + add)
  void (*forward)(const Tensors&, int64_t begin, int64_t end);
  // first = Σ g, second = Σ g·(x − mean) with g = gate(dy). Without add, kDecide decides again from x: that costs no
  // memory. With it, only kReplay knows.
  void (*reduce)(const Tensors&, int64_t begin, int64_t end, Sums, Scratch);
  // dx = g·scale + (x − mean)·slope + offset and dadd = g, each where it is not null
  void (*backward)(const Tensors&, int64_t begin, int64_t end);
  // y = gate(along·scale + (x − mean)·slope + offset + add), with kOpen or kReplay
  void (*tangent)(const Tensors&, int64_t begin, int64_t end);
  // With g = gate(dy), under kOpen or kReplay: dalong = g·scale + (x − mean)·slope + offset,
  // dx = along·turn + g·bend + (x − mean)·lean + shift, and dadd = g where it is not null.
  void (*curve)(const Tensors&, int64_t begin, int64_t end);
};

// Those for the processor that this runs on.
const Kernels& kernels();

// Elements that are summed in float32 before float64 takes over, and the unit of work in all functions.
int64_t block_size(int64_t period);

// Adds the moments of m rows to those of n rows (Chan, Golub and LeVeque 1983).
inline void merge(int64_t channels, double n, Sums into, double m, Sums from) {
  const double f = m / (n + m), g = n * f;
  for (int64_t c = 0; c < channels; c++) {
    const double d = from.first[c] - into.first[c];
    into.first[c] += d * f;
    into.second[c] += from.second[c] + d * d * g;
  }
}

}  // namespace norm
