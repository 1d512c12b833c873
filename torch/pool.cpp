//go:build !lazyengine

// Pooling in channels-last layout. Maxima with recorded choices and means are linear maps; each has a kernel, and its
// adjoint another, so that they can be differentiated as often as one likes. Those of maxima are there for CUDA devices, too.
#include "aten.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>

#include "call.h"
#include "card.h"
#include "host.h"
#include "kernels.h"
#include "node.h"
#include "pool_kernel.h"

namespace {

using at::Tensor;
using pool::Cells;
using pool::Sum;
using pool::Windows;
using torch::autograd::variable_list;

constexpr auto kNHWC = at::MemoryFormat::ChannelsLast;

// ---- autograd

using Map = std::function<Tensor(const Tensor&)>;

// The node of a linear map: its gradient is the adjoint map of the gradient.
struct LinearBackward final : torch::autograd::Node {
  Map adjoint;

  std::string name() const override { return "LinearBackward"; }
  void release_variables() override { adjoint = nullptr; }
  variable_list apply(variable_list&& grads) override {
    TORCH_CHECK(adjoint, "pool: the graph was freed before");
    return {grads[0].defined() ? adjoint(grads[0]) : Tensor()};
  }
};

Tensor recorded(Tensor y, const Tensor& x, Map adjoint) {
  if (!torch::autograd::compute_requires_grad(x)) return y;
  auto node = make_node<LinearBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->adjoint = std::move(adjoint);
  torch::autograd::create_gradient_edge(y, node);
  return y;
}

// ---- kernels over whole tensors

#define POOL_TYPES(TYPE, ...) AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, TYPE, "pool", __VA_ARGS__)

bool fits(const Tensor& x) {
  const auto t = x.scalar_type();
  return own_kernels() && x.device().is_cpu() && x.dim() == 4 && x.numel() > 0 &&
         (t == at::kFloat || t == at::kDouble || t == at::kBFloat16);
}

// A map as kernels read it.
Tensor laid(const Tensor& x) {
  Tensor t = x.contiguous(kNHWC);
  return t.is_cpu() || card::takes_channels(t) ? t : t.clone(kNHWC);
}

// Starts a kernel of card.cu that has from, choice and to as its arguments, and Windows as it is there.
void on_card(const char* kernel, const Tensor& from, const Tensor& choice, const Tensor& to, const Windows& g) {
  TORCH_CHECK(card::takes_channels(from), "max pool: a choice of the kernels goes with float32 or bfloat16, not with ",
              from.scalar_type());
  const auto side = [](int64_t n) { return static_cast<unsigned>(n); };
  const struct { unsigned h, w, oh, ow, k, stride, padding; } windows{side(g.h), side(g.w), side(g.oh), side(g.ow), side(g.k),
                                                                      side(g.stride), side(g.padding)};
  const card::Grid grid(to, false);
  card::launch(kernel, from, grid.shape, card::address(from), card::address(choice), card::address(to), windows, grid.rows,
               grid.channels, grid.chunk);
}

Tensor maps(const Tensor& like, at::IntArrayRef shape, at::ScalarType type) {
  return at::empty(shape, like.options().dtype(type).requires_grad(false).memory_format(kNHWC));
}

Tensor gather(Tensor x, const Tensor& choice, const Windows& g);

Tensor scatter(Tensor dy, const Tensor& choice, const Windows& g) {
  dy = laid(dy);
  Tensor dx = maps(dy, {g.n, g.c, g.h, g.w}, dy.scalar_type());
  if (!dy.is_cpu()) on_card("given", dy, choice, dx, g);
  else POOL_TYPES(dy.scalar_type(), [&] {
    at::parallel_for(0, g.n * g.h, 1, [&](int64_t begin, int64_t end) {
      std::vector<Sum<scalar_t>> sum(g.c);
      pool::scatter(g, host<scalar_t>(dy), host<uint8_t>(choice), host<scalar_t>(dx), sum.data(), begin, end);
    });
  });
  return recorded(dx, dy, [=](const Tensor& d) { return gather(d, choice, g); });
}

Tensor gather(Tensor x, const Tensor& choice, const Windows& g) {
  x = laid(x);
  Tensor y = maps(x, choice.sizes(), x.scalar_type());
  if (!x.is_cpu()) on_card("taken", x, choice, y, g);
  else POOL_TYPES(x.scalar_type(), [&] {
    at::parallel_for(0, g.n * g.oh, 1, [&](int64_t begin, int64_t end) {
      std::vector<Sum<scalar_t>> taken(g.c);
      pool::gather(g, host<scalar_t>(x), host<uint8_t>(choice), host<scalar_t>(y), taken.data(), begin, end);
    });
  });
  return recorded(y, x, [=](const Tensor& d) { return scatter(d, choice, g); });
}

std::pair<Tensor, Tensor> maximum(Tensor x, const Windows& g) {
  x = laid(x);
  Tensor y = maps(x, {g.n, g.c, g.oh, g.ow}, x.scalar_type()), choice = maps(x, y.sizes(), at::kByte);
  if (!x.is_cpu()) on_card("maxima", x, choice, y, g);
  else POOL_TYPES(x.scalar_type(), [&] {
    at::parallel_for(0, g.n * g.oh, 1, [&](int64_t begin, int64_t end) {
      std::vector<Sum<scalar_t>> best(g.c);
      pool::maximum(g, host<scalar_t>(x), host<scalar_t>(y), host<uint8_t>(choice), best.data(), begin, end);
    });
  });
  return {recorded(y, x, [=](const Tensor& d) { return scatter(d, choice, g); }), choice};
}

Tensor mean(Tensor x, const Cells& g);

Tensor spread(Tensor dy, const Cells& g) {
  dy = dy.contiguous(kNHWC);
  Tensor dx = maps(dy, {g.n, g.c, g.side * g.h, g.side * g.w}, dy.scalar_type());
  POOL_TYPES(dy.scalar_type(), [&] {
    at::parallel_for(0, g.n * g.side, 1, [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> line(g.c);
      pool::spread(g, host<scalar_t>(dy), host<scalar_t>(dx), line.data(), begin, end);
    });
  });
  return recorded(dx, dy, [=](const Tensor& d) { return mean(d, g); });
}

Tensor mean(Tensor x, const Cells& g) {
  x = x.contiguous(kNHWC);
  Tensor y = maps(x, {g.n, g.c, g.side, g.side}, x.scalar_type());
  POOL_TYPES(x.scalar_type(), [&] {
    at::parallel_for(0, g.n * g.side, 1, [&](int64_t begin, int64_t end) {
      std::vector<Sum<scalar_t>> sum(g.c);
      pool::mean(g, host<scalar_t>(x), host<scalar_t>(y), sum.data(), begin, end);
    });
  });
  return recorded(y, x, [=](const Tensor& d) { return spread(d, g); });
}

// ---- the operations

constexpr int64_t kMaxWindow = 16;  // a position must fit into a byte

// libtorch's own for what the kernels do not take. Its choices are places in the map, int64.
std::pair<Tensor, Tensor> composed_maximum(const Tensor& x, const Windows& g) {
  auto [y, places] = at::max_pool2d_with_indices(x, {g.k, g.k}, {g.stride, g.stride}, {g.padding, g.padding});
  return {y, places};
}
Tensor composed_gather(const Tensor& x, const Tensor& places) {
  return x.flatten(2).gather(2, places.flatten(2)).view(places.sizes());
}

Windows windows(const Tensor& x, int64_t k, int64_t stride, int64_t padding) {
  TORCH_CHECK(x.dim() == 4, "max pool: x must be [N, C, H, W], is ", x.sizes());
  TORCH_CHECK(k > 0 && stride > 0 && padding >= 0 && 2 * padding <= k, "max pool: k ", k, ", stride ", stride,
              ", padding ", padding);
  const auto count = [&](int64_t side) { return (side + 2 * padding - k) / stride + 1; };
  return {x.size(0), x.size(1), x.size(2), x.size(3), count(x.size(2)), count(x.size(3)), k, stride, padding};
}

std::pair<Tensor, Tensor> max_pool(const Tensor& x, const Tensor& choice, int64_t k, int64_t stride, int64_t padding) {
  const Windows g = windows(x, k, stride, padding);
  TORCH_CHECK(x.size(2) + 2 * padding >= k && x.size(3) + 2 * padding >= k, "max pool: a map of ", x.size(2), "×",
              x.size(3), " is smaller than the window");
  TORCH_CHECK(!choice.defined() || choice.sizes() == at::IntArrayRef({g.n, g.c, g.oh, g.ow}),
              "max pool: the choice is that of another shape");
  if (choice.defined()) return {choice.scalar_type() == at::kByte ? gather(x, choice, g) : composed_gather(x, choice), {}};
  return k <= kMaxWindow && (fits(x) || card::takes_channels(x)) ? maximum(x, g) : composed_maximum(x, g);
}

// The adjoint of a max pool that chose so, shaped as x.
Tensor max_pool_adjoint(const Tensor& dy, const Tensor& choice, const Tensor& x, int64_t k, int64_t stride,
                        int64_t padding) {
  const Windows g = windows(x, k, stride, padding);
  TORCH_CHECK(choice.sizes() == dy.sizes() && dy.sizes() == at::IntArrayRef({g.n, g.c, g.oh, g.ow}),
              "max pool: the choice or the gradient is that of another shape");
  if (choice.scalar_type() == at::kByte) return scatter(dy, choice, g);
  return at::zeros({g.n, g.c, g.h * g.w}, dy.options())
      .scatter_add_(2, choice.flatten(2), dy.flatten(2))
      .view(x.sizes());
}

bool divides(const Tensor& x, int64_t side) { return side > 0 && x.size(2) % side == 0 && x.size(3) % side == 0; }

Tensor avg_pool(const Tensor& x, int64_t side) {
  if (!fits(x) || !divides(x, side)) return at::adaptive_avg_pool2d(x, {side, side});
  return mean(x, Cells{x.size(0), x.size(1), side, x.size(2) / side, x.size(3) / side});
}

Tensor avg_pool_adjoint(const Tensor& dy, const Tensor& x) {
  const int64_t side = dy.size(2);
  if (!fits(x) || !divides(x, side)) return at::_adaptive_avg_pool2d_backward(dy, x);
  return spread(dy, Cells{x.size(0), x.size(1), side, x.size(2) / side, x.size(3) / side});
}

}  // namespace

char* lt_max_pool2d(bool grad, lt_tensor x, int64_t k, int64_t stride, int64_t padding, lt_tensor choice, lt_tensor* y,
                    lt_tensor* made) {
  return call(grad, [&] {
    std::pair<Tensor, Tensor> out = max_pool(T(x), or_none(choice), k, stride, padding);
    *y = wrap(out.first);
    if (out.second.defined()) *made = wrap(out.second);
  });
}
char* lt_adaptive_avg_pool2d(bool grad, lt_tensor x, int64_t side, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(avg_pool(T(x), side)); });
}
char* lt_max_pool2d_adjoint(lt_tensor dy, lt_tensor choice, lt_tensor x, int64_t k, int64_t stride, int64_t padding,
                            lt_tensor* dx) {
  return call(false, [&] { *dx = wrap(max_pool_adjoint(T(dy), T(choice), T(x), k, stride, padding)); });
}
char* lt_adaptive_avg_pool2d_adjoint(lt_tensor dy, lt_tensor x, lt_tensor* dx) {
  return call(false, [&] { *dx = wrap(avg_pool_adjoint(T(dy), T(x))); });
}
