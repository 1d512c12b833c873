// Kernels of ours on CUDA devices: card.cu, compiled at run time by NVRTC, which every CUDA libtorch brings along.
#pragma once
#include "aten.h"

#include <string>

namespace card {

constexpr int64_t kVector = 8;       // elements that a thread has at a time
constexpr unsigned kThreads = 256;  // of a block

// Why the kernels cannot be used on a device; empty where they can. The first call for a device compiles them.
const std::string& trouble(at::Device device);

// Whether the kernels take a tensor: its type, device and size. Compositions of libtorch's operations take the others.
bool takes(const at::Tensor& t);

struct Shape {
  unsigned gx, gy, bx, by;  // blocks of the grid, threads of a block
};

// Whether the kernels over rows and channels take a tensor [N, C, …].
bool takes_channels(const at::Tensor& t);

// How the rows of a channels-last tensor [N, C, …] are cut into blocks. It depends on the shape alone, and so do sums to the last
// bit. Where sums are added up over the chunks, there are fewer of them.
struct Grid {
  unsigned rows, channels, chunk, chunks;
  Shape shape;

  Grid(const at::Tensor& t, bool summing);
};

// Starts a kernel on the stream that libtorch's operations use. `on` says device and type; the arguments are those of the
// kernel in card.cu, type by type.
void start(const char* kernel, const at::Tensor& on, Shape shape, void** arguments);

template <class... Arguments>
void launch(const char* kernel, const at::Tensor& on, Shape shape, Arguments... arguments) {
  void* list[] = {&arguments...};
  start(kernel, on, shape, list);
}

// The address of the first element, for a kernel's argument; null for no tensor.
inline void* address(const at::Tensor& t) { return t.defined() ? t.data_ptr() : nullptr; }

// Compiles card.cu for an architecture such as "sm_90" without loading it. Returns NVRTC's message, or nothing.
std::string compiles(const std::string& architecture, bool bf16, std::string* image);

}  // namespace card
