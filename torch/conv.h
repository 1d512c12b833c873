// A convolution as libtorch has it, but for one whose gradient would write beyond its buffers.
#pragma once
#include "aten.h"

#include <cstdint>

// The pixels of x that a 1×1 convolution with a stride looks at.
inline at::Tensor looked_at(const at::Tensor& x, int64_t stride) {
  return x.slice(2, 0, INT64_MAX, stride).slice(3, 0, INT64_MAX, stride);
}

// oneDNN's backward pass of a 1×1 convolution with a stride overruns the heap for some channels that are no multiple of
// 16 with 3, 5, 6, 7 or 12 threads; seen in libtorch 1.13 and 2.15. Without a stride it does not. Other devices have other
// kernels.
inline bool overruns(const at::Tensor& x, const at::Tensor& w, int64_t stride, int64_t padding) {
  return x.is_cpu() && stride > 1 && padding == 0 && w.size(2) == 1 && w.size(3) == 1 && x.size(1) % 16 != 0;
}

inline at::Tensor convolve(const at::Tensor& x, const at::Tensor& w, const c10::optional<at::Tensor>& b, int64_t stride,
                           int64_t padding) {
  if (overruns(x, w, stride, padding)) return at::conv2d(looked_at(x, stride), w, b);
  return at::conv2d(x, w, b, stride, padding);
}
