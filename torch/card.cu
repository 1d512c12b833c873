// Kernels for CUDA devices, compiled at run time by NVRTC: card.cpp loads them; norm_card.cpp, rows.cpp and pool.cpp call them. They
// need no headers, and a C++ compiler takes them as well: testdata/card/emulate.cpp runs them on the CPU.
//
// A channels-last tensor is a matrix of so many rows and channels. A thread has eight neighbouring channels, which are one
// vector, and goes down the rows of its block: a block of the grid is a tile of vectors by a chunk of rows. Sums go from
// thread to block to all chunks in one order: the same bits every time. Gates are one bit an element in the order of memory,
// set where a ReLU is shut, as on the CPU.
//
// BF16 is defined for bfloat16 in memory, else it is float32. Arithmetic is float32; what leaves a thread is summed in float64.

#ifdef BF16
typedef unsigned short S;
__device__ inline float widened(S v) {
  union { unsigned u; float f; } c;
  c.u = (unsigned)v << 16;
  return c.f;
}
__device__ inline S narrowed(float v) {  // to the nearest, ties to even
  union { float f; unsigned u; } c;
  c.f = v;
  return v != v ? (S)0x7fc0 : (S)((c.u + 0x7fff + (c.u >> 16 & 1)) >> 16);
}
#else
typedef float S;
__device__ inline float widened(S v) { return v; }
__device__ inline S narrowed(float v) { return v; }
#endif

#define V 8
#define THREADS 256

struct __align__(16) Pack { S v[V]; };

__device__ inline void load(const S* p, float* v) {
  const Pack k = *(const Pack*)p;
  for (int i = 0; i < V; i++) v[i] = widened(k.v[i]);
}
__device__ inline void store(S* p, const float* v) {
  Pack k;
  for (int i = 0; i < V; i++) k.v[i] = narrowed(v[i]);
  *(Pack*)p = k;
}

// The rows that a thread goes down, [row, end) in steps, and its first channel. Threads beyond the last channel have no rows.
struct Walk {
  unsigned channel, row, end, step;
  __device__ Walk(unsigned rows, unsigned channels, unsigned chunk) {
    channel = (blockIdx.x * blockDim.x + threadIdx.x) * V;
    step = blockDim.y;
    end = (blockIdx.y + 1) * chunk < rows ? (blockIdx.y + 1) * chunk : rows;
    row = channel < channels ? blockIdx.y * chunk + threadIdx.y : end;
  }
  __device__ unsigned long long at(unsigned channels) const { return (unsigned long long)row * channels + channel; }
};

enum Gate { kOpen, kDecide, kRecord, kReplay };

struct Channels {
  float mean[V], scale[V], bias[V];
  __device__ Channels(const Walk& k, const float* m, const float* invstd, const float* w, const float* b) {
    for (int i = 0; i < V; i++) {
      const bool there = k.row < k.end;
      mean[i] = there ? m[k.channel + i] : 0;
      scale[i] = there ? invstd[k.channel + i] * w[k.channel + i] : 0;
      bias[i] = there && b ? b[k.channel + i] : 0;
    }
  }
  // What reaches the ReLU, the same in all kernels to the last bit.
  __device__ float value(float x, int i) const { return fmaf(x - mean[i], scale[i], bias[i]); }
};

// Shuts the units of a vector whose bits are set.
__device__ inline void shut(float* g, unsigned char bits) {
  for (int i = 0; i < V; i++)
    if (bits >> i & 1) g[i] = 0;
}

// The bits of units that are shut; NaN leaves one open, and so is seen.
__device__ inline unsigned char closed(const float* v) {
  unsigned char bits = 0;
  for (int i = 0; i < V; i++) bits |= (unsigned char)((v[i] <= 0) << i);
  return bits;
}

