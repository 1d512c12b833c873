//go:build !lazyengine

// Inner products and combinations of rows, a sample each, in one reading of the tensors where they lie on the CPU.
#include "aten.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "call.h"
#include "card.h"
#include "kernels.h"

namespace {

using at::Tensor;

// Both tensors hold their samples one after the other in the same order of elements, so that a flat loop over a
// sample meets the same coordinates in both.
bool alike(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && a.strides() == b.strides() && a.is_non_overlapping_and_dense() &&
         a.scalar_type() == b.scalar_type() && a.device() == b.device() && a.stride(0) * a.size(0) == a.numel();
}

bool same_rows(const Tensor& a, const Tensor& b) { return own_kernels() && alike(a, b) && a.is_cpu(); }

// What a card's kernels take: samples of whole vectors.
bool rows_on_card(const Tensor& a, const Tensor& b) {
  constexpr int64_t kMost = 65535;  // of a grid's second dimension
  return a.is_cuda() && alike(a, b) && a.numel() > 0 && a.size(0) <= kMost &&
         a.numel() / a.size(0) % card::kVector == 0 && card::takes(a) && card::takes(b);
}

unsigned vectors_of(const Tensor& a) { return static_cast<unsigned>(a.numel() / a.size(0) / card::kVector); }

std::array<Tensor, 3> card_dots(const Tensor& a, const Tensor& b) {
  std::array<Tensor, 3> dots;
  for (Tensor& t : dots) t = at::empty({a.size(0)}, a.options().dtype(at::kDouble));
  const card::Shape shape{static_cast<unsigned>(a.size(0)), 1, card::kThreads, 1};
  card::launch("row_dots", a, shape, card::address(a), card::address(b), vectors_of(a), card::address(dots[0]),
               card::address(dots[1]), card::address(dots[2]));
  return dots;
}

Tensor card_sum(const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& p, const Tensor& q) {
  Tensor y = at::empty_like(a);
  const unsigned vectors = vectors_of(a), blocks = std::min(32u, (vectors + card::kThreads - 1) / card::kThreads);
  const card::Shape shape{blocks, static_cast<unsigned>(a.size(0)), card::kThreads, 1};
  card::launch("add_rows", a, shape, card::address(x), card::address(a), card::address(b), card::address(p),
               card::address(q), card::address(y), vectors);
  return y;
}

// bfloat16 as vectors can take it: the upper half of a float, to the nearest and ties to even.
inline float widened(float v) { return v; }
inline double widened(double v) { return v; }
inline float widened(uint16_t v) {
  const uint32_t u = static_cast<uint32_t>(v) << 16;
  float f;
  std::memcpy(&f, &u, sizeof f);
  return f;
}
inline void narrow(float v, float* to) { *to = v; }
inline void narrow(float v, uint16_t* to) {
  uint32_t u;
  std::memcpy(&u, &v, sizeof u);
  *to = v != v ? 0x7fc0 : static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

// Products are summed lane by lane in the type that S widens to, so many elements of each lane, then in float64. The
// order is written out: a compiler that chooses it may go by the addresses, and then so does the last bit.
constexpr int64_t kLanes = 16, kRun = 32 * kLanes;

template <class S>
void row_dots(const Tensor& a, const Tensor& b, std::array<double*, 3> out) {
  const auto *pa = static_cast<const S*>(a.data_ptr()), *pb = static_cast<const S*>(b.data_ptr());
  const int64_t n = a.size(0), d = a.numel() / std::max<int64_t>(n, 1);
  using W = decltype(widened(S()));
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      double sums[3] = {0, 0, 0};
      const S *x = pa + i * d, *y = pb + i * d;
      for (int64_t from = 0; from < d; from += kRun) {
        W aa[kLanes] = {}, ab[kLanes] = {}, bb[kLanes] = {};
        const int64_t to = std::min(d, from + kRun), whole = to - (to - from) % kLanes;
        const auto add = [&](int64_t j, int64_t l) {
          const W u = widened(x[j + l]), v = widened(y[j + l]);
          aa[l] += u * u;
          ab[l] += u * v;
          bb[l] += v * v;
        };
        for (int64_t j = from; j < whole; j += kLanes)
          for (int64_t l = 0; l < kLanes; l++) add(j, l);
        for (int64_t l = 0; l < to - whole; l++) add(whole, l);
        for (int64_t l = 0; l < kLanes; l++) {
          sums[0] += static_cast<double>(aa[l]);
          sums[1] += static_cast<double>(ab[l]);
          sums[2] += static_cast<double>(bb[l]);
        }
      }
      for (int k = 0; k < 3; k++) out[k][i] = sums[k];
    }
  });
}

