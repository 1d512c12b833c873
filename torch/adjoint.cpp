// The weight layers' adjoints, outside autograd, and inside it layers whose gradient flows back by other weights than
// their own.
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

#include "call.h"
#include "conv.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The linear map of a layer: a convolution where the weight has four dimensions, else a matrix product.
struct Product {
  int64_t stride, padding;

  static bool convolves(const Tensor& w) { return w.dim() == 4; }

  Tensor apply(const Tensor& x, const Tensor& w, const c10::optional<Tensor>& b) const {
    return convolves(w) ? convolve(x, w, b, stride, padding) : at::linear(x, w, b);
  }

  std::tuple<Tensor, Tensor, Tensor> convolution(const Tensor& dy, const Tensor& x, const Tensor& w,
                                                 std::array<bool, 3> mask) const {
    const int64_t out[] = {w.size(0)};
    return at::convolution_backward(dy, x, w, mask[2] ? at::OptionalIntArrayRef(out) : at::OptionalIntArrayRef(),
                                    {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1, mask);
  }

  // wᵀ dy, shaped as x, whose elements do not matter.
  Tensor to_input(const Tensor& dy, const Tensor& x, const Tensor& w) const {
    if (!convolves(w)) return dy.matmul(w);
    if (!overruns(x, w, stride, padding)) return std::get<0>(convolution(dy, x, w, {true, false, false}));
    Tensor dx = at::zeros_like(x), seen = looked_at(dx, stride);
    seen.copy_(Product{1, 0}.to_input(dy, seen, w));
    return dx;
  }

  // dy xᵀ, shaped as w, whose elements do not matter, and the sum of dy for a bias.
  std::pair<Tensor, Tensor> to_weight(const Tensor& dy, const Tensor& x, const Tensor& w, bool bias) const {
    if (!convolves(w)) {
      const Tensor rows = dy.flatten(0, -2);
      return {rows.t().mm(x.flatten(0, -2)), bias ? rows.sum(0) : Tensor()};
    }
    if (overruns(x, w, stride, padding)) return Product{1, 0}.to_weight(dy, looked_at(x, stride), w, bias);
    auto [_, dw, db] = convolution(dy, x, w, {false, true, bias});
    return {dw, db};
  }
};

// A product whose input gradient is feedbackᵀ dy.
struct Feedback : torch::autograd::Function<Feedback> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w, const c10::optional<Tensor>& b,
                        const Tensor& feedback, int64_t stride, int64_t padding) {
    ctx->save_for_backward({x, w, feedback});
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["padding"] = padding;
    ctx->saved_data["input"] = x.requires_grad();
    ctx->saved_data["bias"] = b.has_value();
    return Product{stride, padding}.apply(x, w, b);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Product product{ctx->saved_data["stride"].toInt(), ctx->saved_data["padding"].toInt()};
    const Tensor &dy = grads[0], &x = saved[0];
    auto [dw, db] = product.to_weight(dy, x, saved[1], ctx->saved_data["bias"].toBool());
    const Tensor dx = ctx->saved_data["input"].toBool() ? product.to_input(dy, x, saved[2]) : Tensor();
    return {dx, dw, db, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

char* lt_product_to_input(lt_tensor dy, lt_tensor x, lt_tensor w, int64_t stride, int64_t padding, lt_tensor* dx) {
  return call(false, [&] { *dx = wrap(Product{stride, padding}.to_input(T(dy), T(x), T(w))); });
}
char* lt_product_to_weight(lt_tensor dy, lt_tensor x, lt_tensor w, int64_t stride, int64_t padding, lt_tensor* dw,
                           lt_tensor* db) {
  return call(false, [&] {
    auto [weight, bias] = Product{stride, padding}.to_weight(T(dy), T(x), T(w), db != nullptr);
    *dw = wrap(weight);
    if (db) *db = wrap(bias);
  });
}
char* lt_product_feedback(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, lt_tensor feedback, int64_t stride,
                          int64_t padding, lt_tensor* y) {
  return call(grad, [&] {
    const auto bias = b ? c10::optional<Tensor>(T(b)) : c10::nullopt;
    *y = wrap(Feedback::apply(T(x), T(w), bias, T(feedback), stride, padding));
  });
}
