//go:build !lazyengine

#include "norm_card.h"

#include "card.h"

namespace norm::on_card {
namespace {

using at::Tensor;
using card::address;
using card::Grid;

constexpr unsigned kLine = 32, kDeep = 8;  // LINE and DEEP of card.cu

// The blocks that add up over the chunks of a grid.
card::Shape line(const Grid& g) { return {(g.channels + kLine - 1) / kLine, 1, kLine, kDeep}; }

Tensor channel(const Tensor& x) { return at::empty({x.size(1)}, x.options().dtype(at::kFloat)); }
Tensor doubles(const Tensor& x, int64_t rows) { return at::empty({rows, x.size(1)}, x.options().dtype(at::kDouble)); }
Tensor fresh(const Tensor& x) { return at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast)); }

}  // namespace

Saved statistics(const Tensor& x, const Options& o, const Tensor& running_mean, const Tensor& running_var) {
  if (!o.train) return {running_mean.clone(), (running_var + o.eps).rsqrt_(), {}};
  const Grid g(x, true);
  Saved s{channel(x), channel(x), {}};
  const Tensor partial = doubles(x, 2 * g.chunks);
  card::launch("moments", x, g.shape, address(x), g.rows, g.channels, g.chunk, address(partial));
  card::launch("statistics", x, line(g), address(partial), g.rows, g.channels, g.chunk, g.chunks, o.eps, o.momentum,
               address(s.mean), address(s.invstd), address(running_mean), address(running_var));
  return s;
}

Tensor normalise(const Tensor& x, const Tensor& add, const Tensor& w, const Tensor& b, Gate gate, const Saved& s) {
  const Grid g(x, false);
  Tensor y = fresh(x);
  card::launch("forward", x, g.shape, address(x), address(add), address(y), address(s.gates), static_cast<int>(gate),
               address(s.mean), address(s.invstd), address(w), address(b), g.rows, g.channels, g.chunk);
  return y;
}

Sums sums(const Tensor& dy, const Tensor& along, const Tensor& x, const Tensor& w, const Tensor& b, Gate gate,
          const Saved& s, bool through) {
  const Grid g(x, true);
  const Tensor partial = doubles(x, 3 * g.chunks);
  Sums out{doubles(x, 3), channel(x), channel(x), channel(x), channel(x)};
  card::launch("sums", x, g.shape, address(dy), address(x), address(along), address(s.gates), static_cast<int>(gate),
               address(s.mean), address(s.invstd), address(w), address(b), g.rows, g.channels, g.chunk, address(partial));
  card::launch("gradients", x, line(g), address(partial), g.rows, g.channels, g.chunks, static_cast<int>(through),
               address(s.invstd), address(w), address(out.totals), address(out.dw), address(out.db), address(out.slope),
               address(out.offset));
  return out;
}

void backward(const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& b, Gate gate, const Saved& s,
              const Sums& sums, const Tensor& dx, const Tensor& dadd) {
  const Grid g(x, false);
  card::launch("backward", x, g.shape, address(dy), address(x), address(s.gates), static_cast<int>(gate), address(s.mean),
               address(s.invstd), address(w), address(b), address(sums.slope), address(sums.offset), address(dx),
               address(dadd), g.rows, g.channels, g.chunk);
}

Tensor tangent(const Tensor& along, const Tensor& add, const Tensor& x, const Tensor& w, const Saved& s, const Sums& sums) {
  const Grid g(x, false);
  Tensor y = fresh(x);
  const Gate gate = s.gates.defined() ? Gate::kReplay : Gate::kOpen;
  card::launch("tangent", x, g.shape, address(along), address(x), address(add), address(s.gates), static_cast<int>(gate),
               address(s.mean), address(s.invstd), address(w), address(sums.slope), address(sums.offset), address(y), g.rows,
               g.channels, g.chunk);
  return y;
}

Curve curve(const Tensor& dy, const Tensor& along, const Tensor& totals, const Tensor& x, const Tensor& w, Gate gate,
            const Saved& s, const Tensor& dadd) {
  const Sums g = sums(dy, along, x, w, {}, gate, s, true);
  const Grid grid(x, false);
  Curve out{fresh(x), fresh(x), channel(x)};
  const Tensor bent = at::empty({4, x.size(1)}, out.dw.options());
  const card::Shape flat{(grid.channels + card::kThreads - 1) / card::kThreads, 1, card::kThreads, 1};
  card::launch("bends", x, flat, address(totals), address(g.totals), grid.rows, grid.channels, address(s.invstd), address(w),
               address(out.dw), address(bent));
  card::launch("curve", x, grid.shape, address(dy), address(x), address(along), address(s.gates), static_cast<int>(gate),
               address(s.mean), address(s.invstd), address(w), address(g.slope), address(g.offset), address(bent),
               address(out.dalong), address(out.dx), address(dadd), grid.rows, grid.channels, grid.chunk);
  return out;
}

}  // namespace norm::on_card
