// Runs the kernels of card.cu on the CPU, a thread of the system for each of a block's and a barrier for __syncthreads, and
// compares with loops in float64. It prints what differs, and ends with 1 then. The sanitizers see accesses beyond a tensor, or
// two threads at one place without a barrier between them.
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <thread>
#include <vector>

struct Three { unsigned x = 1, y = 1; };
thread_local Three threadIdx;
static Three blockIdx, blockDim, gridDim;
static std::barrier<>* meeting;

#define __global__
#define __device__
#define __shared__ static
#define __align__(n) alignas(n)
#define __syncthreads() meeting->arrive_and_wait()
#include "../../card.cu"

namespace {

// Blocks one after the other, the threads of each beside each other. Those that return early count as arrived.
void launch(Three grid, Three block, const std::function<void()>& kernel) {
  gridDim = grid, blockDim = block;
  for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
    for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
      std::barrier<> here(block.x * block.y);
      meeting = &here;
      std::vector<std::thread> team;
      for (unsigned i = 0; i < block.x * block.y; i++)
        team.emplace_back([&, i] {
          threadIdx = {i % block.x, i / block.x};
          kernel();
          here.arrive_and_drop();
        });
      for (auto& t : team) t.join();
    }
}

#ifdef BF16
constexpr double kTolerance = 1. / 128;
#else
constexpr double kTolerance = 1e-5;
#endif

bool failed = false;
using Doubles = std::vector<double>;

struct Values {  // in memory, as a kernel has them, and in float64
  std::vector<Pack> packs;
  Doubles exact;
  explicit Values(size_t n, unsigned seed = 0) : packs(n / V), exact(n) {
    std::mt19937 random(seed);
    std::normal_distribution<float> draw(0.5f, 2);
    for (size_t i = 0; i < n && seed; i++) {
      p()[i] = narrowed(draw(random));
      exact[i] = widened(p()[i]);
    }
  }
  S* p() { return packs.data()->v; }
  Doubles read() {
    Doubles d(exact.size());
    for (size_t i = 0; i < d.size(); i++) d[i] = widened(p()[i]);
    return d;
  }
};

template <class A>
void near(const char* what, const A& got, const Doubles& want, double tolerance) {
  double largest = 1, off = 0;
  for (size_t i = 0; i < want.size(); i++) {
    largest = std::max(largest, std::abs(want[i]));
    off = std::max(off, std::abs(got[i] - want[i]));
  }
  if (off <= tolerance * largest) return;
  std::printf("%s: off by %.3g of %.3g\n", what, off, largest);
  failed = true;
}

struct Case { unsigned rows, channels, chunk, lanes, deep; };

