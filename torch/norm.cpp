//go:build !lazyengine

// Batch normalisation with what usually follows it, a residual addition and a ReLU, in one reading of the input for
// the statistics and one for the result, without temporaries; backward likewise.
#include "aten.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>
#include <numeric>

#include "call.h"
#include "card.h"
#include "host.h"
#include "kernels.h"
#include "node.h"
#include "norm.h"
#include "norm_card.h"
#include "norm_kernel.h"
#include "remake.h"

namespace {

using at::Tensor;
using norm::Gate;
using norm::Operands;
using norm::Options;
using norm::Point;
using norm::Saved;
using norm::unpack;
using torch::autograd::variable_list;

constexpr auto kNHWC = at::MemoryFormat::ChannelsLast;

// ---- the kernels over a whole tensor

// How a tensor is cut for threads. It depends on the shape alone, and so do the results to the last bit.
struct Plan {
  int64_t channels, numel, period, chunk, chunks;

  explicit Plan(const Tensor& x) : channels(x.size(1)), numel(x.numel()) {
    constexpr int64_t kChunks = 64;
    period = std::lcm(channels, norm::kernels().lanes);
    const int64_t block = norm::block_size(period), blocks = (numel + block - 1) / block;
    chunk = block * ((blocks + kChunks - 1) / kChunks);
    chunks = (numel + chunk - 1) / chunk;
  }

  double rows() const { return static_cast<double>(numel / channels); }

  // Each thread goes from its last chunk to its first: what the reduction before has read last is still in the cache.
  template <class F>
  void back(F f) const {
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
      for (int64_t k = last; k-- > first;) f(k * chunk, std::min(numel, (k + 1) * chunk));
    });
  }
};

// Two sums a channel of each chunk; those of chunk 0 become the total.
struct Partial {
  const Plan& plan;
  std::vector<double> values;

  explicit Partial(const Plan& p) : plan(p), values(2 * p.channels * p.chunks) {}

  norm::Sums operator[](int64_t k) {
    double* at = values.data() + 2 * plan.channels * k;
    return {at, at + plan.channels};
  }

  template <class Kernel>
  void run(Kernel kernel, const norm::Tensors& t) {
    at::parallel_for(0, plan.chunks, 1, [&](int64_t first, int64_t last) {
      std::vector<float> lanes(3 * plan.period);
      std::vector<double> sums(2 * plan.channels);
      for (int64_t k = first; k < last; k++)
        kernel(t, k * plan.chunk, std::min(plan.numel, (k + 1) * plan.chunk), (*this)[k], {lanes.data(), sums.data()});
    });
  }

  // Adds up the plain sums of all chunks.
  norm::Sums total() {
    const norm::Sums sum = (*this)[0];
    for (int64_t k = 1; k < plan.chunks; k++)
      for (int64_t c = 0; c < plan.channels; c++) {
        sum.first[c] += (*this)[k].first[c];
        sum.second[c] += (*this)[k].second[c];
      }
    return sum;
  }
};

// Per-channel float values, tiled to the plan's period.
struct Tiles {
  const Plan& plan;
  std::vector<float> values;

  Tiles(const Plan& p, int count) : plan(p), values(count * p.period) {}

  float* operator[](int i) { return values.data() + i * plan.period; }

  void tile() {
    for (size_t row = 0; row < values.size(); row += plan.period)
      for (int64_t j = plan.channels; j < plan.period; j++) values[row + j] = values[row + j - plan.channels];
  }
};

norm::Tensors tensors(const Plan& p, const Tensor& x, const Tensor& gates, Gate gate) {
  norm::Tensors t{};
  t.bf16 = x.scalar_type() == at::kBFloat16;
  t.gate = gate;
  t.channels = p.channels;
  t.period = p.period;
  t.x = host(x);
  t.gates = host<uint8_t>(gates);
  return t;
}

// One bit an element, and room for the last vector's mask.
int64_t gate_bytes(int64_t numel) { return (numel + 63) / 64 * 8; }

