//go:build !lazyengine

// Batch normalisation of libtorch's operations. As the kernels do, it keeps the input and the statistics, not the result: that
// is made again where a gradient needs it. So forward normalises by statistics that are known, as in evaluation: the same
// operation on the same values gives the same bits later.
#include "aten.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include "node.h"
#include "norm.h"
#include "remake.h"

namespace norm {
namespace {

using at::Tensor;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

Tensor wide(const Tensor& t) { return t.scalar_type() == at::kBFloat16 ? t.to(at::kFloat) : t; }
Tensor column(const Tensor& t) { return t.view({1, -1, 1, 1}); }

// Per channel; the variance is that of the values at hand, not an estimate of where they come from.
struct Statistics {
  Tensor mean, variance;

  Tensor invstd(double eps) const { return (variance + eps).rsqrt_(); }
};

// Those of a batch in parts.
Statistics of_parts(const Operands& v, double momentum, const Peers& peers) {
  const auto [own_mean, own_variance] = at::batch_norm_update_stats(v.x, at::empty_like(v.w), at::empty_like(v.w), 0);
  const Tensor mu = own_mean.to(at::kDouble);
  const auto sums = peers.sum(at::cat({mu, own_variance.to(at::kDouble).add_(mu * mu)})).div_(peers.count).chunk(2);
  const Tensor mean = sums[0], variance = sums[1].sub(mean * mean).clamp_min_(0);
  if (v.running_mean.defined()) {
    const double n = peers.rows(static_cast<double>(v.x.numel() / v.x.size(1)));
    v.running_mean.mul_(1 - momentum).add_(mean, momentum);
    v.running_var.mul_(1 - momentum).add_(variance, momentum * n / (n - 1));
  }
  return {mean.to(own_mean.scalar_type()), variance.to(own_mean.scalar_type())};
}

// Those of the batch, which move the running ones where there are any. Without them, arbitrary ones of the weights' type are
// left as they are: else bfloat16 would have statistics of its own type.
Statistics of_batch(const Operands& v, double momentum, const Peers& peers) {
  if (peers.any()) return of_parts(v, momentum, peers);
  const bool running = v.running_mean.defined();
  auto [mean, variance] =
      at::batch_norm_update_stats(v.x, running ? v.running_mean : at::empty_like(v.w),
                                  running ? v.running_var : at::empty_like(v.w), running ? momentum : 0);
  return {mean, variance};
}

Tensor normalise(const Tensor& x, const Tensor& w, const Tensor& b, const Statistics& s, double eps) {
  return std::get<0>(at::native_batch_norm(x, w, b, s.mean, s.variance, /*training=*/false, 0, eps));
}

// Gradients, and what those of w and b are over all parts of the batch.
struct Through : Gradients {
  Tensor all_w, all_b;
};

// The first gradient where the sums over all parts of a batch are known.
Tensor to_input(const Tensor& g, const Tensor& x, const Tensor& w, const Statistics& s, const Tensor& invstd, double eps,
                const Peers& peers, const Tensor& all_w, const Tensor& all_b) {
  const Tensor scale = w * invstd, mean = scale * (-1 / peers.rows(static_cast<double>(x.numel() / x.size(1))));
  return normalise(wide(x), mean * all_w, mean * all_b, s, eps).addcmul_(wide(g), column(scale)).to(x.scalar_type());
}

// The gradients of the normalisation by the batch's statistics. The first is also the derivative along g: that map is its own
// adjoint.
Through through_batch(const Tensor& g, const Tensor& x, const Tensor& w, const Statistics& s, const Tensor& invstd,
                      double eps, const Peers& peers, std::array<bool, 3> wanted) {
  if (!peers.any() || !wanted[0]) {
    auto [dx, dw, db] = at::native_batch_norm_backward(g, x, w, {}, {}, s.mean, invstd, true, eps, wanted);
    return {{dx, dw, db}, dw, db};
  }
  const auto own = at::native_batch_norm_backward(g, x, w, {}, {}, s.mean, invstd, true, eps, {false, true, true});
  const Tensor dw = std::get<1>(own), db = std::get<2>(own);
  const auto all = peers.sum(at::cat({dw, db})).to(dw.scalar_type()).chunk(2);
  return {{to_input(g, x, w, s, invstd, eps, peers, all[0], all[1]), dw, db}, all[0], all[1]};
}

Tensor mask_of(const Tensor& gates, const Tensor& x) {
  return gates.defined() && gates.scalar_type() != at::kBool ? unpack(gates, x) : gates;
}

// Nobody else holds it, so that its memory may become that of a result.
bool owned(const Tensor& t) { return t.use_count() == 1 && t.storage().use_count() == 1; }

// ---- the normalisation

struct ComposedBackward final : Remaker {
  enum Input { kX, kAdd, kWeight, kBias, kInputs };