// A normalisation, its gradients, its tangent and the tangent's gradients, against their definitions.
void norm(const Case& z, bool added, bool relu) {
  const size_t n = size_t(z.rows) * z.channels, C = z.channels;
  const unsigned chunks = (z.rows + z.chunk - 1) / z.chunk, vectors = z.channels / V;
  const Three grid{(vectors + z.lanes - 1) / z.lanes, chunks}, block{z.lanes, z.deep}, line{(z.channels + 31) / 32, 1}, wide{LINE, DEEP}, flat{32, 1};
  const double eps = 1e-3, N = z.rows;
  Values x(n, 1), add(n, 2), dy(n, 3), t(n, 4), y(n), dx(n), dadd(n), dt(n);
  std::vector<float> w(C), b(C), mean(C), invstd(C), rm(C, 1), rv(C, 2), dw(C), db(C), slope(C), offset(C), bent(4 * C);
  for (size_t c = 0; c < C; c++) w[c] = 0.5f + 0.1f * (c % 7), b[c] = 0.2f * (c % 5) - 0.3f;
  std::vector<double> partial(size_t(chunks) * 3 * C), totals(3 * C), along(3 * C);
  std::vector<unsigned char> gates(n / V);
  const S* plus = added ? add.p() : nullptr;

  launch(grid, block, [&] { moments(x.p(), z.rows, z.channels, z.chunk, partial.data()); });
  launch(line, wide, [&] {
    statistics(partial.data(), z.rows, z.channels, z.chunk, chunks, eps, 0.1, mean.data(), invstd.data(), rm.data(), rv.data());
  });
  Doubles m(C), v(C), em(C), ev(C), s(C);
  for (size_t i = 0; i < n; i++) m[i % C] += x.exact[i] / N;
  for (size_t i = 0; i < n; i++) v[i % C] += std::pow(x.exact[i] - m[i % C], 2) / N;
  for (size_t c = 0; c < C; c++) {
    em[c] = 0.1 * m[c] + 0.9;
    ev[c] = 0.1 * v[c] * N / (N - 1) + 1.8;
    v[c] = 1 / std::sqrt(v[c] + eps);
    s[c] = w[c] * v[c];
  }
  near("mean", mean, m, 1e-6), near("invstd", invstd, v, 1e-6), near("running mean", rm, em, 1e-6), near("running variance", rv, ev, 1e-6);

  const int record = !relu ? kOpen : added ? kRecord : kDecide, replay = record == kRecord ? kReplay : record;
  launch(grid, block, [&] {
    forward(x.p(), plus, y.p(), gates.data(), record, mean.data(), invstd.data(), w.data(), b.data(), z.rows, z.channels, z.chunk);
  });
  Doubles want(n), g(n);
  const Doubles made = y.read();
  for (size_t i = 0; i < n; i++) {
    want[i] = (x.exact[i] - m[i % C]) * s[i % C] + b[i % C] + (added ? add.exact[i] : 0);
    if (relu && want[i] < 0) want[i] = 0;
    g[i] = relu && made[i] == 0 ? 0 : dy.exact[i];
    if (record == kRecord && (gates[i / V] >> i % V & 1) != (made[i] == 0)) failed = true, std::puts("a gate is wrong");
  }
  near("y", made, want, kTolerance);

  // Σ g, Σ g·d and Σ g·t a channel, and what they give.
  const auto sum = [&](const Doubles& u, const Doubles* with) {
    Doubles r(C);
    for (size_t i = 0; i < n; i++) r[i % C] += u[i] * (with ? (*with)[i] : 1);
    return r;
  };
  Doubles d(n);
  for (size_t i = 0; i < n; i++) d[i] = x.exact[i] - m[i % C];
  const Doubles g0 = sum(g, nullptr), g1 = sum(g, &d), gt = sum(g, &t.exact), t0 = sum(t.exact, nullptr), t1 = sum(t.exact, &d);
  const auto project = [&](const Doubles& u, const Doubles& u0, const Doubles& u1) {
    Doubles r(n);
    for (size_t i = 0; i < n; i++) {
      const size_t c = i % C;
      r[i] = s[c] * (u[i] - u0[c] / N - d[i] * v[c] * v[c] * u1[c] / N);
    }
    return r;
  };
  const auto reduce = [&](S* u, const S* beside, int mode, std::vector<double>& to) {
    launch(grid, block, [&] {
      sums(u, x.p(), beside, gates.data(), mode, mean.data(), invstd.data(), w.data(), b.data(), z.rows, z.channels, z.chunk, partial.data());
    });
    launch(line, wide, [&] {
      gradients(partial.data(), z.rows, z.channels, chunks, 1, invstd.data(), w.data(), to.data(), dw.data(), db.data(), slope.data(), offset.data());
    });
  };
  reduce(dy.p(), t.p(), replay, totals);
  Doubles ew(C);
  for (size_t c = 0; c < C; c++) ew[c] = g1[c] * v[c];
  near("dw", dw, ew, 1e-4), near("db", db, g0, 1e-4);
  launch(grid, block, [&] {
    backward(dy.p(), x.p(), gates.data(), replay, mean.data(), invstd.data(), w.data(), b.data(), slope.data(), offset.data(), dx.p(),
             dadd.p(), z.rows, z.channels, z.chunk);
  });
  near("dx", dx.read(), project(g, g0, g1), kTolerance), near("dadd", dadd.read(), g, kTolerance);

  if (replay == kDecide) return;  // a tangent's gates were recorded
  reduce(t.p(), nullptr, kOpen, along);
  launch(grid, block, [&] {
    tangent(t.p(), x.p(), plus, gates.data(), replay, mean.data(), invstd.data(), w.data(), slope.data(), offset.data(), y.p(), z.rows,
            z.channels, z.chunk);
  });
  want = project(t.exact, t0, t1);
  for (size_t i = 0; i < n; i++) want[i] = relu && made[i] == 0 ? 0 : want[i] + (added ? add.exact[i] : 0);
  near("tangent", y.read(), want, kTolerance);

  reduce(dy.p(), t.p(), replay, totals);
  launch(line, flat, [&] { bends(along.data(), totals.data(), z.rows, z.channels, invstd.data(), w.data(), dw.data(), bent.data()); });
  launch(grid, block, [&] {
    curve(dy.p(), x.p(), t.p(), gates.data(), replay, mean.data(), invstd.data(), w.data(), slope.data(), offset.data(), bent.data(),
          dt.p(), dx.p(), dadd.p(), z.rows, z.channels, z.chunk);
  });
  near("dalong", dt.read(), project(g, g0, g1), kTolerance), near("the tangent's dadd", dadd.read(), g, kTolerance);
  // Σ g·ṡ by differences in x, one element at a time, is its definition.
  const auto through = [&](const Doubles& values) {
    Doubles mu(C), var(C), a0(C), a1(C), total(C);
    for (size_t i = 0; i < n; i++) mu[i % C] += values[i] / N;
    for (size_t i = 0; i < n; i++) {
      const size_t c = i % C;
      const double e = values[i] - mu[c];
      var[c] += e * e / N, a0[c] += t.exact[i] / N, a1[c] += t.exact[i] * e / N;
    }
    for (size_t i = 0; i < n; i++) {
      const size_t c = i % C;
      const double q = 1 / (var[c] + eps);
      total[c] += g[i] * w[c] * std::sqrt(q) * (t.exact[i] - a0[c] - (values[i] - mu[c]) * q * a1[c]);
    }
    return total;
  };
  const Doubles at = through(x.exact), got = dx.read();
  for (size_t c = 0; c < C; c++) ew[c] = at[c] / w[c];
  near("the tangent's dw", dw, ew, 1e-4);
  for (size_t r = 0; r < std::min<size_t>(z.rows, 5); r++) {  // one row at a time: channels do not meet
    Doubles up = x.exact, down = x.exact, slopes(C), mine(C);
    for (size_t c = 0; c < C; c++) up[r * C + c] += 1e-5, down[r * C + c] -= 1e-5;
    const Doubles high = through(up), low = through(down);
    for (size_t c = 0; c < C; c++) slopes[c] = (high[c] - low[c]) / 2e-5, mine[c] = got[r * C + c];
    near("the tangent's dx", mine, slopes, std::max(kTolerance, 1e-4));
  }
}

