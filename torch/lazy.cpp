//go:build lazyengine

// Loads the engine when it is first called. Half of the time that the smallest command would take goes into initialising
// libtorch, and most of the rest into finding the hundreds of libraries that a distribution's libtorch is linked with.
#include "lazy.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>
#include <torch/version.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "abi.h"
#include "shim.h"

extern "C" {
extern void locusFavour(char* kernel);  // start_lazy.go: chooses OpenBLAS's kernels
extern void locusStart(void);           // start_lazy.go: sets the engine up
}

namespace {

#define NAME_OF(x) #x
#define NAME(x) NAME_OF(x)

constexpr char kName[] = "liblocus.so";

std::atomic<bool> ready{false};
void* engine = nullptr;  // set, and its functions called, by the thread that loads, before it is ready

pthread_mutex_t* turn() {
  static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
  return &mutex;
}

// Another exit would run what libraries do at their end, some of which have not begun.
[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "locus: cannot load the engine: %s: 'make build' makes it anew\n", what.c_str());
  _exit(1);
}

// What libtorch and its libraries map, as measured with Debian's libtorch 1.13, and OpenBLAS for each core.
constexpr double kMiB = 1 << 20, kMapped = 770, kMappedCore = 128;

// Where a process may map too few addresses, OpenBLAS asks for its buffers again and again, and never ends.
void checkAddresses() {
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY) return;
  double pages = 0;
  if (FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%lf", &pages) != 1) pages = 0;
    std::fclose(f);
  }
  const double have = limit.rlim_cur / kMiB, need = pages * sysconf(_SC_PAGESIZE) / kMiB + kMapped + kMappedCore * sysconf(_SC_NPROCESSORS_ONLN);
  if (have >= need) return;
  std::fprintf(stderr,
               "locus: the limit on addresses (ulimit -v) is %.0f MiB: libtorch needs %.0f MiB of them, most without memory behind: "
               "raise it; a control group limits memory itself, as in systemd-run --scope -p MemoryMax=2G\n",
               have, need);
  _exit(2);
}

// The engine lies beside the program, or where the system keeps libraries.
void* open() {
  char program[4096];
  const auto n = readlink("/proc/self/exe", program, sizeof program);
  std::string path(program, n > 0 ? n : 0);
  path.resize(path.rfind('/') + 1);
  path += kName;
  if (access(path.c_str(), F_OK)) path = kName;
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!handle) fail(dlerror());
  return handle;
}

// OpenBLAS chooses its kernels when it is loaded. So it is asked alone what it would choose, and goes again.
void favour() {
  void* blas = dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_LOCAL);
  if (!blas) return;
  if (auto name = reinterpret_cast<char* (*)()>(dlsym(blas, "openblas_get_corename"))) locusFavour(name());
  dlclose(blas);
}

}  // namespace

extern "C" {

const char* lt_version(void) { return TORCH_VERSION; }
bool lt_loaded(void) { return ready; }

void lt_need(void) {
  if (ready.load(std::memory_order_acquire)) return;
  pthread_mutex_lock(turn());
  if (!engine) {
    checkAddresses();
    favour();
    engine = open();
    lt_symbol(NAME(ENGINE_ABI));  // which the engine of other declarations does not have
    locusStart();
    ready.store(true, std::memory_order_release);
  }
  pthread_mutex_unlock(turn());
}

void* lt_symbol(const char* name) {
  void* at = dlsym(engine, name);
  if (!at) fail(std::string(kName) + " has no " + name + " and is of another build");
  return at;
}

}  // extern "C"