// Of a part's moments, those of all parts, and the number of rows.
void merge_parts(const Peers& peers, int64_t channels, double& n, norm::Sums own) {
  if (!peers.any()) return;
  std::vector<double> sums(2 * channels);  // of the values and of their squares
  for (int64_t c = 0; c < channels; c++) {
    sums[c] = n * own.first[c];
    sums[channels + c] = own.second[c] + n * own.first[c] * own.first[c];
  }
  peers.sum(sums.data(), sums.size());
  n = peers.rows(n);
  for (int64_t c = 0; c < channels; c++) {
    own.first[c] = sums[c] / n;
    own.second[c] = sums[channels + c] - n * own.first[c] * own.first[c];
  }
}

// Mean and 1/√(var + eps): of the batch, which then moves the running statistics, or of those.
Saved statistics(const Tensor& x, const Options& o, const Tensor& running_mean, const Tensor& running_var) {
  if (x.is_cuda()) return norm::on_card::statistics(x, o, running_mean, running_var);
  const Plan p(x);
  Saved s{at::empty({p.channels}, at::kFloat), at::empty({p.channels}, at::kFloat), {}};
  float *mean = host<float>(s.mean), *invstd = host<float>(s.invstd);
  float *rm = host<float>(running_mean), *rv = host<float>(running_var);
  if (!o.train) {
    for (int64_t c = 0; c < p.channels; c++) {
      mean[c] = rm[c];
      invstd[c] = static_cast<float>(1 / std::sqrt(rv[c] + o.eps));
    }
    return s;
  }
  Partial part(p);
  part.run(norm::kernels().moments, tensors(p, x, {}, Gate::kOpen));
  double n = 0;
  for (int64_t k = 0; k < p.chunks; k++) {
    const double m = static_cast<double>((std::min(p.numel, (k + 1) * p.chunk) - k * p.chunk) / p.channels);
    if (k > 0) norm::merge(p.channels, n, part[0], m, part[k]);
    n += m;
  }
  merge_parts(o.peers, p.channels, n, part[0]);
  for (int64_t c = 0; c < p.channels; c++) {
    const double mu = part[0].first[c], m2 = part[0].second[c] < 0 ? 0 : part[0].second[c];
    mean[c] = static_cast<float>(mu);
    invstd[c] = static_cast<float>(1 / std::sqrt(m2 / n + o.eps));
    if (rm) rm[c] = static_cast<float>(o.momentum * mu + (1 - o.momentum) * rm[c]);
    if (rv) rv[c] = static_cast<float>(o.momentum * (m2 / (n - 1)) + (1 - o.momentum) * rv[c]);
  }
  return s;
}

// Room for the gates; the bits that no element has are zero.
Tensor empty_gates(const Tensor& x) {
  Tensor gates = at::empty({gate_bytes(x.numel())}, x.options().dtype(at::kByte));
  if (x.is_cuda()) return gates;  // whole vectors
  std::memset(host<uint8_t>(gates) + gates.numel() - 8, 0, 8);
  return gates;
}

// In channels-last layout and, for a card's kernels, at an address that vectors can be read from.
Tensor laid(Tensor t) {
  t = t.contiguous(kNHWC);
  return t.is_cuda() && reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 != 0 ? t.clone() : t;
}

Tensor fresh(const Tensor& x) { return at::empty(x.sizes(), x.options().memory_format(kNHWC)); }

// The three values of a channel that forward and backward have in common.
void tile(Tiles& tiles, norm::Tensors& t, const Saved& s, const Tensor& w, const Tensor& b) {
  const float *mean = host<float>(s.mean), *invstd = host<float>(s.invstd);
  const float *weight = host<float>(w), *bias = host<float>(b);
  for (int64_t c = 0; c < t.channels; c++) {
    tiles[0][c] = mean[c];
    tiles[1][c] = invstd[c] * weight[c];
    tiles[2][c] = bias ? bias[c] : 0;
  }
  tiles.tile();
  t.mean = tiles[0], t.scale = tiles[1], t.bias = tiles[2];
}

Tensor normalise(const Tensor& x, const Tensor& add, const Tensor& w, const Tensor& b, Gate gate, const Saved& s) {
  if (x.is_cuda()) return norm::on_card::normalise(x, add, w, b, gate, s);
  const Plan p(x);
  norm::Tensors t = tensors(p, x, s.gates, gate);
  Tiles tiles(p, 3);
  tile(tiles, t, s, w, b);
  Tensor y = fresh(x);
  t.add = host(add);
  t.y = host(y);
  p.back([&](int64_t begin, int64_t end) { norm::kernels().forward(t, begin, end); });
  return y;
}

