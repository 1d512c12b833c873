// The kernels of batch normalisation on CUDA devices, over whole tensors: what norm.cpp's nodes call in place of those for the
// CPU. Gates and statistics are the same there and here.
#pragma once
#include "norm.h"
#include "norm_kernel.h"

namespace norm {

// Mean and 1/√(var + eps) a channel, float32, and the gates, packed.
struct Saved {
  at::Tensor mean, invstd, gates;
};

namespace on_card {

Saved statistics(const at::Tensor& x, const Options& o, const at::Tensor& running_mean, const at::Tensor& running_var);
at::Tensor normalise(const at::Tensor& x, const at::Tensor& add, const at::Tensor& w, const at::Tensor& b, Gate gate,
                     const Saved& s);

// Of a gradient, or a direction, g: its sums [3, C] in float64 (Σ g, Σ g·(x − mean), Σ g·along where that is given), the
// gradients of w and b, and, through the batch's statistics, how the rest follows x.
struct Sums {
  at::Tensor totals, dw, db, slope, offset;
};
Sums sums(const at::Tensor& g, const at::Tensor& along, const at::Tensor& x, const at::Tensor& w, const at::Tensor& b,
          Gate gate, const Saved& s, bool through);

// dx and dadd are written where they are defined. Either may be dy itself.
void backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, const at::Tensor& b, Gate gate,
              const Saved& s, const Sums& sums, const at::Tensor& dx, const at::Tensor& dadd);

at::Tensor tangent(const at::Tensor& along, const at::Tensor& add, const at::Tensor& x, const at::Tensor& w,
                   const Saved& s, const Sums& sums);

// The gradients of a tangent along a direction with those totals. dadd is written where it is defined.
struct Curve {
  at::Tensor dalong, dx, dw;
};
Curve curve(const at::Tensor& dy, const at::Tensor& along, const at::Tensor& totals, const at::Tensor& x,
            const at::Tensor& w, Gate gate, const Saved& s, const at::Tensor& dadd);

}  // namespace on_card
}  // namespace norm
