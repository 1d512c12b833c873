// Batch normalisation with a residual addition and a ReLU: what its implementations have in common. norm.cpp has kernels for
// the CPU; norm_composed.cpp is made of libtorch's operations, for every device, type and layout.
#pragma once
#include "aten.h"

#include <array>
#include <utility>

#include "peers.h"

namespace norm {

struct Options {
  bool train, relu;
  double momentum, eps;
  Peers peers;
};

struct Operands {
  at::Tensor x, add, w, b, running_mean, running_var, gates;
};

// What a tangent is taken at. Its gates are those that the pass at x has recorded.
struct Point {
  at::Tensor x, w, gates;
  double eps;
  Peers peers;
};

// The mask that packed gates stand for, in x's shape and in channels-last layout.
at::Tensor unpack(const at::Tensor& gates, const at::Tensor& x);

// The result and, where they are asked for, the gates: a mask of x's shape, true where a unit is shut.
std::pair<at::Tensor, at::Tensor> composed(const Operands& v, Options o, bool record);
at::Tensor composed_tangent(const at::Tensor& along, const at::Tensor& add, const Point& at);

// The gradients of x, w and b in operations that libtorch differentiates again, as far as they are wanted. g is the gradient
// behind the ReLU, whose gates are constants: its second derivative is zero. Those of w and b are this part's.
struct Gradients {
  at::Tensor x, w, b;
};
Gradients differentiable(const at::Tensor& g, const at::Tensor& x, const at::Tensor& w, const at::Tensor& mean,
                         const at::Tensor& invstd, const Options& o, std::array<bool, 3> wanted);

}  // namespace norm
