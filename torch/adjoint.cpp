//go:build !lazyengine

// The weight layers' adjoints, outside autograd, and inside it layers whose gradient flows back by other weights than
// their own.
// g++ 14 sees a vector<bool> of libtorch's templates overflow that does not.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#endif

#include "aten.h"

#include <torch/csrc/autograd/custom_function.h>

#include "call.h"
#include "product.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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