// ---- autograd

// Keeps the input, not the output; the gates only where they cannot be decided again.
struct NormBackward final : Remaker {
  enum Input { kX, kAdd, kWeight, kBias, kInputs };

  Options options;
  bool added;  // a residual, which it does not keep
  torch::autograd::SavedVariable x, w, b;
  Saved saved;

  std::string name() const override { return "NormBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    x.reset_data();
    w.reset_data();
    b.reset_data();
    saved = {};
  }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    Tensor dy = std::move(grads[0]);
    if (!dy.defined()) return variable_list(kInputs);
    const Tensor input = x.unpack(), weight = w.unpack(), bias = b.unpack();
    return at::GradMode::is_enabled() ? differentiable(dy, input, weight, bias)
                                      : fused(std::move(dy), input, weight, bias);
  }

  bool remakes() const override { return !added; }

  Tensor remake() override {
    std::lock_guard<std::mutex> lock(mutex_);
    return normalise(x.unpack(), {}, w.unpack(), b.unpack(), gate(), saved);
  }

  Tensor like() override { return x.unpack(); }

  bool wanted(Input i) const { return task_should_compute_output(i); }

  Gate gate() const {
    return !options.relu ? Gate::kOpen : saved.gates.defined() ? Gate::kReplay : Gate::kDecide;
  }

  // Where nobody else holds dy, its memory becomes that of a result. (The engine accumulates by the same rule.)
  variable_list fused(Tensor dy, const Tensor& x, const Tensor& w, const Tensor& b) const {
    dy = laid(std::move(dy));
    const bool own = dy.use_count() == 1 && dy.storage().use_count() == 1;
    if (x.is_cuda()) return on_card(dy, own, x, w, b);
    const Plan p(x);
    variable_list out(kInputs);
    const bool gated = options.relu;
    norm::Tensors t = tensors(p, x, saved.gates, gate());
    t.dy = host(dy);
    Tiles tiles(p, 5);
    tile(tiles, t, saved, w, b);
    reduce(p, t, tiles, out);
    place(dy, own, x, out);
    t.dx = wanted(kX) ? host(out[kX]) : nullptr;
    t.dadd = wanted(kAdd) && gated ? host(out[kAdd]) : nullptr;
    if (t.dx || t.dadd) p.back([&](int64_t begin, int64_t end) { norm::kernels().backward(t, begin, end); });
    return out;
  }

  void place(const Tensor& dy, bool own, const Tensor& x, variable_list& out) const {
    if (wanted(kAdd)) out[kAdd] = own || !options.relu ? dy : fresh(x);
    if (wanted(kX)) out[kX] = own && !wanted(kAdd) ? dy : fresh(x);
  }

  variable_list on_card(const Tensor& dy, bool own, const Tensor& x, const Tensor& w, const Tensor& b) const {
    variable_list out(kInputs);
    const auto sums = norm::on_card::sums(dy, {}, x, w, b, gate(), saved, options.train && wanted(kX));
    if (wanted(kWeight)) out[kWeight] = sums.dw;
    if (wanted(kBias)) out[kBias] = sums.db;
    place(dy, own, x, out);
    const Tensor gated = options.relu ? out[kAdd] : Tensor();
    if (out[kX].defined() || gated.defined()) norm::on_card::backward(dy, x, w, b, gate(), saved, sums, out[kX], gated);
    return out;
  }

  // The sums that the parameters' gradients and, through the statistics, dx = g·scale + (x − mean)·slope + offset need. Of a
  // batch in parts, the former are this part's, and dx follows those of all.
  void reduce(const Plan& p, norm::Tensors& t, Tiles& tiles, variable_list& out) const {
    t.slope = tiles[3], t.offset = tiles[4];
    const bool through = options.train && wanted(kX);
    if (!through && !wanted(kWeight) && !wanted(kBias)) return;
    Partial part(p);
    part.run(norm::kernels().reduce, t);
    const norm::Sums total = part.total();
    out[kWeight] = at::empty_like(saved.mean);
    out[kBias] = at::empty_like(saved.mean);
    for (int64_t c = 0; c < p.channels; c++) {
      host<float>(out[kWeight])[c] = static_cast<float>(total.second[c] * host<float>(saved.invstd)[c]);
      host<float>(out[kBias])[c] = static_cast<float>(total.first[c]);
    }
    if (!through) return;
    options.peers.sum(total.first, 2 * p.channels);
    for (int64_t c = 0; c < p.channels; c++) {
      const double v = host<float>(saved.invstd)[c], s = t.scale[c] / options.peers.rows(p.rows());
      tiles[3][c] = static_cast<float>(-s * v * v * total.second[c]);
      tiles[4][c] = static_cast<float>(-s * total.first[c]);
    }
    tiles.tile();
  }

  // The units that were shut, in x's shape.
  Tensor closed(const Tensor& x, const Tensor& w, const Tensor& b) const {
    if (saved.gates.defined()) return unpack(saved.gates, x);
    Saved again = saved;
    again.gates = empty_gates(x);
    normalise(x, {}, w, b, Gate::kRecord, again);
    return unpack(again.gates, x);
  }

  variable_list differentiable(const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& b) const {
    variable_list out(kInputs);
    const Tensor g = options.relu ? dy.masked_fill(closed(x, w, b), 0) : dy;
    if (wanted(kAdd)) out[kAdd] = g;
    const auto d = norm::differentiable(g, x, w, saved.mean, saved.invstd, options,
                                        {wanted(kX), wanted(kWeight), wanted(kBias)});
    out[kX] = d.x, out[kWeight] = d.w, out[kBias] = d.b;
    return out;
  }
};