// The gradient behind the ReLU, in place.
__device__ inline void gate(float* g, const float* x, const Channels& c, int mode, const unsigned char* gates,
                            unsigned long long at) {
  if (mode == kOpen) return;
  if (mode == kReplay) return shut(g, gates[at / V]);
  float v[V];
  for (int i = 0; i < V; i++) v[i] = c.value(x[i], i);
  shut(g, closed(v));
}

// Mean and squared deviations of each chunk (Welford), merged in the block (Chan, Golub and LeVeque). partial is
// [chunks, 2, channels].
extern "C" __global__ void moments(const S* x, unsigned rows, unsigned channels, unsigned chunk, double* partial) {
  __shared__ float means[THREADS * V], squares[THREADS * V];
  __shared__ unsigned counts[THREADS];
  Walk k(rows, channels, chunk);
  const unsigned me = threadIdx.y * blockDim.x + threadIdx.x;
  float mean[V] = {}, square[V] = {};
  unsigned n = 0;
  for (; k.row < k.end; k.row += k.step) {
    float v[V];
    load(x + k.at(channels), v);
    const float inverse = 1.0f / (float)++n;
    for (int i = 0; i < V; i++) {
      const float d = v[i] - mean[i];
      mean[i] += d * inverse;
      square[i] += d * (v[i] - mean[i]);
    }
  }
  counts[me] = n;
  for (int i = 0; i < V; i++) {
    means[me * V + i] = mean[i];
    squares[me * V + i] = square[i];
  }
  __syncthreads();
  for (unsigned i = threadIdx.y; i < V && k.channel < channels; i += blockDim.y) {
    double m = 0, q = 0, have = 0;
    for (unsigned j = 0; j < blockDim.y; j++) {
      const unsigned from = j * blockDim.x + threadIdx.x;
      if (counts[from] == 0) continue;
      const double more = counts[from], f = more / (have + more), d = means[from * V + i] - m;
      m += d * f;
      q += squares[from * V + i] + d * d * have * f;
      have += more;
    }
    double* to = partial + (unsigned long long)blockIdx.y * 2 * channels + k.channel + i;
    to[0] = m;
    to[channels] = q;
  }
}

// The last step of sums: a block has 32 channels, and its rows of threads take turns with the chunks, whose sums the first
// row then adds up.
#define LINE 32
#define DEEP 8

// Mean and 1/√(variance + eps) of all chunks. Moves the running statistics where there are any.
extern "C" __global__ void statistics(const double* partial, unsigned rows, unsigned channels, unsigned chunk,
                                      unsigned chunks, double eps, double momentum, float* mean, float* invstd,
                                      float* running_mean, float* running_var) {
  __shared__ double means[DEEP][LINE], squares[DEEP][LINE], counts[DEEP][LINE];
  const unsigned c = blockIdx.x * LINE + threadIdx.x;
  double m = 0, q = 0, have = 0;
  for (unsigned k = threadIdx.y; k < chunks && c < channels; k += DEEP) {
    const double* from = partial + (unsigned long long)k * 2 * channels + c;
    const double more = (k + 1) * chunk < rows ? chunk : rows - k * chunk, f = more / (have + more), d = from[0] - m;
    m += d * f;
    q += from[channels] + d * d * have * f;
    have += more;
  }
  means[threadIdx.y][threadIdx.x] = m;
  squares[threadIdx.y][threadIdx.x] = q;
  counts[threadIdx.y][threadIdx.x] = have;
  __syncthreads();
  if (threadIdx.y > 0 || c >= channels) return;
  for (unsigned j = 1; j < DEEP; j++) {
    const double more = counts[j][threadIdx.x];
    if (more == 0) continue;
    const double f = more / (have + more), d = means[j][threadIdx.x] - m;
    m += d * f;
    q += squares[j][threadIdx.x] + d * d * have * f;
    have += more;
  }
  mean[c] = (float)m;
  invstd[c] = (float)(1 / sqrt(q / rows + eps));
  if (running_mean) running_mean[c] = (float)(momentum * m + (1 - momentum) * running_mean[c]);
  if (running_var) running_var[c] = (float)(momentum * (q / (rows - 1.0)) + (1 - momentum) * running_var[c]);
}