void rows(unsigned samples, unsigned vectors) {
  const size_t n = size_t(samples) * vectors * V, d = size_t(vectors) * V;
  Values x(n, 1), a(n, 2), b(n, 3), y(n);
  Doubles aa(samples), ab(samples), bb(samples), p(samples), q(samples), want(n), plain(n), waa(samples), wab(samples), wbb(samples);
  launch({samples, 1}, {64, 1}, [&] { row_dots(a.p(), b.p(), vectors, aa.data(), ab.data(), bb.data()); });
  for (size_t i = 0; i < samples; i++) p[i] = 0.5 * i - 1, q[i] = 2 - 0.25 * i;
  for (size_t i = 0; i < n; i++) {
    const size_t k = i / d;
    waa[k] += a.exact[i] * a.exact[i], wab[k] += a.exact[i] * b.exact[i], wbb[k] += b.exact[i] * b.exact[i];
    plain[i] = p[k] * a.exact[i] + q[k] * b.exact[i];
    want[i] = x.exact[i] + plain[i];
  }
  near("⟨a,a⟩", aa, waa, 1e-6), near("⟨a,b⟩", ab, wab, 1e-6), near("⟨b,b⟩", bb, wbb, 1e-6);
  launch({2, samples}, {32, 1}, [&] { add_rows(x.p(), a.p(), b.p(), p.data(), q.data(), y.p(), vectors); });
  near("x + p·a + q·b", y.read(), want, kTolerance);
  launch({2, samples}, {32, 1}, [&] { add_rows(nullptr, a.p(), b.p(), p.data(), q.data(), y.p(), vectors); });
  near("p·a + q·b", y.read(), plain, kTolerance);
}

