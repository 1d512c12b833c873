// A weight layer's product and its adjoints, outside autograd.
#pragma once
#include <array>
#include <tuple>
#include <utility>

#include "conv.h"

// The linear map of a layer: a convolution where the weight has four dimensions, else a matrix product.
struct Product {
  int64_t stride, padding;

  static bool convolves(const at::Tensor& w) { return w.dim() == 4; }

  at::Tensor apply(const at::Tensor& x, const at::Tensor& w, const c10::optional<at::Tensor>& b) const {
    return convolves(w) ? convolve(x, w, b, stride, padding) : at::linear(x, w, b);
  }

  std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w,
                                                 std::array<bool, 3> mask) const {
    const int64_t out[] = {w.size(0)};
    return at::convolution_backward(dy, x, w, mask[2] ? at::OptionalIntArrayRef(out) : at::OptionalIntArrayRef(),
                                    {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1, mask);
  }

  // wᵀ dy, shaped as x, whose elements do not matter.
  at::Tensor to_input(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w) const {
    if (!convolves(w)) return dy.matmul(w);
    if (!overruns(x, w, stride, padding)) return std::get<0>(convolution(dy, x, w, {true, false, false}));
    at::Tensor dx = at::zeros_like(x), seen = looked_at(dx, stride);
    seen.copy_(Product{1, 0}.to_input(dy, seen, w));
    return dx;
  }

  // dy xᵀ, shaped as w, whose elements do not matter, and the sum of dy for a bias.
  std::pair<at::Tensor, at::Tensor> to_weight(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, bool bias) const {
    if (!convolves(w)) {
      const at::Tensor rows = dy.flatten(0, -2);
      return {rows.t().mm(x.flatten(0, -2)), bias ? rows.sum(0) : at::Tensor()};
    }
    if (overruns(x, w, stride, padding)) return Product{1, 0}.to_weight(dy, looked_at(x, stride), w, bias);
    auto [_, dw, db] = convolution(dy, x, w, {false, true, bias});
    return {dw, db};
  }
};
