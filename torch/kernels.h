// The switch between kernels of ours and what they replace.
#pragma once
#include <cstdlib>
#include <cstring>

// LOCUS_KERNELS=off leaves everything to compositions of libtorch's operations, on every device: to find out whether a
// kernel is at fault, and to test what takes over where a kernel does not fit.
inline bool own_kernels() {
  static const bool on = [] {
    const char* choice = std::getenv("LOCUS_KERNELS");
    return !choice || std::strcmp(choice, "off") != 0;
  }();
  return on;
}
