// The loops of pool.cpp over channels-last tensors: plain C++, compiled for several instruction sets, of which the
// loader picks the processor's. S is the type in memory; sums run in float32 or better.
#pragma once
#include <ATen/OpMathType.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define POOL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define POOL_CLONES
#endif

namespace pool {

template <class S>
using Sum = at::opmath_type<S>;

// yes or no, as a value of bits: no branch is left that would keep a compiler from vectorizing. Where there are masked
// instructions they are faster, and compilers use them.
template <class T>
inline T pick(bool condition, T yes, T no) {
#ifdef __x86_64__
  return condition ? yes : no;
#else
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint8_t>>;
  const Bits mask = static_cast<Bits>(-static_cast<Bits>(condition));
  return std::bit_cast<T>(static_cast<Bits>((std::bit_cast<Bits>(yes) & mask) | (std::bit_cast<Bits>(no) & ~mask)));
#endif
}

// k×k windows over maps of h×w, one for each of oh×ow results. A choice is the position within its window, row by row.
struct Windows {
  int64_t n, c, h, w, oh, ow, k, stride, padding;

  // The window positions [from, to) of window i that lie on a side of that length.
  int64_t from(int64_t i) const { return std::max<int64_t>(0, padding - i * stride); }
  int64_t to(int64_t i, int64_t side) const { return std::min(k, side + padding - i * stride); }
  // The windows [first, last) that cover place i, of so many.
  int64_t first(int64_t i) const { return std::max<int64_t>(0, (i + padding - k + stride) / stride); }
  int64_t last(int64_t i, int64_t count) const { return std::min(count, (i + padding) / stride + 1); }
};

// Maxima and their choices, for rows [begin, end) of n·oh results. The first of equals wins, and NaN over all. best has
// room for c.
template <class S>
POOL_CLONES void maximum(const Windows& g, const S* x, S* y, uint8_t* choice, Sum<S>* best, int64_t begin,
                         int64_t end) {
  for (int64_t row = begin; row < end; row++) {
    const int64_t n = row / g.oh, i = row % g.oh;
    for (int64_t j = 0; j < g.ow; j++) {
      S* out = y + (row * g.ow + j) * g.c;
      uint8_t* chosen = choice + (row * g.ow + j) * g.c;
      bool fresh = true;
      for (int64_t a = g.from(i); a < g.to(i, g.h); a++) {
        for (int64_t b = g.from(j); b < g.to(j, g.w); b++) {
          const int64_t h = i * g.stride - g.padding + a, w = j * g.stride - g.padding + b;
          const S* v = x + ((n * g.h + h) * g.w + w) * g.c;
          const uint8_t position = static_cast<uint8_t>(a * g.k + b);
          if (fresh) {
            std::copy_n(v, g.c, best);
            std::fill_n(chosen, g.c, position);
            fresh = false;
            continue;
          }
#pragma omp simd
          for (int64_t c = 0; c < g.c; c++) {
            const Sum<S> value = v[c];
            const bool wins = (value > best[c]) | (value != value);
            best[c] = pick(wins, value, best[c]);
            chosen[c] = pick(wins, position, chosen[c]);
          }
        }
      }
#pragma omp simd
      for (int64_t c = 0; c < g.c; c++) out[c] = static_cast<S>(best[c]);
    }
  }
}

// What x has at recorded choices, for rows [begin, end) of n·oh results. taken has room for c.
template <class S>
POOL_CLONES void gather(const Windows& g, const S* x, const uint8_t* choice, S* y, Sum<S>* taken, int64_t begin,
                        int64_t end) {
  for (int64_t row = begin; row < end; row++) {
    const int64_t n = row / g.oh, i = row % g.oh;
    for (int64_t j = 0; j < g.ow; j++) {
      S* out = y + (row * g.ow + j) * g.c;
      const uint8_t* chosen = choice + (row * g.ow + j) * g.c;
      std::fill_n(taken, g.c, Sum<S>(0));
      for (int64_t a = g.from(i); a < g.to(i, g.h); a++) {
        for (int64_t b = g.from(j); b < g.to(j, g.w); b++) {
          const int64_t h = i * g.stride - g.padding + a, w = j * g.stride - g.padding + b;
          const S* v = x + ((n * g.h + h) * g.w + w) * g.c;
          const uint8_t position = static_cast<uint8_t>(a * g.k + b);
#pragma omp simd
          for (int64_t c = 0; c < g.c; c++) taken[c] = pick(chosen[c] == position, static_cast<Sum<S>>(v[c]), taken[c]);
        }
      }
#pragma omp simd
      for (int64_t c = 0; c < g.c; c++) out[c] = static_cast<S>(taken[c]);
    }
  }
}

// The adjoint of gather, for rows [begin, end) of n·h places. Every place collects from the windows over it, so that
// nothing is written twice. sum has room for c.
template <class S>
POOL_CLONES void scatter(const Windows& g, const S* dy, const uint8_t* choice, S* dx, Sum<S>* sum, int64_t begin,
                         int64_t end) {
  for (int64_t row = begin; row < end; row++) {
    const int64_t n = row / g.h, h = row % g.h;
    for (int64_t w = 0; w < g.w; w++) {
      std::fill_n(sum, g.c, Sum<S>(0));
      for (int64_t i = g.first(h); i < g.last(h, g.oh); i++) {
        for (int64_t j = g.first(w); j < g.last(w, g.ow); j++) {
          const int64_t a = h - i * g.stride + g.padding, b = w - j * g.stride + g.padding;
          const int64_t at = ((n * g.oh + i) * g.ow + j) * g.c;
          const S* d = dy + at;
          const uint8_t* chosen = choice + at;
          const uint8_t position = static_cast<uint8_t>(a * g.k + b);
#pragma omp simd
          for (int64_t c = 0; c < g.c; c++) sum[c] += pick(chosen[c] == position, static_cast<Sum<S>>(d[c]), Sum<S>(0));
        }
      }
      S* out = dx + (row * g.w + w) * g.c;
#pragma omp simd
      for (int64_t c = 0; c < g.c; c++) out[c] = static_cast<S>(sum[c]);
    }
  }
}

// Cells of h×w places, side×side of them in a map of c channels.
struct Cells {
  int64_t n, c, side, h, w;
};

// Means, for rows [begin, end) of n·side cells. sum has room for c.
template <class S>
POOL_CLONES void mean(const Cells& g, const S* x, S* y, Sum<S>* sum, int64_t begin, int64_t end) {
  const Sum<S> share = Sum<S>(1) / static_cast<Sum<S>>(g.h * g.w);
  for (int64_t row = begin; row < end; row++) {
    for (int64_t j = 0; j < g.side; j++) {
      std::fill_n(sum, g.c, Sum<S>(0));
      for (int64_t h = 0; h < g.h; h++) {
        const S* v = x + ((row * g.h + h) * g.side + j) * g.w * g.c;
        for (int64_t w = 0; w < g.w; w++, v += g.c) {
#pragma omp simd
          for (int64_t c = 0; c < g.c; c++) sum[c] += static_cast<Sum<S>>(v[c]);
        }
      }
      S* out = y + (row * g.side + j) * g.c;
#pragma omp simd
      for (int64_t c = 0; c < g.c; c++) out[c] = static_cast<S>(sum[c] * share);
    }
  }
}

// The adjoint of mean: every place gets its share. Rows are those of mean; line has room for c.
template <class S>
POOL_CLONES void spread(const Cells& g, const S* dy, S* dx, S* line, int64_t begin, int64_t end) {
  const Sum<S> share = Sum<S>(1) / static_cast<Sum<S>>(g.h * g.w);
  for (int64_t row = begin; row < end; row++) {
    for (int64_t j = 0; j < g.side; j++) {
      const S* d = dy + (row * g.side + j) * g.c;
#pragma omp simd
      for (int64_t c = 0; c < g.c; c++) line[c] = static_cast<S>(static_cast<Sum<S>>(d[c]) * share);
      for (int64_t h = 0; h < g.h; h++) {
        S* out = dx + ((row * g.h + h) * g.side + j) * g.w * g.c;
        for (int64_t w = 0; w < g.w; w++, out += g.c) std::copy_n(line, g.c, out);
      }
    }
  }
}

}  // namespace pool