  Options options;
  bool added;  // a residual, which it does not keep
  SavedVariable x, w, b;
  Statistics statistics;
  Tensor closed;  // the units that were shut, where that was given or recorded

  std::string name() const override { return "ComposedNormBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    x.reset_data();
    w.reset_data();
    b.reset_data();
    statistics = {};
    closed.reset();
  }

  bool remakes() const override { return !added; }

  Tensor remake() override {
    std::lock_guard<std::mutex> lock(mutex_);
    const at::NoGradGuard plain;
    Tensor out = normalise(x.unpack(), w.unpack(), b.unpack(), statistics, options.eps);
    if (!options.relu) return out;
    return closed.defined() ? out.masked_fill_(closed, 0) : out.relu_();
  }

  Tensor like() override { return x.unpack(); }

  bool wanted(Input i) const { return task_should_compute_output(i); }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    Tensor dy = std::move(grads[0]);
    variable_list out(kInputs);
    if (!dy.defined()) return out;
    const Tensor input = x.unpack(), weight = w.unpack();
    const std::array<bool, 3> which{wanted(kX), wanted(kWeight), wanted(kBias)};
    const bool again = at::GradMode::is_enabled();
    if (!again) dy = dy.contiguous(input.suggest_memory_format());
    Tensor g = options.relu ? gated(std::move(dy), input) : dy;
    if (wanted(kAdd)) out[kAdd] = g;
    Gradients d;
    if (again) {
      d = differentiable(g, input, weight, statistics.mean, statistics.invstd(options.eps), options, which);
    } else if (options.train) {
      d = through_batch(g, input, weight, statistics, statistics.invstd(options.eps), options.eps, options.peers, which);
    } else {
      std::tie(d.x, d.w, d.b) = at::native_batch_norm_backward(g, input, weight, statistics.mean, statistics.variance,
                                                               statistics.mean, statistics.invstd(options.eps), false,
                                                               options.eps, which);
    }
    out[kX] = d.x, out[kWeight] = d.w, out[kBias] = d.b;
    return out;
  }

  // The gradient behind the ReLU.
  Tensor gated(Tensor dy, const Tensor& input) const {
    Tensor shut = closed;
    if (at::GradMode::is_enabled()) {
      if (!shut.defined()) {
        const at::NoGradGuard plain;
        shut = values(input).le(0);
      }
      return dy.masked_fill(shut, 0);
    }
    const bool own = owned(dy);
    if (shut.defined()) return own ? dy.masked_fill_(shut, 0) : dy.masked_fill(shut, 0);
    if (own) return at::threshold_backward_out(dy, dy, values(input), 0);
    return at::threshold_backward(dy, values(input), 0);
  }

  // What reached the ReLU.
  Tensor values(const Tensor& input) const {
    return normalise(input, w.unpack(), b.unpack(), statistics, options.eps);
  }
};

// ---- the tangent

// With n = (x − mean)·v, v = invstd, N rows and S = w·v, the derivative along t is
//
//	ṡ = S·(t − T₀/N − n·T₁/N),  T₀ = Σt, T₁ = Σ t·n.
//
// What comes back to t is the same map of g, with G₀ and G₁. To w and x come back
//
//	dw = v·(Σ g·t − T₀G₀/N − T₁G₁/N),
//	dx = −(S·v/N)·(G₁·t + T₁·g − (T₁G₀ + G₁T₀)/N) + n·S·(2·v·T₁G₁/N² − dw/N).
struct ComposedTangentBackward final : Remaker {
  enum Input { kAlong, kAdd, kX, kWeight, kInputs };

  bool added;  // a direction of the residual, which it does not keep
  double eps;
  Peers peers;
  SavedVariable x, along, w;
  Statistics statistics;
  Tensor invstd, closed;
  Tensor t0, t1;  // of all parts of the batch

  std::string name() const override { return "ComposedTangentBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    x.reset_data();
    along.reset_data();
    w.reset_data();
    statistics = {};
    for (Tensor* t : {&invstd, &closed, &t0, &t1}) t->reset();
  }

