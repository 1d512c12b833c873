// Elements by their address: the one way in which kernels of ours get at them.
#pragma once
#include <ATen/core/Tensor.h>

#include <type_traits>

// The address of the first element of a tensor of type E, or of any type for void; null for no tensor. A tensor of another
// device is refused: the processor cannot reach it, and the program would end without a word.
template <class E = void>
E* host(const at::Tensor& t) {
  if (!t.defined()) return nullptr;
  TORCH_CHECK(t.device().is_cpu(), "a kernel for the CPU was given a tensor on ", t.device());
  if constexpr (std::is_void_v<E>) return t.data_ptr();
  else return t.data_ptr<E>();
}
