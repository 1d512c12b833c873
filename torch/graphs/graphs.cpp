// What records the work of CUDA devices. libtorch's headers for this need CUDA's own, which building Locus does not. So this is
// a library of its own, liblocus_graphs.so beside the engine, which scripts/graphs.sh makes where these headers are.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "../recorder.h"

namespace {

// The stream that a device's work is recorded on. There is one, since cuBLAS keeps room to work in for every stream.
c10::cuda::CUDAStream recorded_on(c10::DeviceIndex index) {
  static std::mutex guard;
  static auto& all = *new std::map<c10::DeviceIndex, c10::cuda::CUDAStream>;
  const std::lock_guard<std::mutex> lock(guard);
  const auto found = all.find(index);
  return found != all.end() ? found->second : all.emplace(index, c10::cuda::getStreamFromPool(false, index)).first->second;
}

struct Graph {
  explicit Graph(c10::DeviceIndex index)
      : device(c10::cuda::current_device()), stream(c10::cuda::getCurrentCUDAStream(index)), beside(recorded_on(index)) {}

  // Where the thread has worked, and where it works while it records: CUDA does not record its default stream.
  const c10::DeviceIndex device;
  const c10::cuda::CUDAStream stream, beside;
  at::cuda::CUDAGraph graph;

  void enter() const {
    c10::cuda::set_device(beside.device_index());
    c10::cuda::setCurrentCUDAStream(beside);
  }
  void leave() const {
    c10::cuda::setCurrentCUDAStream(stream);
    c10::cuda::set_device(device);
  }
};

Graph& G(void* graph) { return *static_cast<Graph*>(graph); }

template <class F>
char* call(F f) {
  try {
    f();
    return nullptr;
  } catch (const c10::Error& e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return strdup(e.what());
  }
}

char* begin(int index, void* other, void** out) {
  return call([&] {
    auto g = std::make_unique<Graph>(static_cast<c10::DeviceIndex>(index));
    g->enter();
    try {
      // What freed tensors have left cannot be given back while work is recorded, which has memory of its own.
      c10::cuda::device_synchronize();
      c10::cuda::CUDACachingAllocator::emptyCache();
      // Other threads go on as they like: those that record nothing, and autograd's, which finds gradients on this stream.
      g->graph.capture_begin(other ? G(other).graph.pool() : at::cuda::MempoolId_t{0, 0}, cudaStreamCaptureModeThreadLocal);
    } catch (...) {
      g->leave();
      throw;
    }
    *out = g.release();
  });
}

char* end(void* graph) {
  char* trouble = call([&] { G(graph).graph.capture_end(); });
  char* other = call([&] { G(graph).leave(); });
  if (!trouble) return other;
  free(other);
  return trouble;
}

char* launch(void* graph) {
  return call([&] { G(graph).graph.replay(); });
}

void drop(void* graph) { delete &G(graph); }

}  // namespace

extern "C" const lt_recorder* locus_graphs() {
  static constexpr lt_recorder recorder = {begin, end, launch, drop};
  return &recorder;
}