  bool remakes() const override { return !added; }

  Tensor remake() override {
    std::lock_guard<std::mutex> lock(mutex_);
    const at::NoGradGuard plain;
    const Tensor input = x.unpack(), direction = along.unpack(), weight = w.unpack();
    Tensor y = peers.any() ? to_input(direction, input, weight, statistics, invstd, eps, peers, t1, t0)
                           : through_batch(direction, input, weight, statistics, invstd, eps, {}, {true, true, true}).x;
    return closed.defined() ? y.masked_fill_(closed, 0) : y;
  }

  Tensor like() override { return x.unpack(); }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    TORCH_CHECK(!at::GradMode::is_enabled(), "batch norm: a tangent can be differentiated once");
    Tensor u = std::move(grads[0]);
    variable_list out(kInputs);
    if (!u.defined()) return out;
    const Tensor input = x.unpack(), direction = along.unpack(), weight = w.unpack();
    u = u.contiguous(input.suggest_memory_format());
    if (closed.defined()) u = owned(u) ? u.masked_fill_(closed, 0) : u.masked_fill(closed, 0);
    const Through g = through_batch(u, input, weight, statistics, invstd, eps, peers, {true, true, true});
    out[kAlong] = g.x;
    if (task_should_compute_output(kAdd)) out[kAdd] = u;
    std::tie(out[kX], out[kWeight]) = curve(u, input, direction, weight, g);
    return out;
  }

  // dx and dw.
  std::pair<Tensor, Tensor> curve(const Tensor& g, const Tensor& input, const Tensor& t, const Tensor& weight,
                                  const Through& sums) const {
    const double n = peers.rows(static_cast<double>(input.numel() / input.size(1)));
    const Tensor &g0 = sums.all_b, &g1 = sums.all_w, zero = at::zeros_like(t0), one = at::ones_like(t0);
    const Tensor gt = std::get<1>(at::native_batch_norm_backward(g, t, weight, {}, {}, zero, one, true, eps,
                                                                 {false, true, false}));
    const Tensor own = gt.sub(at::addcmul(t1 * sums.w, t0, sums.b), 1 / n).mul_(invstd);
    const Tensor both = t1 * g1, dw = peers.any() ? peers.sum(own).to(own.scalar_type()) : own;
    const Tensor scale = weight * invstd, r = (scale * invstd).mul_(-1 / n), turn = r * g1, bend = r * t1;
    const Tensor shift = (turn * t0).addcmul_(bend, g0).mul_(-1 / n);
    const Tensor lean = (both * invstd).mul_(2 / n).sub_(dw).mul_(scale).mul_(1 / n);
    Tensor dx = normalise(wide(input), lean, shift, statistics, eps);
    dx.addcmul_(wide(t), column(turn)).addcmul_(wide(g), column(bend));
    return {dx.to(input.scalar_type()), own};
  }
};

// ---- the second derivative of a batch in parts

Tensor sum_of_parts(const Tensor& t, const Peers& peers);

// A sum over all parts goes into the loss of each: back to a part comes the sum of what comes back to all.
struct SumBackward final : torch::autograd::Node {
  Peers peers;

  std::string name() const override { return "SumOfPartsBackward"; }

  variable_list apply(variable_list&& grads) override {
    return {grads[0].defined() ? sum_of_parts(grads[0], peers) : Tensor()};
  }
};

Tensor sum_of_parts(const Tensor& t, const Peers& peers) {
  Tensor out;
  {
    const at::NoGradGuard plain;
    out = peers.sum(t).to(t.scalar_type());
  }
  if (!torch::autograd::compute_requires_grad(t)) return out;
  auto node = make_node<SumBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(t));
  node->peers = peers;
  torch::autograd::create_gradient_edge(out, node);
  return out;
}

// The gradients, in operations that are recorded, of a batch in parts whose mean is known.
Gradients differentiable_parts(const Tensor& g, const Tensor& x, const Tensor& w, const Tensor& mean, const Options& o,
                               std::array<bool, 3> wanted) {
  const std::array<int64_t, 3> but_channels{0, 2, 3};
  const double n = o.peers.rows(static_cast<double>(x.numel() / x.size(1)));
  const auto all = [&](const Tensor& t) { return sum_of_parts(t, o.peers) / n; };
  // The mean's value is known, its derivative is not.
  const Tensor near = x - column(mean), d = near - column(all(near.sum(but_channels)));
  const Tensor v = (all((d * d).sum(but_channels)) + o.eps).rsqrt();
  const Tensor g0 = g.sum(but_channels), g1 = (g * d).sum(but_channels);
  Gradients out;
  if (wanted[0]) out.x = column(w * v) * (g - column(all(g0)) - d * column(v * v * all(g1)));
  if (wanted[1]) out.w = g1 * v;
  if (wanted[2]) out.b = g0;
  return out;
}

}  // namespace