// y = gate((x − mean)·scale + bias + add)
extern "C" __global__ void forward(const S* x, const S* add, S* y, unsigned char* gates, int mode, const float* mean,
                                   const float* invstd, const float* w, const float* b, unsigned rows,
                                   unsigned channels, unsigned chunk) {
  Walk k(rows, channels, chunk);
  const Channels c(k, mean, invstd, w, b);
  for (; k.row < k.end; k.row += k.step) {
    const unsigned long long at = k.at(channels);
    float v[V], more[V];
    load(x + at, v);
    for (int i = 0; i < V; i++) v[i] = c.value(v[i], i);
    if (add) {
      load(add + at, more);
      for (int i = 0; i < V; i++) v[i] += more[i];
    }
    if (mode != kOpen) {
      const unsigned char bits = mode == kReplay ? gates[at / V] : closed(v);
      if (mode == kRecord) gates[at / V] = bits;
      shut(v, bits);
    }
    store(y + at, v);
  }
}

// Of each chunk Σ g, Σ g·(x − mean) and, where along is given, Σ g·along, with g the gradient behind the ReLU. partial is
// [chunks, 3, channels].
extern "C" __global__ void sums(const S* dy, const S* x, const S* along, const unsigned char* gates, int mode,
                                const float* mean, const float* invstd, const float* w, const float* b, unsigned rows,
                                unsigned channels, unsigned chunk, double* partial) {
  __shared__ float all[THREADS * V];
  Walk k(rows, channels, chunk);
  const Channels c(k, mean, invstd, w, b);
  const unsigned me = threadIdx.y * blockDim.x + threadIdx.x;
  float sum[3][V] = {};
  for (; k.row < k.end; k.row += k.step) {
    const unsigned long long at = k.at(channels);
    float g[V], v[V], t[V];
    load(dy + at, g);
    load(x + at, v);
    gate(g, v, c, mode, gates, at);
    for (int i = 0; i < V; i++) {
      sum[0][i] += g[i];
      sum[1][i] += g[i] * (v[i] - c.mean[i]);
    }
    if (!along) continue;
    load(along + at, t);
    for (int i = 0; i < V; i++) sum[2][i] += g[i] * t[i];
  }
  for (int s = 0; s < 3; s++) {
    __syncthreads();
    for (int i = 0; i < V; i++) all[me * V + i] = sum[s][i];
    __syncthreads();
    for (unsigned i = threadIdx.y; i < V && k.channel < channels; i += blockDim.y) {
      double total = 0;
      for (unsigned j = 0; j < blockDim.y; j++) total += all[(j * blockDim.x + threadIdx.x) * V + i];
      partial[((unsigned long long)blockIdx.y * 3 + s) * channels + k.channel + i] = total;
    }
  }
}

// Adds up all chunks: totals [3, channels] in float64, the gradients of w and b, and, where it goes through the batch's
// statistics, slope and offset of dx = g·scale + (x − mean)·slope + offset; else they are zero.
extern "C" __global__ void gradients(const double* partial, unsigned rows, unsigned channels, unsigned chunks, int through,
                                     const float* invstd, const float* w, double* totals, float* dw, float* db,
                                     float* slope, float* offset) {
  __shared__ double all[3][DEEP][LINE];
  const unsigned c = blockIdx.x * LINE + threadIdx.x;
  double s[3] = {0, 0, 0};
  for (unsigned k = threadIdx.y; k < chunks && c < channels; k += DEEP)
    for (int i = 0; i < 3; i++) s[i] += partial[((unsigned long long)k * 3 + i) * channels + c];
  for (int i = 0; i < 3; i++) all[i][threadIdx.y][threadIdx.x] = s[i];
  __syncthreads();
  if (threadIdx.y > 0 || c >= channels) return;
  for (int i = 0; i < 3; i++) {
    for (int j = 1; j < DEEP; j++) s[i] += all[i][j][threadIdx.x];
    totals[(unsigned long long)i * channels + c] = s[i];
  }
  const double v = invstd[c], scale = through ? (double)(invstd[c] * w[c]) / rows : 0;
  dw[c] = (float)(s[1] * v);
  db[c] = (float)s[0];
  slope[c] = (float)(-scale * v * v * s[1]);
  offset[c] = (float)(-scale * s[0]);
}

