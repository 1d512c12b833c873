// The body of norm_kernel.cpp, without a guard: included once for each instruction set, it defines the table of
// kernels norm::NORM_ISA::table in vectors of NORM_WIDTH floats, NORM_COLUMNS of them in flight together.
//
// Arithmetic is written in the compilers' vector extension; only the passage between comparisons and bits may be an
// instruction set's own. A lambda would not inherit the target, hence the structs whose steps sweep() calls.
#define NORM_INLINE inline __attribute__((always_inline)) NORM_TARGET

namespace norm {
namespace NORM_ISA {

constexpr int W = NORM_WIDTH, U = NORM_COLUMNS;
using Columns = std::make_integer_sequence<int, U>;

typedef float F __attribute__((vector_size(4 * W)));
typedef int32_t I __attribute__((vector_size(4 * W)));
typedef uint32_t B __attribute__((vector_size(4 * W)));
typedef uint16_t H __attribute__((vector_size(2 * W)));

// Loads and stores of the first n lanes: all of them, without a branch, where n is the constant W. Lanes that are not
// loaded are zero.
NORM_INLINE F load(const float* p, int64_t n) {
  F v{};
  memcpy(&v, p, n < W ? n * sizeof *p : sizeof v);
  return v;
}
NORM_INLINE F load(const uint16_t* p, int64_t n) {
  H h{};
  memcpy(&h, p, n < W ? n * sizeof *p : sizeof h);
  return (F)(__builtin_convertvector(h, B) << 16);
}
NORM_INLINE void store(float* p, F v, int64_t n) { memcpy(p, &v, n < W ? n * sizeof *p : sizeof v); }
NORM_INLINE void store(uint16_t* p, F v, int64_t n) {
  const B u = (B)v, nan = (B)(v != v);
  const B nearest = (u + 0x7fff + ((u >> 16) & 1)) >> 16;  // ties to even
  const H h = __builtin_convertvector((nearest & ~nan) | (nan & 0x7fc0), H);
  memcpy(p, &h, n < W ? n * sizeof *p : sizeof h);
}

#if NORM_WIDTH == 16
typedef uint16_t Mask;
#else
typedef uint8_t Mask;
#endif

// The lanes whose ReLU is closed. NaN stays open, and so visible.
NORM_INLINE Mask closed(F v) {
#ifdef NORM_CLOSED
  return static_cast<Mask>(NORM_CLOSED(v));
#else
  const I le = v <= 0;
  unsigned m = 0;
  for (int i = 0; i < W; i++) m |= static_cast<unsigned>(le[i] & 1) << i;
  return static_cast<Mask>(m);
#endif
}
NORM_INLINE F shut(F v, Mask m) {
#ifdef NORM_SHUT
  return NORM_SHUT(v, m);
#else
  const I lane = {1, 2, 4, 8, 16, 32, 64, 128};
  return (F)((I)v & ((lane & static_cast<int32_t>(m)) == 0));
#endif
}
NORM_INLINE Mask gates(const uint8_t* p, int64_t i) {
  Mask m;
  memcpy(&m, p + (i >> 3), sizeof m);
  return m;
}

// The gradient g behind the ReLU of d·scale + bias.
template <Gate gate>
NORM_INLINE F gated(F g, F d, F scale, F bias, const uint8_t* mask, int64_t i) {
  if (gate == Gate::kOpen) return g;
  return shut(g, gate == Gate::kReplay ? gates(mask, i) : closed(d * scale + bias));
}

template <class Op, int... u>
NORM_INLINE void row(Op& op, int64_t i, std::integer_sequence<int, u...>) {
  (op.step(u, i + u * W, W), ...);
}
template <class Op, int... u>
NORM_INLINE void last_row(Op& op, int64_t i, int64_t end, std::integer_sequence<int, u...>) {
  ((i + u * W < end ? op.step(u, i + u * W, std::min<int64_t>(W, end - i - u * W)) : void()), ...);
}

// Walks the range column by column, U vectors wide, so that what belongs to a column stays in registers.
template <class Op>
NORM_INLINE void sweep(Op&& op, int64_t begin, int64_t end, int64_t period) {
  const int64_t whole = end - (end - begin) % period;
  for (int64_t j = 0; j < period; j += U * W) {
    op.enter(j, Columns());
    for (int64_t i = begin + j; i < whole; i += period) row(op, i, Columns());
    last_row(op, whole + j, end, Columns());
    op.leave(j, Columns());
  }
}

// Σ d and Σ d² of d = x − shift.
template <class S>
struct Deviations {
  const S* x;
  const float* shift;
  float *sum, *square;
  F k[U], a[U], q[U];

