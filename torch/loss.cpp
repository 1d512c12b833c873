//go:build !lazyengine

// Losses and what stands in front of them.
#include "aten.h"

#include "call.h"

using at::Tensor;

char* lt_upsample_bilinear(bool grad, lt_tensor x, int64_t h, int64_t w, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::upsample_bilinear2d(T(x), {h, w}, /*align_corners=*/true)); });
}
char* lt_binary_cross_entropy(bool grad, lt_tensor logits, lt_tensor target, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::binary_cross_entropy_with_logits(T(logits), T(target))); });
}
char* lt_normalize_rows(bool grad, lt_tensor x, double floor, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(x) / T(x).norm(2, {1}, true).clamp_min(floor)); });
}
char* lt_supervised_contrast(bool grad, lt_tensor z, lt_tensor labels, double temperature, lt_tensor* out) {
  return call(grad, [&] {
    const auto n = T(z).size(0);
    auto self = at::eye(n, T(z).options().dtype(at::kBool));
    // A sample is no candidate for itself. −∞ would make 0·∞ = NaN below.
    auto similarity = at::matmul(T(z), T(z).t()).div(temperature).masked_fill(self, -1e9);
    auto log_probability = at::log_softmax(similarity, 1);
    auto own = T(labels).unsqueeze(1);
    auto positive = own.eq(own.t()).logical_and(self.logical_not()).to(T(z).scalar_type());
    auto count = positive.sum(1);
    auto mean = (positive * log_probability).sum(1) / count.clamp_min(1);
    *out = wrap(-mean.sum() / count.gt(0).sum().clamp_min(1));
  });
}