// Maxima and choices, what another map has there, and the adjoint, against loops over single elements.
void pool(unsigned n, unsigned vectors, const Windows& g, unsigned chunk) {
  const unsigned C = vectors * V, rows = n * g.oh * g.ow, places = n * g.h * g.w;
  Values x(size_t(places) * C, 1), other(size_t(places) * C, 2), dy(size_t(rows) * C, 3), y(size_t(rows) * C), z(size_t(rows) * C),
      dx(size_t(places) * C);
  for (size_t i = 0; i < x.exact.size(); i++) x.exact[i] = widened(x.p()[i] = narrowed(std::round(2 * x.exact[i])));  // ties
  std::vector<Choices> choice(size_t(rows) * vectors);
  unsigned char* const chosen = choice.data()->v;
  const Three block{2, 8};
  const auto grid = [&](unsigned of) { return Three{(vectors + 1) / 2, (of + chunk - 1) / chunk}; };
  launch(grid(rows), block, [&] { maxima(x.p(), chosen, y.p(), g, rows, C, chunk); });
  launch(grid(rows), block, [&] { taken(other.p(), chosen, z.p(), g, rows, C, chunk); });
  launch(grid(places), block, [&] { given(dy.p(), chosen, dx.p(), g, places, C, chunk); });
  Doubles best(y.exact.size()), there(best.size()), back(x.exact.size());
  for (size_t r = 0; r < best.size(); r++) {
    const int c = r % C, j = r / C % g.ow, i = r / C / g.ow % g.oh, m = r / C / g.ow / g.oh;
    size_t at = 0;
    bool fresh = true;
    for (int a = 0; a < int(g.k); a++)
      for (int b = 0; b < int(g.k); b++) {
        const int h = i * int(g.stride) - int(g.padding) + a, w = j * int(g.stride) - int(g.padding) + b;
        if (h < 0 || w < 0 || h >= int(g.h) || w >= int(g.w)) continue;
        const size_t place = (size_t(m * g.h + h) * g.w + w) * C + c;
        if (!fresh && !(x.exact[place] > x.exact[at])) continue;
        fresh = false, at = place;
      }
    best[r] = x.exact[at], there[r] = other.exact[at], back[at] += dy.exact[r];
  }
  near("maxima", y.read(), best, 0), near("taken", z.read(), there, 0), near("given", dx.read(), back, kTolerance);
}

}  // namespace

int main() {
  // One vector and several, a tile that ends beyond the last one, a last chunk that is shorter, more threads than rows.
  for (const Case& z : {Case{50, 8, 50, 1, 8}, Case{61, 24, 20, 2, 4}, Case{37, 40, 16, 4, 8}, Case{5, 16, 4, 2, 16}})
    for (int flags = 0; flags < 4; flags++) norm(z, flags & 1, flags & 2);
  rows(3, 5);
  rows(2, 150);
  // Windows that overlap, leave gaps, just meet, reach over the border, or are larger than half of the map.
  for (const Windows& g : {Windows{9, 7, 5, 4, 3, 2, 1}, Windows{7, 7, 2, 2, 2, 3, 0}, Windows{6, 4, 3, 2, 2, 2, 0}, Windows{5, 5, 5, 5, 3, 1, 1}, Windows{4, 5, 2, 2, 4, 3, 1}}) {
    pool(2, 1, g, 100);
    pool(1, 3, g, 7);
  }
  return failed;
}