  template <int... u>
  NORM_INLINE void enter(int64_t j, std::integer_sequence<int, u...>) {
    ((k[u] = load(shift + j + u * W, W), a[u] = F{}, q[u] = F{}), ...);
  }
  NORM_INLINE void step(int u, int64_t i, int64_t n) {
    F d = load(x + i, n) - k[u];
    if (n < W) d = shut(d, static_cast<Mask>(~0u << n));
    a[u] += d;
    q[u] += d * d;
  }
  template <int... u>
  NORM_INLINE void leave(int64_t j, std::integer_sequence<int, u...>) {
    ((store(sum + j + u * W, a[u], W), store(square + j + u * W, q[u], W)), ...);
  }
};

// Σ g and Σ g·(x − mean).
template <class S, Gate gate>
struct Products {
  const S *dy, *x;
  const uint8_t* mask;
  const float *mean, *scale, *bias;
  float *sum, *product;
  F m[U], s[U], b[U], a[U], q[U];

  template <int... u>
  NORM_INLINE void enter(int64_t j, std::integer_sequence<int, u...>) {
    ((m[u] = load(mean + j + u * W, W), s[u] = load(scale + j + u * W, W), b[u] = load(bias + j + u * W, W)), ...);
    ((a[u] = F{}, q[u] = F{}), ...);
  }
  NORM_INLINE void step(int u, int64_t i, int64_t n) {
    const F d = load(x + i, n) - m[u], g = gated<gate>(load(dy + i, n), d, s[u], b[u], mask, i);
    a[u] += g;
    q[u] += g * d;
  }
  template <int... u>
  NORM_INLINE void leave(int64_t j, std::integer_sequence<int, u...>) {
    ((store(sum + j + u * W, a[u], W), store(product + j + u * W, q[u], W)), ...);
  }
};

template <class S, Gate gate, bool plus>
struct Forward {
  const S *x, *add;
  S* y;
  uint8_t* mask;
  const float *mean, *scale, *bias;
  F m[U], a[U], b[U];

  template <int... u>
  NORM_INLINE void enter(int64_t j, std::integer_sequence<int, u...>) {
    ((m[u] = load(mean + j + u * W, W), a[u] = load(scale + j + u * W, W), b[u] = load(bias + j + u * W, W)), ...);
  }
  NORM_INLINE void step(int u, int64_t i, int64_t n) {
    F v = (load(x + i, n) - m[u]) * a[u] + b[u];
    if (plus) v += load(add + i, n);
    if (gate != Gate::kOpen) {
      const Mask c = gate == Gate::kReplay ? gates(mask, i) : closed(v);
      if (gate == Gate::kRecord) memcpy(mask + (i >> 3), &c, sizeof c);
      v = shut(v, c);
    }
    store(y + i, v, n);
  }
  template <int... u>
  NORM_INLINE void leave(int64_t, std::integer_sequence<int, u...>) {}
};

template <class S, Gate gate, bool to_x, bool to_add>
struct Backward {
  const S *dy, *x;
  S *dx, *dadd;
  const uint8_t* mask;
  const float *mean, *scale, *bias, *slope, *offset;
  F m[U], a[U], b[U], s[U], o[U];

