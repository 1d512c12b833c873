//go:build !lazyengine

// The OpenMP team that computes: what the environment must not do to it, and how many threads come when it is called.
#include <dlfcn.h>
#include <pthread.h>

#include <mutex>
#include <condition_variable>
#include <vector>


extern "C" void lt_steady_team(void);

namespace {

// libgomp is libtorch's: asked for by name, so that no second copy is linked beside the one in libtorch's own package.
template <class F>
F* named(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
}

using Parallel = void(void (*)(void*), void*, unsigned, unsigned);

struct Roll {
  int asked;
  int came = 0;
  std::mutex mutex;
};

void answer(void* data) {
  auto* roll = static_cast<Roll*>(data);
  std::lock_guard<std::mutex> lock(roll->mutex);
  roll->came++;
}

void* call(void* data) {
  lt_steady_team();
  named<Parallel>("GOMP_parallel")(answer, data, static_cast<unsigned>(static_cast<Roll*>(data)->asked), 0);
  return nullptr;
}

struct Gate {
  std::mutex mutex;
  std::condition_variable opened;
  bool open = false;
};

void* stand(void* data) {
  auto* gate = static_cast<Gate*>(data);
  std::unique_lock<std::mutex> lock(gate->mutex);
  gate->opened.wait(lock, [gate] { return gate->open; });
  return nullptr;
}

}  // namespace

// Known to team.go alone, and nothing here knows tensors: so it needs no header.
extern "C" {

// OpenBLAS sizes its work by the team that it asked for and waits for ever for members that did not come. Both settings
// are kept per thread, so every thread that a goroutine is pinned to is told.
void lt_steady_team(void) {
  static auto* const dynamic = named<void(int)>("omp_set_dynamic");
  static auto* const levels = named<void(int)>("omp_set_max_active_levels");
  static auto* const active = named<int(void)>("omp_get_max_active_levels");
  if (dynamic) dynamic(0);
  if (levels && active && active() < 1) levels(1);
}

int lt_thread_limit(void) {
  auto* limit = named<int(void)>("omp_get_thread_limit");
  return limit ? limit() : 0x7fffffff;
}

// A team stays with the OS thread that called it, and libgomp counts the members of all teams: with more of them than cores it
// lets no thread spin at a barrier, which costs a step of small operations a tenth or more. So the roll is called from a
// thread that ends, and its team ends with it.
int lt_muster(int n) {
  if (n < 2 || !named<Parallel>("GOMP_parallel")) return n;
  Roll roll{n};
  pthread_t caller;
  if (pthread_create(&caller, nullptr, call, &roll)) return 1;
  pthread_join(caller, nullptr);
  return roll.came;
}

int lt_spare_threads(int most) {
  Gate gate;
  std::vector<pthread_t> threads;
  for (int i = 0; i < most; i++) {
    pthread_t t;
    if (pthread_create(&t, nullptr, stand, &gate)) break;
    threads.push_back(t);
  }
  {
    std::lock_guard<std::mutex> lock(gate.mutex);
    gate.open = true;
  }
  gate.opened.notify_all();
  for (auto t : threads) pthread_join(t, nullptr);
  return static_cast<int>(threads.size());
}

const char* lt_blas_kernel(void) {
  auto* f = named<char*(void)>("openblas_get_corename");
  return f ? f() : "";
}

}  // extern "C"
