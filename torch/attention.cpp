//go:build !lazyengine

// Self-attention that keeps its operand and its result, never the scores: those are as large as all else in a block
// together. Forward and backward go through a few samples at a time and make their scores again (Rabe and Staats 2021;
// Dao et al. 2022). libtorch's fused CPU kernel, from 2.x on, does the same faster where there is no bias. Neither
// libtorch's kernel nor its composition would do alone: the first cannot be differentiated twice, the second keeps
// scores.
#include "aten.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>

#include "call.h"
#include "constant.h"
#include "node.h"

#if __has_include(<ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>)
#define HAS_FLASH 1
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#else
#define HAS_FLASH 0
#endif

namespace {

using at::Tensor;
using torch::autograd::variable_list;

constexpr double kFar = -100;             // added to the score of two tokens of different regions
constexpr int64_t kScores = 1 << 20;      // elements of scores that are alive at a time, unless one sample has more
constexpr int64_t kScoresThere = 1 << 26;  // on other devices, where small operations leave most of the machine idle

// How the rows of qkv [N·T, 3C] are divided, and which tokens see each other.
struct Attention {
  int64_t n, t, heads, width;    // samples (windows), tokens of each, heads, C
  std::vector<int64_t> regions;  // of the t tokens of each of a picture's windows; empty: all see each other

  int64_t windows() const { return regions.empty() ? 1 : static_cast<int64_t>(regions.size()) / t; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(width / heads)); }
  // Samples that are worked on together: whole pictures, so that every chunk meets the same regions.
  int64_t chunk(const Tensor& qkv) const {
    const int64_t w = windows(), each = std::max<int64_t>(1, heads * t * t * w);
    return w * std::max<int64_t>(1, (qkv.is_cpu() ? kScores : kScoresThere) / each);
  }
  // [windows, 1, t, t], or none.
  Tensor mask(const Tensor& like) const {
    if (regions.empty()) return {};
    return constant("attention mask", regions, t, like.options(), [&](const Tensor& numbers) {
      const Tensor r = numbers.view({windows(), t});
      return r.unsqueeze(1).ne(r.unsqueeze(2)).to(like.scalar_type()).mul_(kFar).unsqueeze(1);
    });
  }
  // q, k or v of samples [from, from + m) as a view [m, heads, t, d]; rows are [n·t, parts·C].
  Tensor part(const Tensor& rows, int64_t parts, int64_t i, int64_t from, int64_t m) const {
    return rows.narrow(0, from * t, m * t).view({m, t, parts, heads, width / heads}).select(2, i).transpose(1, 2);
  }
};

// softmax(scale·q kᵀ + bias + mask), in place where nothing is recorded.
Tensor probabilities(const Attention& a, const Tensor& q, const Tensor& k, const Tensor& bias, const Tensor& mask) {
  const auto plus = [](Tensor s, const Tensor& t) { return at::GradMode::is_enabled() ? s.add(t) : s.add_(t); };
  Tensor s = at::matmul(q, k.transpose(-2, -1)).mul_(a.scale());
  if (bias.defined()) s = plus(s, bias);
  if (mask.defined()) s = plus(s.view({-1, mask.size(0), a.heads, a.t, a.t}), mask).view(s.sizes());
  return at::softmax(s, -1);
}

Tensor forward(const Attention& a, const Tensor& qkv, const Tensor& bias) {
  Tensor out = at::empty({a.n * a.t, a.width}, qkv.options());
  const Tensor mask = a.mask(qkv);
  for (int64_t i = 0, step = a.chunk(qkv); i < a.n; i += step) {
    const int64_t m = std::min(step, a.n - i);
    const Tensor p = probabilities(a, a.part(qkv, 3, 0, i, m), a.part(qkv, 3, 1, i, m), bias, mask);
    a.part(out, 1, 0, i, m).copy_(at::matmul(p, a.part(qkv, 3, 2, i, m)));
  }
  return out;
}

struct Gradients {
  Tensor qkv, bias;
};

// Of one chunk, in operations that can be recorded: with P the probabilities and O = P V,
// dV = Pᵀ dO, dS = P ∘ (dO Vᵀ − rows' sums of P ∘ dO Vᵀ), dQ = scale·dS K, dK = scale·dSᵀ Q.
struct Parts {
  Tensor q, k, v, bias;
};
Parts backward(const Attention& a, const Parts& in, const Tensor& mask, const Tensor& dout) {
  const Tensor p = probabilities(a, in.q, in.k, in.bias, mask);
  Tensor dp = at::matmul(dout, in.v.transpose(-2, -1));
  const Tensor dv = at::matmul(p.transpose(-2, -1), dout);
  const Tensor ds = at::GradMode::is_enabled() ? p * (dp - (dp * p).sum(-1, true))
                                               : at::_softmax_backward_data(dp, p, -1, p.scalar_type());
  dp.reset();
  return {at::matmul(ds, in.k).mul_(a.scale()), at::matmul(ds.transpose(-2, -1), in.q).mul_(a.scale()), dv,
          in.bias.defined() ? ds.sum(0) : Tensor()};
}

Gradients backward(const Attention& a, const Tensor& qkv, const Tensor& bias, const Tensor& dout) {
  Gradients g{at::empty_like(qkv), bias.defined() ? at::zeros_like(bias) : Tensor()};
  const Tensor mask = a.mask(qkv);
  for (int64_t i = 0, step = a.chunk(qkv); i < a.n; i += step) {
    const int64_t m = std::min(step, a.n - i);
    const auto in = [&](int64_t j) { return a.part(qkv, 3, j, i, m); };
    const Parts d = backward(a, {in(0), in(1), in(2), bias}, mask, a.part(dout, 1, 0, i, m));
    const Tensor grads[] = {d.q, d.k, d.v};
    for (int64_t j = 0; j < 3; j++) a.part(g.qkv, 3, j, i, m).copy_(grads[j]);
    if (bias.defined()) g.bias.add_(d.bias);
  }
  return g;
}