// dx = g·scale + (x − mean)·slope + offset and dadd = g, each where it is given. Either may be dy itself.
extern "C" __global__ void backward(const S* dy, const S* x, const unsigned char* gates, int mode, const float* mean,
                                    const float* invstd, const float* w, const float* b, const float* slope,
                                    const float* offset, S* dx, S* dadd, unsigned rows, unsigned channels,
                                    unsigned chunk) {
  Walk k(rows, channels, chunk);
  const Channels c(k, mean, invstd, w, b);
  for (; k.row < k.end; k.row += k.step) {
    const unsigned long long at = k.at(channels);
    float g[V], v[V], d[V];
    load(dy + at, g);
    load(x + at, v);
    gate(g, v, c, mode, gates, at);
    for (int i = 0; i < V; i++)
      d[i] = g[i] * c.scale[i] + ((v[i] - c.mean[i]) * slope[k.channel + i] + offset[k.channel + i]);
    if (dx) store(dx + at, d);
    if (dadd) store(dadd + at, g);
  }
}

// y = gate(along·scale + (x − mean)·slope + offset + add)
extern "C" __global__ void tangent(const S* along, const S* x, const S* add, const unsigned char* gates, int mode,
                                   const float* mean, const float* invstd, const float* w, const float* slope,
                                   const float* offset, S* y, unsigned rows, unsigned channels, unsigned chunk) {
  Walk k(rows, channels, chunk);
  const Channels c(k, mean, invstd, w, 0);
  for (; k.row < k.end; k.row += k.step) {
    const unsigned long long at = k.at(channels);
    float t[V], v[V], more[V];
    load(along + at, t);
    load(x + at, v);
    for (int i = 0; i < V; i++)
      t[i] = t[i] * c.scale[i] + ((v[i] - c.mean[i]) * slope[k.channel + i] + offset[k.channel + i]);
    if (add) {
      load(add + at, more);
      for (int i = 0; i < V; i++) t[i] += more[i];
    }
    if (mode == kReplay) shut(t, gates[at / V]);
    store(y + at, t);
  }
}

// What the tangent's gradients need a channel, from the totals of the direction t and of the gradient g: dw, and turn, bend,
// lean and shift, one after the other, as norm.cpp has them.
extern "C" __global__ void bends(const double* t, const double* g, unsigned rows, unsigned channels, const float* invstd,
                                 const float* w, float* dw, float* bent) {
  const unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const double n = rows, v = invstd[c], scale = invstd[c] * w[c];
  const double t0 = t[c], t1 = t[channels + c], g0 = g[c], g1 = g[channels + c], gt = g[2 * channels + c];
  const double d = v * (gt - t0 * g0 / n - v * v * t1 * g1 / n);
  const double turn = -scale * v * v * g1 / n, bend = -scale * v * v * t1 / n;
  dw[c] = (float)d;
  bent[c] = (float)turn;
  bent[channels + c] = (float)bend;
  bent[2 * channels + c] = (float)(2 * scale * v * v * v * v * t1 * g1 / (n * n) - v * scale * d / n);
  bent[3 * channels + c] = (float)(-(turn * t0 + bend * g0) / n);
}

