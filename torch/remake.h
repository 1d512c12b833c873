// Results that a product need not keep for its gradient, since what they were made from is kept anyway.
#pragma once
#include "aten.h"

#include <torch/csrc/autograd/function.h>

// A node that can make its result again from what it keeps for its own gradient.
struct Remaker : torch::autograd::Node {
  virtual bool remakes() const = 0;
  // The result, bit for bit.
  virtual at::Tensor remake() = 0;
  // A tensor of the result's shape, type and layout, which takes no memory of its own.
  virtual at::Tensor like() = 0;
};

bool remakable(const at::Tensor& x);

// The product of x and w, plus b: a convolution where w has four dimensions, else x wᵀ, for which stride and padding mean
// nothing. It does not keep a remakable x: where nobody else has kept it until backward, that makes it again. Such a
// product can be differentiated once.
at::Tensor product_remaking(const at::Tensor& x, const at::Tensor& w, const c10::optional<at::Tensor>& b,
                            int64_t stride, int64_t padding);
