//go:build !lazyengine

// Numbers that a device has found, and what is done with them there: nobody waits for them.
#include "aten.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/version.h>

#include "call.h"
#include "device.h"

namespace {

using at::Tensor;

std::vector<Tensor> list(const lt_tensor* ts, int n) {
  std::vector<Tensor> out;
  out.reserve(n);
  for (int i = 0; i < n; i++) out.push_back(T(ts[i]));
  return out;
}

}  // namespace

char* lt_sum_in_order(lt_tensor t, lt_tensor* out) {
  return call(false, [&] {
    const Tensor a = T(t).to(at::kDouble).contiguous();
    if (!a.is_cpu()) return void(*out = wrap(a.sum()));
    double sum = 0;
    const double* p = a.data_ptr<double>();
    for (int64_t i = 0; i < a.numel(); i++) sum += p[i];
    *out = wrap(at::scalar_tensor(sum, at::kDouble));
  });
}

char* lt_norms(const lt_tensor* ts, int n, lt_tensor* out) {
  return call(false, [&] {
    if (!T(ts[0]).is_cpu()) {  // one launch for many tensors
      const auto norms = at::stack(at::_foreach_norm(list(ts, n)));
      return void(*out = wrap(norms.to(T(ts[0]).device(), at::kDouble)));
    }
    Tensor norms = at::empty({n}, at::kDouble);
    for (int i = 0; i < n; i++) norms.data_ptr<double>()[i] = at::norm(T(ts[i])).item<double>();
    *out = wrap(norms);
  });
}

char* lt_stack(const lt_tensor* ts, int n, lt_tensor* out) {
  return call(false, [&] {
    auto all = list(ts, n);
    for (auto& t : all) t = t.detach().to(at::kDouble);
    *out = wrap(at::stack(all));
  });
}

char* lt_scale_by_(const lt_tensor* ts, int n, lt_tensor factor) {
  return call(false, [&] {
    const auto f = T(factor).to(T(ts[0]).scalar_type());
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2
    at::_foreach_mul_(list(ts, n), f);
#else
    for (int i = 0; i < n; i++) T(ts[i]).mul_(f);
#endif
  });
}

char* lt_scale_each_(const lt_tensor* ts, int n, lt_tensor factors) {
  return call(false, [&] {
    const auto f = T(factors).to(T(ts[0]).scalar_type()).unbind();
    for (int i = 0; i < n; i++) T(ts[i]).mul_(f[i]);
  });
}

char* lt_normal_by_(lt_tensor t, lt_tensor std_, uint64_t seed) {
  return call(false, [&] {
    // A seed means the same numbers on every device: they are drawn on the CPU, in the order in which maps lie there. A
    // device may lay them out in another one.
    const auto options = T(t).options().device(at::kCPU);
    const auto order = T(t).dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    const auto drawn = T(t).is_cpu() ? at::empty_strided(T(t).sizes(), T(t).strides(), options)
                                     : at::empty(T(t).sizes(), options, order);
    drawn.normal_(0, 1, at::make_generator<at::CPUGeneratorImpl>(seed));
    if (!T(t).is_cpu()) refuse_recording("a draw");
    T(t).copy_(drawn, /*non_blocking=*/true).mul_(T(std_));
  });
}