Gradients differentiable(const Attention& a, const Tensor& qkv, const Tensor& bias, const Tensor& dout) {
  const auto in = [&](int64_t j) { return a.part(qkv, 3, j, 0, a.n); };
  const Parts d = backward(a, {in(0), in(1), in(2), bias}, a.mask(qkv), a.part(dout, 1, 0, 0, a.n));
  const auto tokens = [](const Tensor& t) { return t.transpose(1, 2); };  // [n, t, heads, d]
  return {at::stack({tokens(d.q), tokens(d.k), tokens(d.v)}, 2).reshape(qkv.sizes()), d.bias};
}

// ---- libtorch's kernel

bool flash(const Tensor& qkv, const Tensor& bias, const Attention& a) {
  return HAS_FLASH && qkv.device().is_cpu() && !bias.defined() && a.regions.empty();
}

#if HAS_FLASH
std::tuple<Tensor, Tensor> flash_forward(const Attention& a, const Tensor& qkv) {
  auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
      a.part(qkv, 3, 0, 0, a.n), a.part(qkv, 3, 1, 0, a.n), a.part(qkv, 3, 2, 0, a.n));
  return {out.transpose(1, 2).reshape({a.n * a.t, a.width}), lse};
}

Gradients flash_backward(const Attention& a, const Tensor& qkv, const Tensor& dout, const Tensor& out,
                         const Tensor& lse) {
  auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      a.part(dout, 1, 0, 0, a.n), a.part(qkv, 3, 0, 0, a.n), a.part(qkv, 3, 1, 0, a.n), a.part(qkv, 3, 2, 0, a.n),
      a.part(out, 1, 0, 0, a.n), lse, 0, false);
  Gradients g{at::empty_like(qkv), {}};
  Tensor* grads[] = {&dq, &dk, &dv};
  for (int64_t j = 0; j < 3; j++) {
    a.part(g.qkv, 3, j, 0, a.n).copy_(*grads[j]);
    grads[j]->reset();
  }
  return g;
}
#else
std::tuple<Tensor, Tensor> flash_forward(const Attention&, const Tensor&) { return {}; }
Gradients flash_backward(const Attention&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) { return {}; }
#endif

// ---- autograd

struct AttentionBackward final : torch::autograd::Node {
  Attention a;
  torch::autograd::SavedVariable qkv, bias;
  Tensor out, lse;  // of libtorch's kernel
  bool biased = false;

  std::string name() const override { return "AttentionBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    qkv.reset_data();
    bias.reset_data();
    out.reset();
    lse.reset();
  }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!grads[0].defined()) return variable_list(2);
    const Tensor dout = grads[0].contiguous(), x = qkv.unpack(), b = biased ? bias.unpack() : Tensor();
    Gradients g;
    if (at::GradMode::is_enabled()) {
      g = differentiable(a, x, b, dout);
    } else if (lse.defined()) {
      g = flash_backward(a, x, dout, out, lse);
    } else {
      g = backward(a, x, b, dout);
    }
    return {g.qkv, g.bias};
  }
};

Tensor attention(const Attention& a, const Tensor& qkv, const Tensor& bias) {
  TORCH_CHECK(a.t > 0 && a.heads > 0 && a.width % a.heads == 0, "attention: ", a.t, " tokens, ", a.heads, " heads, width ",
              a.width);
  TORCH_CHECK(qkv.dim() == 2 && qkv.size(1) == 3 * a.width && qkv.size(0) == a.n * a.t && qkv.is_contiguous(),
              "attention: qkv must be dense rows of 3·", a.width, ", a multiple of ", a.t, " of them, is ", qkv.sizes());
  TORCH_CHECK(!bias.defined() || bias.sizes() == at::IntArrayRef({a.heads, a.t, a.t}), "attention: the bias is ",
              bias.sizes());
  TORCH_CHECK(a.regions.size() % a.t == 0 && a.n % a.windows() == 0, "attention: ", a.n, " windows of ",
              a.regions.size(), " regions");
  const bool graph = torch::autograd::compute_requires_grad(qkv, bias), fused = flash(qkv, bias, a);
  Tensor out, lse;
  {
    at::AutoGradMode quiet(false);
    if (fused) std::tie(out, lse) = flash_forward(a, qkv);
    else out = forward(a, qkv, bias);
  }
  if (!graph) return out;
  auto node = make_node<AttentionBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(qkv, bias));
  node->a = a;
  node->qkv = torch::autograd::SavedVariable(qkv, false);
  if ((node->biased = bias.defined())) node->bias = torch::autograd::SavedVariable(bias, false);
  if (fused) node->out = out.detach(), node->lse = lse;
  torch::autograd::create_gradient_edge(out, node);
  return out;
}

}  // namespace

char* lt_attention(bool grad, lt_tensor qkv, lt_tensor bias, int64_t tokens, int64_t heads, const int64_t* regions, int n,
                   lt_tensor* out) {
  return call(grad, [&] {
    const Tensor& x = T(qkv);
    TORCH_CHECK(x.dim() == 2 && tokens > 0, "attention: qkv must be rows, is ", x.sizes());
    *out = wrap(attention({x.size(0) / tokens, tokens, heads, x.size(1) / 3, {regions, regions + n}}, x, or_none(bias)));
  });
}