  template <int... u>
  NORM_INLINE void enter(int64_t j, std::integer_sequence<int, u...>) {
    ((m[u] = load(mean + j + u * W, W), a[u] = load(scale + j + u * W, W), b[u] = load(bias + j + u * W, W)), ...);
    ((s[u] = load(slope + j + u * W, W), o[u] = load(offset + j + u * W, W)), ...);
  }
  NORM_INLINE void step(int u, int64_t i, int64_t n) {
    const F d = load(x + i, n) - m[u], g = gated<gate>(load(dy + i, n), d, a[u], b[u], mask, i);
    if (to_x) store(dx + i, g * a[u] + (d * s[u] + o[u]), n);
    if (to_add) store(dadd + i, g, n);
  }
  template <int... u>
  NORM_INLINE void leave(int64_t, std::integer_sequence<int, u...>) {}
};

template <class S, Gate gate, bool plus>
struct Tangent {
  const S *x, *along, *add;
  S* y;
  const uint8_t* mask;
  const float *mean, *scale, *slope, *offset;
  F m[U], a[U], s[U], o[U];

  template <int... u>
  NORM_INLINE void enter(int64_t j, std::integer_sequence<int, u...>) {
    ((m[u] = load(mean + j + u * W, W), a[u] = load(scale + j + u * W, W)), ...);
    ((s[u] = load(slope + j + u * W, W), o[u] = load(offset + j + u * W, W)), ...);
  }
  NORM_INLINE void step(int u, int64_t i, int64_t n) {
    F v = load(along + i, n) * a[u] + ((load(x + i, n) - m[u]) * s[u] + o[u]);
    if (plus) v += load(add + i, n);
    store(y + i, gated<gate>(v, v, v, v, mask, i), n);
  }
  template <int... u>
  NORM_INLINE void leave(int64_t, std::integer_sequence<int, u...>) {}
};

template <class S, Gate gate, bool to_add>
struct Curve {
  const S *dy, *x, *along;
  S *dx, *dalong, *dadd;
  const uint8_t* mask;
  const float *mean, *scale, *slope, *offset, *turn, *bend, *lean, *shift;
  int64_t j;