// ---- the tangent: the derivative of the normalisation by the batch's statistics, at x and along a direction

// With d = x − mean, v = invstd and N rows, the derivative along t is
//
//	ṡ = w·v·(t − Σt/N − d·v²·Σ(t·d)/N),
//
// and likewise, the Jacobian being symmetric, what goes back to t. `sums` are Σt and Σ(t·d), over all parts of the batch as N is.
void project(Tiles& tiles, int slope, int offset, double rows, const norm::Tensors& t, const Saved& s, norm::Sums sums) {
  for (int64_t c = 0; c < t.channels; c++) {
    const double v = host<float>(s.invstd)[c], scale = t.scale[c] / rows;
    tiles[slope][c] = static_cast<float>(-scale * v * v * sums.second[c]);
    tiles[offset][c] = static_cast<float>(-scale * sums.first[c]);
  }
}

// The derivative along a direction, whose sums are known.
Tensor derivative(const Tensor& along, const Tensor& add, const Tensor& x, const Tensor& w, const Saved& s,
                  const Peers& peers, norm::Sums sums) {
  const Plan p(x);
  norm::Tensors t = tensors(p, x, s.gates, s.gates.defined() ? Gate::kReplay : Gate::kOpen);
  Tiles tiles(p, 5);
  tile(tiles, t, s, w, {});
  project(tiles, 3, 4, peers.rows(p.rows()), t, s, sums);
  tiles.tile();
  Tensor y = fresh(x);
  t.along = host(along);
  t.slope = tiles[3], t.offset = tiles[4];
  t.add = host(add);
  t.y = host(y);
  p.back([&](int64_t begin, int64_t end) { norm::kernels().tangent(t, begin, end); });
  return y;
}

struct TangentBackward final : Remaker {
  enum Input { kAlong, kAdd, kX, kWeight, kInputs };

  bool added;  // a direction of the residual, which it does not keep
  Peers peers;
  torch::autograd::SavedVariable x, along, w;
  Saved saved;
  std::vector<double> sums;         // Σt, then Σ(t·d)
  norm::on_card::Sums card;  // the same on a card

  std::string name() const override { return "TangentBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    x.reset_data();
    along.reset_data();
    w.reset_data();
    saved = {};
    card = {};
  }

  bool remakes() const override { return !added; }

