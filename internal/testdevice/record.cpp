#include "record.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <atomic>
#include <cstring>
#include <set>
#include <mutex>

#include "../../torch/recorder.h"
#include "counts.h"
#include "memory.h"
#include "stream.h"
#include "testdevice.h"

namespace testdevice {
namespace {

struct Graph {
  struct Work {
    std::vector<std::shared_ptr<void>> memory;  // that it is done on and that was made by others before it
    std::vector<std::weak_ptr<void>> inputs;    // that was there before: CUDA, too, reads it where it was, alive or not
    std::function<void()> run;
    int threads;  // of the thread that it came from: a gradient's has another number, and sums have other bits with it
  };
  std::vector<Work> works;
  int64_t began;    // what is younger was made by the work itself
  Contents before;  // of the device's memory; only while it is recorded
  std::shared_ptr<std::set<Graph*>> group = std::make_shared<std::set<Graph*>>();  // that work in the same memory

  Graph() : began(made()), before(contents()) {}
  ~Graph() { group->erase(this); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
};

std::mutex mutex;
std::atomic<Graph*> under_way{nullptr};

char* begin(int, void* beside, void** graph) {
  auto* g = new Graph;
  if (beside) g->group = static_cast<Graph*>(beside)->group;
  g->group->insert(g);
  under_way = g;
  *graph = g;
  return nullptr;
}
char* end(void* graph) {
  auto& g = *static_cast<Graph*>(graph);
  under_way = nullptr;
  restore(g.before);
  g.before.clear();
  return nullptr;
}
char* launch(void* graph) {
  launched("graph");
  const at::AutoDispatchBelowADInplaceOrView below;  // as the calls were that it repeats
  const auto& works = static_cast<Graph*>(graph)->works;
  for (const auto& w : works)
    for (const auto& input : w.inputs)
      if (input.expired()) return strdup("test device: what the recording reads was freed");
  for (const Graph* other : *static_cast<Graph*>(graph)->group)
    if (other != graph)
      for (const auto& w : other->works)
        for (const auto& memory : w.memory) spoil(memory);
  const int own = at::get_num_threads();
  for (const auto& w : works) {
    if (at::get_num_threads() != w.threads) at::set_num_threads(w.threads);
    w.run();
  }
  at::set_num_threads(own);
  return nullptr;
}
void drop(void* graph) { delete static_cast<Graph*>(graph); }

constexpr lt_recorder kRecorder = {begin, end, launch, drop};

}  // namespace

bool recording() { return under_way.load() != nullptr; }

void record(const std::vector<at::Tensor>& on, std::function<void()> work) {
  Graph& g = *under_way.load();
  Graph::Work w{{}, {}, std::move(work), at::get_num_threads()};
  for (const auto& t : on) {
    const auto memory = memory_of(t);
    if (memory.born > g.began) w.memory.push_back(memory.share);
    else if (memory.share) w.inputs.push_back(memory.share);
  }
  std::lock_guard<std::mutex> lock(mutex);  // a gradient is found on a thread of libtorch's
  g.works.push_back(std::move(w));
}

}  // namespace testdevice

// package torch asks for it by this name
extern "C" const lt_recorder* locus_test_recorder(void) { return &testdevice::kRecorder; }
