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
#include <cctype>
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

constexpr double kMiB = 1 << 20;

// A limit on what the process may map, how many pages of it are mapped already, by the column of /proc/self/statm, and what
// libtorch and its libraries map, in MiB, as measured with Debian's libtorch 1.13; of data a tenth more, since a small run had to go
// through. OpenBLAS maps kPerCore for each core, too.
struct MapLimit {
  int resource;
  const char *what, *flag;
  int column;
  double libraries;
};
constexpr MapLimit kMapLimits[] = {{RLIMIT_AS, "addresses", "-v", 0, 770}, {RLIMIT_DATA, "data", "-d", 5, 640}};
constexpr double kPerCore = 128;

double mappedPages(int column) {
  double pages = 0;
  if (FILE* f = std::fopen("/proc/self/statm", "r")) {
    for (int i = 0; i <= column; i++)
      if (std::fscanf(f, "%lf", &pages) != 1) pages = 0;
    std::fclose(f);
  }
  return pages;
}

[[noreturn]] void refuse(const char* what, const char* flag, double have, double need, const char* hint) {
  std::fprintf(stderr, "locus: the limit on %s (ulimit %s) is %.0f KiB: libtorch needs %.0f KiB%s\n", what, flag, have / 1024, need / 1024, hint);
  _exit(2);
}

// Where a process may map too little, OpenBLAS asks for its buffers again and again, and never ends.
void checkMapped() {
  for (const auto& l : kMapLimits) {
    rlimit limit;
    if (getrlimit(l.resource, &limit) || limit.rlim_cur == RLIM_INFINITY) continue;
    const double need = mappedPages(l.column) * sysconf(_SC_PAGESIZE) + kMiB * (l.libraries + kPerCore * sysconf(_SC_NPROCESSORS_ONLN));
    if (limit.rlim_cur < need)
      refuse(l.what, l.flag, limit.rlim_cur, need,
             ", most without memory behind: raise it; a control group limits memory itself, as in systemd-run --scope -p MemoryMax=2G");
  }
}

// A thread that has used up its stack ends the process without a word. Those of kLargestStack and above cannot be had for a team,
// and OpenMP ends the process.
constexpr double kSmallestStack = 256 * 1024, kLargestStack = 1024 * kMiB;

void checkStacks() {
  rlimit limit;  // also the size of the stacks of threads
  if (!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur < kSmallestStack)
    refuse("stacks", "-s", limit.rlim_cur, kSmallestStack, ": raise it");
  for (const char* name : {"OMP_STACKSIZE", "GOMP_STACKSIZE"}) {
    const char* text = getenv(name);
    if (!text || !*text) continue;
    char* end;
    double size = std::strtod(text, &end);
    while (std::isspace(static_cast<unsigned char>(*end))) end++;
    switch (std::toupper(static_cast<unsigned char>(*end))) {
      case 'B': break;
      case 'M': size *= kMiB; break;
      case 'G': size *= 1024 * kMiB; break;
      default: size *= 1024;
    }
    if (size >= kSmallestStack && size <= kLargestStack) continue;
    std::fprintf(stderr, "warning: %s=%.20s is not taken: the stack of a thread must have from 256K to 1G\n", name, text);
    unsetenv(name);
  }
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
    checkMapped();
    checkStacks();
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