Gradients differentiable(const Tensor& g, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& invstd,
                         const Options& o, std::array<bool, 3> wanted) {
  Gradients d;
  const Tensor gf = wide(g), xf = wide(x);
  if (o.train && o.peers.any()) {
    d = differentiable_parts(gf, xf, w, mean, o, wanted);
  } else if (o.train) {
    std::tie(d.x, d.w, d.b) = at::native_batch_norm_backward(gf, xf, w, {}, {}, mean, invstd, true, o.eps, wanted);
  } else {
    if (wanted[0]) d.x = gf * column(w * invstd);
    if (wanted[1]) d.w = (gf * (xf - column(mean))).sum({0, 2, 3}) * invstd;
    if (wanted[2]) d.b = gf.sum({0, 2, 3});
  }
  if (d.x.defined()) d.x = d.x.to(x.scalar_type());
  return d;
}

std::pair<Tensor, Tensor> composed(const Operands& v, Options o, bool record) {
  const bool graph = torch::autograd::compute_requires_grad(v.x, v.add, v.w, v.b);
  // Behind a residual the gates are not decided again from x. Then the ReLU is libtorch's, with a node of its own that keeps
  // the result: most often the layer behind it keeps that anyway.
  const bool apart = graph && o.relu && v.add.defined() && !v.gates.defined() && !record;
  if (apart) o.relu = false;
  Statistics s;
  Tensor y, closed;
  {
    const at::NoGradGuard plain;
    // Running statistics may move before the gradient is asked for.
    s = o.train ? of_batch(v, o.momentum, o.peers)
        : graph ? Statistics{v.running_mean.clone(), v.running_var.clone()}
                : Statistics{v.running_mean, v.running_var};
    y = normalise(v.x, v.w, v.b, s, o.eps);
    if (v.add.defined()) y.add_(v.add);
    if (o.relu && v.gates.defined()) y.masked_fill_(closed = mask_of(v.gates, v.x), 0);
    else if (o.relu) y.relu_();
    if (o.relu && record && !v.gates.defined()) closed = y.eq(0);
  }
  const Tensor recorded = v.gates.defined() ? Tensor() : closed;
  if (!graph) return {y, recorded};
  auto node = make_node<ComposedBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(v.x, v.add, v.w, v.b));
  node->options = o;
  node->added = v.add.defined();
  node->x = SavedVariable(v.x, false);
  node->w = SavedVariable(v.w, false);
  node->b = SavedVariable(v.b, false);
  node->statistics = std::move(s);
  node->closed = closed;
  torch::autograd::create_gradient_edge(y, node);
  if (apart) y.relu_();
  return {y, recorded};
}

Tensor composed_tangent(const Tensor& along, const Tensor& add, const Point& at) {
  const bool graph = torch::autograd::compute_requires_grad(along, add, at.x, at.w);
  Statistics s;
  Tensor invstd, closed;
  Through t;
  {
    const at::NoGradGuard plain;
    s = of_batch({at.x, {}, at.w, {}, {}, {}, {}}, 0, at.peers);
    invstd = s.invstd(at.eps);
    closed = mask_of(at.gates, at.x);
    t = through_batch(along, at.x, at.w, s, invstd, at.eps, at.peers, {true, true, true});
    if (add.defined()) t.x.add_(add);
    if (closed.defined()) t.x.masked_fill_(closed, 0);
  }
  if (!graph) return t.x;
  auto node = make_node<ComposedTangentBackward>();
  node->added = add.defined();
  node->eps = at.eps;
  node->peers = at.peers;
  node->set_next_edges(torch::autograd::collect_next_edges(along, add, at.x, at.w));
  node->x = SavedVariable(at.x, false);
  node->along = SavedVariable(along, false);
  node->w = SavedVariable(at.w, false);
  node->statistics = std::move(s);
  node->invstd = invstd, node->closed = closed;
  node->t0 = t.all_b, node->t1 = t.all_w;
  torch::autograd::create_gradient_edge(t.x, node);
  return t.x;
}

}  // namespace norm