  Tensor remake() override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (card.totals.defined()) return norm::on_card::tangent(along.unpack(), {}, x.unpack(), w.unpack(), saved, card);
    std::vector<double> total = sums;
    return derivative(along.unpack(), {}, x.unpack(), w.unpack(), saved, peers,
                      {total.data(), total.data() + total.size() / 2});
  }

  Tensor like() override { return x.unpack(); }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    TORCH_CHECK(!at::GradMode::is_enabled(), "batch norm: a tangent can be differentiated once");
    Tensor u = std::move(grads[0]);
    variable_list out(kInputs);
    if (!u.defined()) return out;
    const Tensor input = x.unpack(), direction = along.unpack();
    u = laid(std::move(u));
    const Gate gate = saved.gates.defined() ? Gate::kReplay : Gate::kOpen;
    if (card.totals.defined()) return on_card(u, direction, input, gate);
    const Plan p(input);
    norm::Tensors t = tensors(p, input, saved.gates, gate);
    t.dy = host(u);
    t.along = host(direction);
    Tiles tiles(p, 10);
    tile(tiles, t, saved, w.unpack(), {});
    Partial over_x(p), over_along(p);
    over_x.run(norm::kernels().reduce, t);
    norm::Tensors beside = t;
    beside.x = t.along;
    beside.mean = tiles[9];  // zeros
    over_along.run(norm::kernels().reduce, beside);
    // Σg, Σ(g·d) and Σ(g·t): of this part for dw, of all for the rest.
    const double* own = over_x.total().first;
    std::vector<double> all(own, own + 2 * p.channels);
    const double* beside_own = over_along.total().second;
    all.insert(all.end(), beside_own, beside_own + p.channels);
    const std::vector<double> part = all;
    peers.sum(all.data(), all.size());
    const double n = peers.rows(p.rows());
    project(tiles, 3, 4, n, t, saved, {all.data(), all.data() + p.channels});
    out[kWeight] = at::empty_like(saved.mean);
    for (int64_t c = 0; c < p.channels; c++) {
      const double v = host<float>(saved.invstd)[c], scale = t.scale[c], t0 = sums[c], t1 = sums[p.channels + c];
      const auto to_weight = [&](const std::vector<double>& g) {
        return v * (g[2 * p.channels + c] - t0 * g[c] / n - v * v * t1 * g[p.channels + c] / n);
      };
      const double g0 = all[c], g1 = all[p.channels + c], dw = to_weight(all);
      const double turn = -scale * v * v * g1 / n, bend = -scale * v * v * t1 / n;
      host<float>(out[kWeight])[c] = static_cast<float>(to_weight(part));
      tiles[5][c] = static_cast<float>(turn);
      tiles[6][c] = static_cast<float>(bend);
      tiles[7][c] = static_cast<float>(2 * scale * v * v * v * v * t1 * g1 / (n * n) - v * scale * dw / n);
      tiles[8][c] = static_cast<float>(-(turn * t0 + bend * g0) / n);
    }
    tiles.tile();
    t.slope = tiles[3], t.offset = tiles[4];
    t.turn = tiles[5], t.bend = tiles[6], t.lean = tiles[7], t.shift = tiles[8];
    out[kX] = fresh(input);
    out[kAlong] = fresh(input);
    if (task_should_compute_output(kAdd)) out[kAdd] = gate == Gate::kOpen ? u : fresh(input);
    t.dx = host(out[kX]);
    t.dalong = host(out[kAlong]);
    t.dadd = out[kAdd].defined() && gate != Gate::kOpen ? host(out[kAdd]) : nullptr;
    p.back([&](int64_t begin, int64_t end) { norm::kernels().curve(t, begin, end); });
    return out;
  }

  variable_list on_card(const Tensor& u, const Tensor& direction, const Tensor& input, Gate gate) {
    variable_list out(kInputs);
    if (task_should_compute_output(kAdd)) out[kAdd] = gate == Gate::kOpen ? u : fresh(input);
    const auto c = norm::on_card::curve(u, direction, card.totals, input, w.unpack(), gate, saved,
                                        gate == Gate::kOpen ? Tensor() : out[kAdd]);
    out[kAlong] = c.dalong, out[kX] = c.dx, out[kWeight] = c.dw;
    return out;
  }
};

// Σt, then Σ(t·d).
std::vector<double> direction_sums(const Tensor& along, const Point& at, const Saved& s) {
  const Plan p(at.x);
  norm::Tensors t = tensors(p, at.x, {}, Gate::kOpen);
  Tiles tiles(p, 3);
  tile(tiles, t, s, at.w, {});
  t.dy = host(along);
  Partial part(p);
  part.run(norm::kernels().reduce, t);
  const norm::Sums total = part.total();
  at.peers.sum(total.first, 2 * p.channels);
  return {total.first, total.first + 2 * p.channels};
}