// x may be undefined and counts as zero then.
template <class S>
Tensor add_rows(const Tensor& x, const Tensor& a, const Tensor& b, const double* p, const double* q) {
  auto y = at::empty_like(a);
  const auto *px = x.defined() ? static_cast<const S*>(x.data_ptr()) : nullptr, *pa = static_cast<const S*>(a.data_ptr()),
             *pb = static_cast<const S*>(b.data_ptr());
  auto* py = static_cast<S*>(y.data_ptr());
  const int64_t n = a.size(0), d = a.numel() / std::max<int64_t>(n, 1);
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const float u = static_cast<float>(p[i]), v = static_cast<float>(q[i]);
      if (px) {
#pragma omp simd
        for (int64_t j = i * d; j < (i + 1) * d; j++)
          narrow(widened(px[j]) + u * widened(pa[j]) + v * widened(pb[j]), py + j);
      } else {
#pragma omp simd
        for (int64_t j = i * d; j < (i + 1) * d; j++)
          narrow(u * widened(pa[j]) + v * widened(pb[j]), py + j);
      }
    }
  });
  return y;
}

// Where the kernels do not reach: three products, summed in float64 on the device.
std::array<Tensor, 3> composed_dots(Tensor a, Tensor b) {
  if (a.scalar_type() == at::kBFloat16) {
    a = a.to(at::kFloat);
    b = b.to(at::kFloat);
  }
  if (a.dim() == 1) {
    a = a.unsqueeze(1);
    b = b.unsqueeze(1);
  }
  std::vector<int64_t> within(a.dim() - 1);
  std::iota(within.begin(), within.end(), 1);
  const auto dot = [&](const Tensor& u, const Tensor& v) { return (u * v).sum(within, false, at::kDouble); };
  return {dot(a, a), dot(a, b), dot(b, b)};
}

}  // namespace

char* lt_row_dots(lt_tensor at_, lt_tensor bt, lt_tensor* aa, lt_tensor* ab, lt_tensor* bb) {
  return call(false, [&] {
    Tensor a = T(at_), b = T(bt);
    TORCH_CHECK(a.sizes() == b.sizes(), "row dots: shapes ", a.sizes(), " and ", b.sizes());
    TORCH_CHECK(a.is_floating_point(), "row dots: dtype ", a.scalar_type());
    if (b.scalar_type() != a.scalar_type()) b = b.to(a.scalar_type());
    std::array<Tensor, 3> dots;
    if (a.is_cpu() && b.is_cpu()) {
      if (!same_rows(a, b)) {
        a = a.contiguous();
        b = b.contiguous();
      }
      std::array<double*, 3> to;
      for (int k = 0; k < 3; k++) {
        dots[k] = at::empty({a.size(0)}, at::kDouble);
        to[k] = dots[k].data_ptr<double>();
      }
      switch (a.scalar_type()) {
        case at::kFloat: row_dots<float>(a, b, to); break;
        case at::kDouble: row_dots<double>(a, b, to); break;
        case at::kBFloat16: row_dots<uint16_t>(a, b, to); break;
        default: TORCH_CHECK(false, "row dots: dtype ", a.scalar_type());
      }
    } else {
      dots = rows_on_card(a, b) ? card_dots(a, b) : composed_dots(a, b);
    }
    *aa = wrap(dots[0]);
    *ab = wrap(dots[1]);
    *bb = wrap(dots[2]);
  });
}

char* lt_add_rows(lt_tensor xt, lt_tensor at_, lt_tensor bt, lt_tensor pt, lt_tensor qt, lt_tensor* out) {
  return call(false, [&] {
    const Tensor x = or_none(xt), &a = T(at_), &b = T(bt), p = T(pt).contiguous(), q = T(qt).contiguous();
    TORCH_CHECK((!x.defined() || x.sizes() == a.sizes()) && a.sizes() == b.sizes(), "add rows: shapes ",
                x.defined() ? x.sizes() : a.sizes(), ", ", a.sizes(), " and ", b.sizes());
    TORCH_CHECK(p.dim() == 1 && p.sizes() == q.sizes() && p.size(0) == a.size(0) && p.scalar_type() == at::kDouble &&
                    q.scalar_type() == at::kDouble,
                "add rows: one coefficient a sample is needed, in float64");
    const Tensor& like = x.defined() ? x : a;
    if (same_rows(like, a) && same_rows(like, b) && a.scalar_type() == like.scalar_type() &&
        b.scalar_type() == like.scalar_type() && p.is_cpu() && q.is_cpu()) {
      const double *u = p.data_ptr<double>(), *v = q.data_ptr<double>();
      if (like.scalar_type() == at::kFloat) return void(*out = wrap(add_rows<float>(x, a, b, u, v)));
      if (like.scalar_type() == at::kBFloat16) return void(*out = wrap(add_rows<uint16_t>(x, a, b, u, v)));
    }
    if (rows_on_card(like, a) && rows_on_card(like, b) && p.device() == a.device() && q.device() == a.device())
      return void(*out = wrap(card_sum(x, a, b, p, q)));
    std::vector<int64_t> shape(like.dim(), 1);
    shape[0] = like.size(0);
    const auto column = [&](const Tensor& t) { return t.to(like.options()).view(shape); };
    const Tensor pa = a.to(like.scalar_type()) * column(p), first = x.defined() ? x + pa : pa;
    *out = wrap(at::addcmul(first, b.to(like.scalar_type()), column(q)));
  });
}