// dalong = g·scale + (x − mean)·slope + offset, dx = along·turn + g·bend + (x − mean)·lean + shift, and dadd = g where it is
// given.
extern "C" __global__ void curve(const S* dy, const S* x, const S* along, const unsigned char* gates, int mode,
                                 const float* mean, const float* invstd, const float* w, const float* slope,
                                 const float* offset, const float* bent, S* dalong, S* dx, S* dadd, unsigned rows,
                                 unsigned channels, unsigned chunk) {
  Walk k(rows, channels, chunk);
  const Channels c(k, mean, invstd, w, 0);
  const float *turn = bent, *bend = bent + channels, *lean = bend + channels, *shift = lean + channels;
  for (; k.row < k.end; k.row += k.step) {
    const unsigned long long at = k.at(channels);
    float g[V], v[V], t[V], a[V], d[V];
    load(dy + at, g);
    load(x + at, v);
    load(along + at, t);
    gate(g, v, c, mode, gates, at);
    for (int i = 0; i < V; i++) {
      const unsigned j = k.channel + i;
      const float centred = v[i] - c.mean[i];
      a[i] = g[i] * c.scale[i] + (centred * slope[j] + offset[j]);
      d[i] = t[i] * turn[j] + g[i] * bend[j] + (centred * lean[j] + shift[j]);
    }
    store(dalong + at, a);
    store(dx + at, d);
    if (dadd) store(dadd + at, g);
  }
}

// ⟨a,a⟩, ⟨a,b⟩ and ⟨b,b⟩ of each sample of so many vectors; a block a sample.
extern "C" __global__ void row_dots(const S* a, const S* b, unsigned vectors, double* aa, double* ab, double* bb) {
  __shared__ double all[3][THREADS];
  const unsigned me = threadIdx.x, width = blockDim.x;
  double sum[3] = {0, 0, 0};
  for (unsigned j = me; j < vectors; j += width) {
    const unsigned long long at = ((unsigned long long)blockIdx.x * vectors + j) * V;
    float u[V], v[V], part[3] = {0, 0, 0};
    load(a + at, u);
    load(b + at, v);
    for (int i = 0; i < V; i++) {
      part[0] += u[i] * u[i];
      part[1] += u[i] * v[i];
      part[2] += v[i] * v[i];
    }
    for (int i = 0; i < 3; i++) sum[i] += part[i];
  }
  for (int i = 0; i < 3; i++) all[i][me] = sum[i];
  for (unsigned half = width / 2; half > 0; half /= 2) {
    __syncthreads();
    for (int i = 0; i < 3 && me < half; i++) all[i][me] += all[i][me + half];
  }
  if (me > 0) return;
  aa[blockIdx.x] = all[0][0];
  ab[blockIdx.x] = all[1][0];
  bb[blockIdx.x] = all[2][0];
}

// y = x + p·a + q·b, with a coefficient a sample of so many vectors; no x counts as zero. A column of blocks a sample.
extern "C" __global__ void add_rows(const S* x, const S* a, const S* b, const double* p, const double* q, S* y,
                                    unsigned vectors) {
  const float s = (float)p[blockIdx.y], r = (float)q[blockIdx.y];
  for (unsigned j = blockIdx.x * blockDim.x + threadIdx.x; j < vectors; j += gridDim.x * blockDim.x) {
    const unsigned long long at = ((unsigned long long)blockIdx.y * vectors + j) * V;
    float o[V] = {}, u[V], v[V];
    if (x) load(x + at, o);
    load(a + at, u);
    load(b + at, v);
    for (int i = 0; i < V; i++) o[i] = o[i] + s * u[i] + r * v[i];
    store(y + at, o);
  }
}

// k×k windows over maps of h×w, one for each of oh×ow results. A choice is the position within its window, row by row, in a
// byte. Rows are results, or, for the adjoint, places.
struct Windows { unsigned h, w, oh, ow, k, stride, padding; };
struct __align__(8) Choices { unsigned char v[V]; };