Tensor fused_tangent(Tensor along, Tensor add, const Point& at) {
  along = laid(along);
  if (add.defined()) add = laid(add);
  Saved s = statistics(at.x, {true, false, 0, at.eps, at.peers}, {}, {});
  s.gates = at.gates;
  std::vector<double> sums;
  norm::on_card::Sums card;
  Tensor y;
  if (at.x.is_cuda()) {
    card = norm::on_card::sums(along, {}, at.x, at.w, {}, Gate::kOpen, s, true);
    y = norm::on_card::tangent(along, add, at.x, at.w, s, card);
  } else {
    sums = direction_sums(along, at, s);
    std::vector<double> total = sums;
    y = derivative(along, add, at.x, at.w, s, at.peers, {total.data(), total.data() + total.size() / 2});
  }
  if (torch::autograd::compute_requires_grad(along, add, at.x, at.w)) {
    auto node = make_node<TangentBackward>();
    node->added = add.defined();
    node->peers = at.peers;
    node->set_next_edges(torch::autograd::collect_next_edges(along, add, at.x, at.w));
    node->x = torch::autograd::SavedVariable(at.x, false);
    node->along = torch::autograd::SavedVariable(along, false);
    node->w = torch::autograd::SavedVariable(at.w, false);
    node->saved = std::move(s);
    node->sums = std::move(sums);
    node->card = std::move(card);
    torch::autograd::create_gradient_edge(y, node);
  }
  return y;
}

// ---- the operation

bool fits(const Operands& v, const Peers& peers) {
  const auto values = [&](const Tensor& t) {
    return !t.defined() || (t.device() == v.x.device() && t.scalar_type() == at::kFloat && t.is_contiguous() &&
                            t.numel() == v.x.size(1));
  };
  // The card's kernels know one part only.
  const bool there = v.x.is_cpu() || (v.x.is_cuda() && !peers.any() && v.x.dim() == 4 && card::takes_channels(v.x));
  return own_kernels() && there && v.x.dim() == 4 && v.x.numel() > 0 && v.x.is_contiguous(kNHWC) &&
         (v.x.scalar_type() == at::kFloat || v.x.scalar_type() == at::kBFloat16) && v.w.defined() && v.b.defined() &&
         values(v.w) && values(v.b) && values(v.running_mean) && values(v.running_var) &&
         (!v.gates.defined() || v.gates.scalar_type() == at::kByte);
}

std::pair<Tensor, Tensor> fused(Operands v, const Options& o, bool record) {
  if (v.add.defined()) v.add = laid(v.add);
  const bool graph = torch::autograd::compute_requires_grad(v.x, v.add, v.w, v.b);
  // Backward decides again from x, unless a residual was added.
  const Gate gate = !o.relu                                ? Gate::kOpen
                    : v.gates.defined()                    ? Gate::kReplay
                    : record || (graph && v.add.defined()) ? Gate::kRecord
                                                           : Gate::kDecide;
  Saved s = statistics(v.x, o, v.running_mean, v.running_var);
  if (gate == Gate::kReplay) s.gates = v.gates;
  if (gate == Gate::kRecord) s.gates = empty_gates(v.x);
  Tensor y = normalise(v.x, v.add, v.w, v.b, gate, s);
  const Tensor recorded = record && gate == Gate::kRecord ? s.gates : Tensor();
  if (graph) {
    auto node = make_node<NormBackward>();
    node->set_next_edges(torch::autograd::collect_next_edges(v.x, v.add, v.w, v.b));
    node->options = o;
    node->added = v.add.defined();
    node->x = torch::autograd::SavedVariable(v.x, false);
    node->w = torch::autograd::SavedVariable(v.w, false);
    node->b = torch::autograd::SavedVariable(v.b, false);
    node->saved = std::move(s);
    torch::autograd::create_gradient_edge(y, node);
  }
  return {y, recorded};
}

