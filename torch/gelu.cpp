//go:build !lazyengine

// GELU, which a product behind it can make again.
//
// Where libtorch 1.13 computes it by oneDNN, it leaves the result as it was allocated unless all operands have the same
// strides: whatever was in memory there comes out. So they are given the same ones here, gradients that come back too.
#include "remake.h"

#include <ATen/TensorUtils.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include "call.h"
#include "node.h"

namespace {

using at::Tensor;
using torch::autograd::variable_list;

// x in rows or channels-last, without gaps, and where a dimension is 1 with the stride that such a layout has there.
Tensor dense(const Tensor& x) {
  const bool rows = x.strides() == at::IntArrayRef(at::detail::defaultStrides(x.sizes()));
  const bool channels = x.dim() == 4 && x.strides() == at::IntArrayRef(c10::get_channels_last_strides_2d(x.sizes()));
  return rows || channels ? x : x.clone(x.suggest_memory_format());
}

// t in a layout.
Tensor laid_as(const Tensor& t, at::IntArrayRef sizes, at::IntArrayRef strides) {
  return t.strides() == strides ? t : at::empty_strided(sizes, strides, t.options()).copy_(t);
}

// Hands a gradient on in the layout of what it is of.
struct LayoutBackward final : torch::autograd::Node {
  at::DimVector sizes, strides;

  std::string name() const override { return "LayoutBackward"; }

  variable_list apply(variable_list&& grads) override {
    if (!grads[0].defined()) return variable_list(1);
    return {laid_as(grads[0], sizes, strides)};
  }
};

// y itself, whose gradient will come in its layout.
Tensor with_layout(const Tensor& y) {
  if (!torch::autograd::compute_requires_grad(y)) return y;
  auto node = make_node<LayoutBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(y));
  node->sizes = y.sizes(), node->strides = y.strides();
  Tensor out = y.detach();
  torch::autograd::create_gradient_edge(out, node);
  return out;
}

// The derivative of GELU at x, which is dense, times dy.
Tensor slope(const Tensor& dy, const Tensor& x) { return with_layout(at::gelu_backward(laid_as(dy, x.sizes(), x.strides()), x)); }

struct GELUBackward final : Remaker {
  torch::autograd::SavedVariable x;

  std::string name() const override { return "GELUBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    x.reset_data();
  }

  bool remakes() const override { return true; }

  Tensor remake() override {
    std::lock_guard<std::mutex> lock(mutex_);
    return at::gelu(x.unpack());
  }

  Tensor like() override { return x.unpack(); }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!grads[0].defined()) return variable_list(1);
    return {slope(grads[0], x.unpack())};
  }
};

// GELU of x, which is dense.
Tensor remakable_gelu(const Tensor& x) {
  if (!torch::autograd::compute_requires_grad(x)) return at::gelu(x);
  Tensor y;
  {
    const at::NoGradGuard plain;
    y = at::gelu(x);
  }
  auto node = make_node<GELUBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->x = torch::autograd::SavedVariable(x, false);
  torch::autograd::create_gradient_edge(y, node);
  return y;
}

}  // namespace

char* lt_gelu(bool grad, lt_tensor x, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(remakable_gelu(dense(T(x)))); });
}
char* lt_gelu_tangent(bool grad, lt_tensor along, lt_tensor x, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(slope(T(along), dense(T(x)))); });
}
