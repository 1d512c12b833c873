//go:build !lazyengine

// norm_simd.h, compiled once for each instruction set; the processor chooses.
#include "norm_kernel.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>

#define NORM_ISA avx512
#define NORM_CLOSED(v) _mm512_cmp_ps_mask((__m512)(v), _mm512_setzero_ps(), _CMP_LE_OQ)
#define NORM_SHUT(v, m) (F) _mm512_mask_mov_ps((__m512)(v), m, _mm512_setzero_ps())
#define NORM_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,prefer-vector-width=512")))
#define NORM_WIDTH 16
#define NORM_COLUMNS 8
#include "norm_simd.h"

#define NORM_ISA avx2
#define NORM_CLOSED(v) _mm256_movemask_ps((__m256)((v) <= 0))
#define NORM_TARGET __attribute__((target("avx2,fma")))
#define NORM_WIDTH 8
#define NORM_COLUMNS 4
#include "norm_simd.h"
#endif

#define NORM_ISA portable
#define NORM_TARGET
#define NORM_WIDTH 8
#define NORM_COLUMNS 4
#include "norm_simd.h"

namespace norm {

int64_t block_size(int64_t period) {
  return period * std::min<int64_t>(128, std::max<int64_t>(8, 32768 / period));
}

// The vector instructions that may be used: 512 or 256 bits wide, or whatever the compiler targets. libtorch's own
// environment variable lowers it.
static int width() {
  const char* limit = getenv("ATEN_CPU_CAPABILITY");
  const bool narrow = limit && !strcmp(limit, "avx2"), none = limit && !strcmp(limit, "default");
#if defined(__x86_64__)
  if (!narrow && !none && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return 512;
  if (!none && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
#endif
  return 0;
}

const Kernels& kernels() {
  static const int bits = width();
  switch (bits) {
#if defined(__x86_64__)
    case 512: return avx512::table;
    case 256: return avx2::table;
#endif
    default: return portable::table;
  }
}

}  // namespace norm