// libtorch's own operations, for what neither the kernels nor the node of norm_composed.cpp take, such as vectors. They keep
// their results.
std::pair<Tensor, Tensor> plain(const Operands& v, const Options& o, bool record) {
  Tensor y = at::batch_norm(v.x, v.w, v.b, v.running_mean, v.running_var, o.train, o.momentum, o.eps, false);
  if (v.add.defined()) y.add_(v.add);
  if (!o.relu) return {y, {}};
  if (v.gates.defined()) {
    y.masked_fill_(v.gates.scalar_type() == at::kBool ? v.gates : norm::unpack(v.gates, v.x), 0);
    return {y, {}};
  }
  y.relu_();
  return {y, record ? y.detach().eq(0) : Tensor()};
}

std::pair<Tensor, Tensor> batch_norm_act(const Operands& v, const Options& o, bool record) {
  TORCH_CHECK(!v.add.defined() || (v.add.sizes() == v.x.sizes() && v.add.scalar_type() == v.x.scalar_type()),
              "batch norm: the residual's shape and type must be the input's");
  TORCH_CHECK(o.train || (v.running_mean.defined() && v.running_var.defined()),
              "batch norm: running statistics are needed outside of training");
  const bool packed = v.gates.defined() && v.gates.scalar_type() == at::kByte;
  TORCH_CHECK(!v.gates.defined() || (packed ? v.gates.numel() == gate_bytes(v.x.numel())
                                            : v.gates.sizes() == v.x.sizes()),
              "batch norm: the gates are those of another shape");
  const bool apart = o.train && o.peers.any();
  TORCH_CHECK(!apart || v.x.dim() == 4, "batch norm: a batch in parts must have four dimensions");
  if (fits(v, o.peers)) return fused(v, o, record);
  const bool node = v.x.dim() == 4 && v.w.defined() && v.b.defined() && (!v.x.is_cpu() || !own_kernels() || apart);
  return node ? norm::composed(v, o, record) : plain(v, o, record);
}

}  // namespace

Tensor norm::unpack(const Tensor& gates, const Tensor& x) {
  if (!gates.is_cpu()) {
    const Tensor bits = at::bitwise_right_shift(gates.unsqueeze(1), at::arange(8, gates.options())).bitwise_and_(1);
    const Tensor flat = bits.view(-1).narrow(0, 0, x.numel()).to(at::kBool);
    return flat.view({x.size(0), x.size(2), x.size(3), x.size(1)}).permute({0, 3, 1, 2});
  }
  Tensor mask = at::empty(x.sizes(), at::TensorOptions(at::kBool).memory_format(kNHWC));
  const uint8_t* bits = host<uint8_t>(gates);
  bool* m = host<bool>(mask);
  at::parallel_for(0, x.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) m[i] = bits[i >> 3] >> (i & 7) & 1;
  });
  return mask;
}

char* lt_batch_norm_act(bool grad, lt_tensor x, lt_tensor add, lt_tensor w, lt_tensor b, lt_tensor mean, lt_tensor var,
                        bool train, double momentum, double eps, bool relu, lt_tensor gates, bool record, lt_peers peers,
                        lt_tensor* y, lt_tensor* recorded) {
  return call(grad, [&] {
    auto out = batch_norm_act({T(x), or_none(add), or_none(w), or_none(b), or_none(mean), or_none(var), or_none(gates)},
                              {train, relu, momentum, eps, {peers}}, record);
    *y = wrap(std::move(out.first));
    if (out.second.defined()) *recorded = wrap(std::move(out.second));
  });
}

char* lt_batch_norm_act_tangent(bool grad, lt_tensor along, lt_tensor add, lt_tensor x, lt_tensor w, lt_tensor gates,
                                double eps, lt_peers peers, lt_tensor* y) {
  return call(grad, [&] {
    const Point at{T(x), T(w), or_none(gates), eps, {peers}};
    TORCH_CHECK(T(along).sizes() == at.x.sizes() && T(along).scalar_type() == at.x.scalar_type(),
                "batch norm: the tangent's shape and type must be the input's");
    const bool fused = fits({at.x, or_none(add), at.w, at.w, {}, {}, at.gates}, at.peers);
    *y = wrap(fused ? fused_tangent(T(along), or_none(add), at) : norm::composed_tangent(T(along), or_none(add), at));
  });
}