  template <int... u>
  NORM_INLINE void enter(int64_t column, std::integer_sequence<int, u...>) {
    j = column;  // nine values a column do not fit into registers
  }
  NORM_INLINE void step(int u, int64_t i, int64_t n) {
    const int64_t c = j + u * W;
    const F d = load(x + i, n) - load(mean + c, W), t = load(along + i, n);
    const F raw = load(dy + i, n), g = gated<gate>(raw, raw, raw, raw, mask, i);
    store(dalong + i, g * load(scale + c, W) + (d * load(slope + c, W) + load(offset + c, W)), n);
    store(dx + i, t * load(turn + c, W) + g * load(bend + c, W) + (d * load(lean + c, W) + load(shift + c, W)), n);
    if (to_add) store(dadd + i, g, n);
  }
  template <int... u>
  NORM_INLINE void leave(int64_t, std::integer_sequence<int, u...>) {}
};

// Adds the lanes of one period to their channels.
NORM_TARGET inline void fold(const float* lanes, int64_t period, int64_t channels, double* into) {
  for (int64_t j = 0; j < period; j += channels)
    for (int64_t c = 0; c < channels; c++) into[c] += static_cast<double>(lanes[j + c]);
}

// Sweeps a range and folds both sums. Scratch::lanes holds the shift, then the two sums.
template <class S>
NORM_TARGET void deviations(const Tensors& t, int64_t begin, int64_t end, Sums out, Scratch s) {
  const int64_t p = t.period;
  sweep(Deviations<S>{static_cast<const S*>(t.x), s.lanes, s.lanes + p, s.lanes + 2 * p}, begin, end, p);
  std::fill_n(out.first, t.channels, 0.0);
  std::fill_n(out.second, t.channels, 0.0);
  fold(s.lanes + p, p, t.channels, out.first);
  fold(s.lanes + 2 * p, p, t.channels, out.second);
}

// A block is summed around the mean of what came before it in the range, the first one around the mean of its
// beginning: what the squares then lose to cancellation is small against the variance that the offset itself adds.
template <class S>
NORM_TARGET void moments(const Tensors& t, int64_t begin, int64_t end, Sums out, Scratch s) {
  const int64_t c = t.channels, block = block_size(t.period);
  const Sums part{s.sums, s.sums + c};
  float* shift = s.lanes;
  std::fill_n(shift, t.period, 0.0f);
  const int64_t beginning = std::min(end, begin + block / 8);
  deviations<S>(t, begin, beginning, part, s);
  for (int64_t k = 0; k < c; k++) out.first[k] = part.first[k] / static_cast<double>((beginning - begin) / c);
  double n = 0;
  for (int64_t b = begin; b < end; b += block) {
    const int64_t e = std::min(end, b + block);
    const double rows = static_cast<double>((e - b) / c);
    for (int64_t j = 0; j < t.period; j += c)
      for (int64_t k = 0; k < c; k++) shift[j + k] = static_cast<float>(out.first[k]);
    deviations<S>(t, b, e, part, s);
    for (int64_t k = 0; k < c; k++) {
      const double d = part.first[k] / rows;
      part.second[k] -= part.first[k] * d;
      part.first[k] = shift[k] + d;
    }
    if (n == 0) std::fill_n(out.second, c, 0.0);
    merge(c, n, out, rows, part);
    n += rows;
  }
}

template <class S, Gate gate>
NORM_TARGET void products(const Tensors& t, int64_t begin, int64_t end, Sums out, Scratch s) {
  const int64_t p = t.period, block = block_size(p);
  std::fill_n(out.first, t.channels, 0.0);
  std::fill_n(out.second, t.channels, 0.0);
  for (int64_t b = begin; b < end; b += block) {
    sweep(Products<S, gate>{static_cast<const S*>(t.dy), static_cast<const S*>(t.x), t.gates, t.mean, t.scale, t.bias,
                            s.lanes, s.lanes + p},
          b, std::min(end, b + block), p);
    fold(s.lanes, p, t.channels, out.first);
    fold(s.lanes + p, p, t.channels, out.second);
  }
}

template <class S, Gate gate, bool plus>
NORM_TARGET void forward(const Tensors& t, int64_t begin, int64_t end) {
  sweep(Forward<S, gate, plus>{static_cast<const S*>(t.x), static_cast<const S*>(t.add), static_cast<S*>(t.y), t.gates,
                               t.mean, t.scale, t.bias},
        begin, end, t.period);
}

template <class S, Gate gate, bool to_x, bool to_add>
NORM_TARGET void backward(const Tensors& t, int64_t begin, int64_t end) {
  sweep(Backward<S, gate, to_x, to_add>{static_cast<const S*>(t.dy), static_cast<const S*>(t.x), static_cast<S*>(t.dx),
                                        static_cast<S*>(t.dadd), t.gates, t.mean, t.scale, t.bias, t.slope, t.offset},
        begin, end, t.period);
}

template <class S, Gate gate, bool plus>
NORM_TARGET void tangent(const Tensors& t, int64_t begin, int64_t end) {
  sweep(Tangent<S, gate, plus>{static_cast<const S*>(t.x), static_cast<const S*>(t.along), static_cast<const S*>(t.add),
                               static_cast<S*>(t.y), t.gates, t.mean, t.scale, t.slope, t.offset},
        begin, end, t.period);
}

template <class S, Gate gate, bool to_add>
NORM_TARGET void curve(const Tensors& t, int64_t begin, int64_t end) {
  sweep(Curve<S, gate, to_add>{static_cast<const S*>(t.dy), static_cast<const S*>(t.x), static_cast<const S*>(t.along),
                               static_cast<S*>(t.dx), static_cast<S*>(t.dalong), static_cast<S*>(t.dadd), t.gates,
                               t.mean, t.scale, t.slope, t.offset, t.turn, t.bend, t.lean, t.shift},
        begin, end, t.period);
}

// From here on values become template arguments.
template <class S, Gate gate>
void forward_plus(const Tensors& t, int64_t begin, int64_t end) {
  t.add ? forward<S, gate, true>(t, begin, end) : forward<S, gate, false>(t, begin, end);
}
template <class S>
void forward_gate(const Tensors& t, int64_t begin, int64_t end) {
  switch (t.gate) {
    case Gate::kOpen: return forward_plus<S, Gate::kOpen>(t, begin, end);
    case Gate::kDecide: return forward_plus<S, Gate::kDecide>(t, begin, end);
    case Gate::kRecord: return forward_plus<S, Gate::kRecord>(t, begin, end);
    case Gate::kReplay: return forward_plus<S, Gate::kReplay>(t, begin, end);
  }
}
template <class S>
void products_gate(const Tensors& t, int64_t begin, int64_t end, Sums out, Scratch s) {
  switch (t.gate) {
    case Gate::kOpen: return products<S, Gate::kOpen>(t, begin, end, out, s);
    case Gate::kReplay: return products<S, Gate::kReplay>(t, begin, end, out, s);
    default: return products<S, Gate::kDecide>(t, begin, end, out, s);
  }
}
template <class S, Gate gate>
void backward_to(const Tensors& t, int64_t begin, int64_t end) {
  if (!t.dx) return backward<S, gate, false, true>(t, begin, end);
  t.dadd ? backward<S, gate, true, true>(t, begin, end) : backward<S, gate, true, false>(t, begin, end);
}
template <class S>
void backward_gate(const Tensors& t, int64_t begin, int64_t end) {
  switch (t.gate) {
    case Gate::kOpen: return backward_to<S, Gate::kOpen>(t, begin, end);
    case Gate::kReplay: return backward_to<S, Gate::kReplay>(t, begin, end);
    default: return backward_to<S, Gate::kDecide>(t, begin, end);
  }
}

template <class S, Gate gate>
void tangent_plus(const Tensors& t, int64_t begin, int64_t end) {
  t.add ? tangent<S, gate, true>(t, begin, end) : tangent<S, gate, false>(t, begin, end);
}
template <class S>
void tangent_gate(const Tensors& t, int64_t begin, int64_t end) {
  t.gate == Gate::kOpen ? tangent_plus<S, Gate::kOpen>(t, begin, end) : tangent_plus<S, Gate::kReplay>(t, begin, end);
}
template <class S, Gate gate>
void curve_to(const Tensors& t, int64_t begin, int64_t end) {
  t.dadd ? curve<S, gate, true>(t, begin, end) : curve<S, gate, false>(t, begin, end);
}
template <class S>
void curve_gate(const Tensors& t, int64_t begin, int64_t end) {
  t.gate == Gate::kOpen ? curve_to<S, Gate::kOpen>(t, begin, end) : curve_to<S, Gate::kReplay>(t, begin, end);
}

inline void any_moments(const Tensors& t, int64_t begin, int64_t end, Sums out, Scratch s) {
  t.bf16 ? moments<uint16_t>(t, begin, end, out, s) : moments<float>(t, begin, end, out, s);
}
inline void any_forward(const Tensors& t, int64_t begin, int64_t end) {
  t.bf16 ? forward_gate<uint16_t>(t, begin, end) : forward_gate<float>(t, begin, end);
}
inline void any_reduce(const Tensors& t, int64_t begin, int64_t end, Sums out, Scratch s) {
  t.bf16 ? products_gate<uint16_t>(t, begin, end, out, s) : products_gate<float>(t, begin, end, out, s);
}
inline void any_backward(const Tensors& t, int64_t begin, int64_t end) {
  t.bf16 ? backward_gate<uint16_t>(t, begin, end) : backward_gate<float>(t, begin, end);
}

inline void any_tangent(const Tensors& t, int64_t begin, int64_t end) {
  t.bf16 ? tangent_gate<uint16_t>(t, begin, end) : tangent_gate<float>(t, begin, end);
}
inline void any_curve(const Tensors& t, int64_t begin, int64_t end) {
  t.bf16 ? curve_gate<uint16_t>(t, begin, end) : curve_gate<float>(t, begin, end);
}

static const Kernels table{U * W, any_moments, any_forward, any_reduce, any_backward, any_tangent, any_curve};

}  // namespace NORM_ISA
}  // namespace norm

#undef NORM_ISA
#undef NORM_TARGET
#undef NORM_WIDTH
#undef NORM_COLUMNS
#undef NORM_INLINE
#undef NORM_CLOSED
#undef NORM_SHUT
