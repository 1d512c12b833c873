//go:build !lazyengine

// Work of a device that is recorded once and launched as a whole.
#include "aten.h"

#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "call.h"
#include "device.h"
#include "recorder.h"

// The test device's, in a program that has that.
extern "C" __attribute__((weak)) const lt_recorder* locus_test_recorder(void);

namespace {


// CUDA's lies beside the engine, where somebody has built it.
const lt_recorder* of_cuda(std::string* why) {
  static std::string trouble;
  static const lt_recorder* found = [] {
    Dl_info here;
    std::string path = dladdr(reinterpret_cast<void*>(&lt_graph_begin), &here) ? here.dli_fname : "";
    path = path.substr(0, path.rfind('/') + 1) + "liblocus_graphs.so";
    void* library = dlopen(path.c_str(), RTLD_NOW);
    if (!library) trouble = dlerror();
    auto get = library ? reinterpret_cast<const lt_recorder* (*)()>(dlsym(library, "locus_graphs")) : nullptr;
    return get ? get() : nullptr;
  }();
  *why = trouble;
  return found;
}

const lt_recorder* recorder_of(at::Device d, std::string* why) {
  *why = "this device does not record";
  if (d.is_cuda()) return of_cuda(why);
  return !d.is_cpu() && locus_test_recorder ? locus_test_recorder() : nullptr;
}

struct Graph {
  const lt_recorder* recorder;
  void* graph = nullptr;
  std::mutex guard;  // gradients are found on a thread of libtorch's
  std::vector<at::Tensor> kept;
};

std::atomic<Graph*> under_way{nullptr};
thread_local bool by_us = false;  // this thread records; others work on as they like

Graph& G(lt_graph g) { return *reinterpret_cast<Graph*>(g); }

// Hands on what a recorder says.
void must(char* text) {
  if (!text) return;
  const std::string message = text;
  free(text);
  TORCH_CHECK(false, message);
}

}  // namespace

void refuse_recording(const char* what) {
  TORCH_CHECK(!by_us, what, " cannot be recorded: each launch would repeat the same numbers");
}

void keep_for_recording(const at::Tensor& t) {
  if (auto* g = under_way.load()) {
    std::lock_guard<std::mutex> lock(g->guard);
    g->kept.push_back(t);
  }
}

char* lt_records(int device) {
  std::string why;
  return strdup(recorder_of(device_of(device), &why) ? "" : why.c_str());
}

char* lt_graph_begin(int device, lt_graph beside, lt_graph* out) {
  return call(false, [&] {
    const auto d = device_of(device);
    std::string why;
    const lt_recorder* recorder = recorder_of(d, &why);
    TORCH_CHECK(recorder, why);
    auto g = std::make_unique<Graph>();
    g->recorder = recorder;
    Graph* none = nullptr;
    TORCH_CHECK(under_way.compare_exchange_strong(none, g.get()), "another recording is under way in this process");
    if (char* text = recorder->begin(d.index(), beside ? G(beside).graph : nullptr, &g->graph)) {
      under_way = nullptr;
      must(text);
    }
    by_us = true;
    *out = reinterpret_cast<lt_graph>(g.release());
  });
}
char* lt_graph_end(lt_graph g) {
  return call(false, [&] {
    under_way = nullptr;
    by_us = false;
    must(G(g).recorder->end(G(g).graph));
  });
}
char* lt_graph_launch(lt_graph g) {
  return call(false, [&] { must(G(g).recorder->launch(G(g).graph)); });
}
void lt_graph_free(lt_graph g) {
  G(g).recorder->drop(G(g).graph);
  delete &G(g);
}