// The part of a result's window that lies on the map: positions [from, to) on each side, and where position 0 is.
struct Window {
  int a, b, a_to, b_to, top, left;
  unsigned long long map;  // the first place of the result's map
  __device__ Window(const Windows& g, unsigned row) {
    top = (int)(row / g.ow % g.oh * g.stride) - (int)g.padding;
    left = (int)(row % g.ow * g.stride) - (int)g.padding;
    map = (unsigned long long)(row / g.ow / g.oh) * g.h * g.w;
    a = top < 0 ? -top : 0;
    b = left < 0 ? -left : 0;
    a_to = top + (int)g.k < (int)g.h ? (int)g.k : (int)g.h - top;
    b_to = left + (int)g.k < (int)g.w ? (int)g.k : (int)g.w - left;
  }
  __device__ unsigned long long at(const Windows& g, int i, int j) const {
    return map + (unsigned long long)(top + i) * g.w + (unsigned)(left + j);
  }
};

// Maxima and their choices. The first of equals wins, and NaN over all.
extern "C" __global__ void maxima(const S* x, unsigned char* choice, S* y, Windows g, unsigned rows, unsigned channels,
                                  unsigned chunk) {
  Walk k(rows, channels, chunk);
  for (; k.row < k.end; k.row += k.step) {
    const Window o(g, k.row);
    float best[V], v[V];
    Choices chosen;
    for (int a = o.a; a < o.a_to; a++)
      for (int b = o.b; b < o.b_to; b++) {
        load(x + o.at(g, a, b) * channels + k.channel, v);
        for (int i = 0; i < V; i++) {
          if ((a > o.a || b > o.b) && !(v[i] > best[i] || v[i] != v[i])) continue;
          best[i] = v[i];
          chosen.v[i] = (unsigned char)(a * (int)g.k + b);
        }
      }
    store(y + k.at(channels), best);
    *(Choices*)(choice + k.at(channels)) = chosen;
  }
}

// What x has at recorded choices.
extern "C" __global__ void taken(const S* x, const unsigned char* choice, S* y, Windows g, unsigned rows, unsigned channels,
                                 unsigned chunk) {
  Walk k(rows, channels, chunk);
  for (; k.row < k.end; k.row += k.step) {
    const Window o(g, k.row);
    const Choices chosen = *(const Choices*)(choice + k.at(channels));
    Pack out;
    for (int i = 0; i < V; i++)
      out.v[i] = x[o.at(g, chosen.v[i] / (int)g.k, chosen.v[i] % (int)g.k) * channels + k.channel + i];
    *(Pack*)(y + k.at(channels)) = out;
  }
}

// The adjoint of taken. Every place collects from the windows over it, always in one order.
extern "C" __global__ void given(const S* dy, const unsigned char* choice, S* dx, Windows g, unsigned rows, unsigned channels,
                                 unsigned chunk) {
  Walk k(rows, channels, chunk);
  for (; k.row < k.end; k.row += k.step) {
    const unsigned w = k.row % g.w + g.padding, h = k.row / g.w % g.h + g.padding, n = k.row / g.w / g.h;
    float sum[V] = {}, d[V];
    for (unsigned i = h < g.k ? 0 : (h - g.k) / g.stride + 1; i < g.oh && i * g.stride <= h; i++)
      for (unsigned j = w < g.k ? 0 : (w - g.k) / g.stride + 1; j < g.ow && j * g.stride <= w; j++) {
        const unsigned long long at = (((unsigned long long)n * g.oh + i) * g.ow + j) * channels + k.channel;
        const unsigned position = (h - i * g.stride) * g.k + w - j * g.stride;
        const Choices chosen = *(const Choices*)(choice + at);
        load(dy + at, d);
        for (int c = 0; c < V; c++)
          if (chosen.v[c] == position) sum[c] += d[c];
      }
    store(dx + k.at(channels), sum);
  }
}
