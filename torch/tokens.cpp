//go:build !lazyengine

// Operations on tokens: normalisation of rows, and their rearrangement.
#include "aten.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <memory>

#include "call.h"
#include "constant.h"
#include "host.h"
#include "kernels.h"
#include "node.h"
#include "remake.h"

namespace {

using at::Tensor;
using torch::autograd::variable_list;

// ---- layer normalisation; that of bfloat16 has statistics in float32 on every libtorch

Tensor wide(const Tensor& x) { return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

struct LayerNormBackward final : Remaker {
  torch::autograd::SavedVariable x, w;
  Tensor mean, rstd, bias;
  double eps = 0;

  std::string name() const override { return "LayerNormBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    x.reset_data();
    w.reset_data();
    mean.reset();
    rstd.reset();
  }

  bool remakes() const override { return true; }

  Tensor remake() override {
    std::lock_guard<std::mutex> lock(mutex_);
    const Tensor input = x.unpack();
    return std::get<0>(at::native_layer_norm(wide(input), {input.size(-1)}, w.unpack(), bias, eps)).to(input.scalar_type());
  }

  Tensor like() override { return x.unpack(); }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!grads[0].defined()) return variable_list(3);
    const Tensor half = x.unpack(), weight = w.unpack(), dy = wide(grads[0]), xf = wide(half);
    if (at::GradMode::is_enabled()) return differentiable(dy, xf, weight, half.scalar_type());
    auto [dx, dw, db] = at::native_layer_norm_backward(dy, xf, {xf.size(-1)}, mean, rstd, weight, bias,
                                                       {task_should_compute_output(0), task_should_compute_output(1),
                                                        task_should_compute_output(2)});
    return {dx.defined() ? dx.to(half.scalar_type()) : dx, dw, db};
  }

  // The same in operations that libtorch differentiates again, statistics included.
  variable_list differentiable(const Tensor& dy, const Tensor& xf, const Tensor& weight, at::ScalarType type) const {
    const Tensor centred = xf - xf.mean(-1, true);
    const Tensor inv = ((centred * centred).mean(-1, true) + eps).rsqrt(), n = centred * inv, g = dy * weight;
    const Tensor dx = inv * (g - g.mean(-1, true) - n * (g * n).mean(-1, true));
    std::vector<int64_t> rows;
    for (int64_t i = 0; i + 1 < dy.dim(); i++) rows.push_back(i);
    return {dx.to(type), (dy * n).sum(rows), dy.sum(rows)};
  }
};

Tensor layer_norm(const Tensor& x, const Tensor& w, const Tensor& b, double eps) {
  TORCH_CHECK(x.dim() > 0 && w.defined() && b.defined() && w.numel() == x.size(-1) && b.numel() == x.size(-1),
              "layer norm: x is ", x.sizes(), ", the weight and bias must have its last size");
  const bool graph = torch::autograd::compute_requires_grad(x, w, b);
  Tensor y, mean, rstd;
  {
    at::AutoGradMode quiet(false);
    std::tie(y, mean, rstd) = at::native_layer_norm(wide(x), {x.size(-1)}, w, b, eps);
    y = y.to(x.scalar_type());
  }
  if (!graph) return y;
  auto node = make_node<LayerNormBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x, w, b));
  node->x = torch::autograd::SavedVariable(x, false);
  node->w = torch::autograd::SavedVariable(w, false);
  node->mean = mean, node->rstd = rstd, node->bias = b.detach(), node->eps = eps;
  torch::autograd::create_gradient_edge(y, node);
  return y;
}

// ---- rearrangement of rows

// Row j of the result is row to[j] of the input, or zeros where to[j] is −1. Each row of the input is taken once at
// most, at[i] says where it went or −1; so the adjoint is the same operation with the two exchanged.
struct Moves {
  std::vector<int64_t> to, at;
};
using Plan = std::shared_ptr<const Moves>;

Tensor move(Tensor x, const Plan& p, bool back);

struct MoveBackward final : torch::autograd::Node {
  Plan plan;
  bool back = false;

  std::string name() const override { return "MoveBackward"; }
  variable_list apply(variable_list&& grads) override {
    return {grads[0].defined() ? move(grads[0], plan, !back) : Tensor()};
  }
};

Tensor move(Tensor x, const Plan& p, bool back) {
  const std::vector<int64_t>&from = back ? p->at : p->to, &inverse = back ? p->to : p->at;
  TORCH_CHECK(x.dim() == 3 && x.size(1) == static_cast<int64_t>(inverse.size()), "rows: x must be [N, ", inverse.size(),
              ", C], is ", x.sizes());
  x = x.contiguous();
  const int64_t n = x.size(0), rows = static_cast<int64_t>(from.size()), c = x.size(2), old = x.size(1);
  Tensor y;
  if (own_kernels() && x.device().is_cpu()) {
    y = at::empty({n, rows, c}, x.options().requires_grad(false));
    const size_t bytes = c * x.element_size();
    const char* src = static_cast<const char*>(host(x));
    char* dst = static_cast<char*>(host(y));
    at::parallel_for(0, n * rows, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t j = from[i % rows];
        if (j < 0) std::memset(dst + i * bytes, 0, bytes);
        else std::memcpy(dst + i * bytes, src + (i / rows * old + j) * bytes, bytes);
      }
    });
  } else {
    at::AutoGradMode quiet(false);
    const auto at = x.options().dtype(at::kLong);
    y = x.detach().index_select(1, constant("rows", from, 0, at, [](const Tensor& i) { return i.clamp_min(0); }));
    if (std::find(from.begin(), from.end(), -1) != from.end())
      y.masked_fill_(constant("no rows", from, 0, at, [](const Tensor& i) { return i.lt(0).view({1, -1, 1}); }), 0);
  }
  if (torch::autograd::compute_requires_grad(x)) {
    auto node = make_node<MoveBackward>();
    node->set_next_edges(torch::autograd::collect_next_edges(x));
    node->plan = p;
    node->back = back;
    torch::autograd::create_gradient_edge(y, node);
  }
  return y;
}

}  // namespace

char* lt_layer_norm(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, double eps, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(layer_norm(T(x), or_none(w), or_none(b), eps)); });
}
char* lt_move_rows(bool grad, lt_tensor x, const int64_t* to, int rows, lt_tensor* out) {
  return call(grad, [&] {
    auto moves = std::make_shared<Moves>();
    moves->to.assign(to, to + rows);
    TORCH_CHECK(T(x).dim() == 3, "rows: x must be [N, rows, C], is ", T(x).sizes());
    moves->at.assign(T(x).size(1), -1);
    for (int j = 0; j < rows; j++) {
      if (to[j] < 0) continue;
      TORCH_CHECK(to[j] < T(x).size(1) && moves->at[to[j]] < 0, "rows: row ", to[j], " of ", T(x).size(1),
                  " is not there or taken twice");
      moves->at[to[j]] = j;
    }
    *out = wrap(move(T(x), moves, false));
  });
}
