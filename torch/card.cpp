//go:build !lazyengine

#include "card.h"

#include <dirent.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>

#include "call.h"
#include "device.h"
#include "kernels.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <ATen/DeviceAccelerator.h>
#define LT_ACCELERATOR 1
#endif

namespace card {
namespace {

std::string source;  // card.cu; Go has it embedded and sets it before anything else runs

[[noreturn]] void fail(const std::string& text) { throw std::runtime_error(text); }

// A function of a shared library, whose address is looked up once.
template <class F>
struct Function;
template <class... A>
struct Function<int(A...)> {
  int (*at)(A...);
  Function(void* library, const char* name) : at(library ? reinterpret_cast<int (*)(A...)>(dlsym(library, name)) : nullptr) {
    if (!at) fail(std::string(name) + " is not there");
  }
  int operator()(A... arguments) const { return at(arguments...); }
};

// ---- the compiler

// libtorch's own library of NVRTC's functions comes first: it finds the one that belongs to that libtorch.
void* nvrtc() {
  static void* const library = [] {
    for (const char* name : {"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}) {
      void* handle = dlopen(name, RTLD_NOW);
      void* found = handle ? dlsym(handle, "nvrtcCreateProgram") : nullptr;
      Dl_info info{};
      if (!found || !dladdr(found, &info)) continue;
      // NVRTC opens a second library by its bare name. Where that is in no search path, it must be loaded already.
      const std::string path = info.dli_fname, folder = path.substr(0, path.rfind('/') + 1);
      if (DIR* d = opendir(folder.c_str())) {
        while (const dirent* e = readdir(d))
          if (std::strncmp(e->d_name, "libnvrtc-builtins.so", 20) == 0) dlopen((folder + e->d_name).c_str(), RTLD_NOW);
        closedir(d);
      }
      return handle;
    }
    return static_cast<void*>(nullptr);
  }();
  return library;
}

// ---- the driver

using Handle = void*;  // of a context, module, function or stream

struct Driver {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  Function<int(unsigned)> init{library, "cuInit"};
  Function<int(int*, int)> device{library, "cuDeviceGet"};
  Function<int(int*, int, int)> attribute{library, "cuDeviceGetAttribute"};
  Function<int(Handle*, int)> retain{library, "cuDevicePrimaryCtxRetain"};
  Function<int(Handle)> push{library, "cuCtxPushCurrent_v2"};
  Function<int(Handle*)> pop{library, "cuCtxPopCurrent_v2"};
  Function<int(Handle*, const void*)> load{library, "cuModuleLoadData"};
  Function<int(Handle*, Handle, const char*)> find{library, "cuModuleGetFunction"};
  Function<int(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Handle, void**, void**)> launch{
      library, "cuLaunchKernel"};
};

const Driver& driver() {
  static const Driver d;
  return d;
}

void must(int code, const char* what) {
  if (code != 0) fail(std::string(what) + " failed with CUDA's error " + std::to_string(code));
}

// Makes a device's context the calling thread's for a while. libtorch's is the same one, but need not be current on a thread
// that has not asked the runtime for anything yet.
struct Current {
  explicit Current(Handle context) { must(driver().push(context), "cuCtxPushCurrent"); }
  ~Current() {
    Handle context;
    driver().pop(&context);
  }
};

struct Kernels {
  std::string trouble;
  Handle context = nullptr, modules[2] = {};  // float32 and bfloat16
  std::map<std::string, Handle> functions[2];

  explicit Kernels(int index) {
    try {
      load(index);
    } catch (const std::exception& e) {
      trouble = e.what();
    }
  }

  void load(int index) {
#ifdef LT_ACCELERATOR
    if (!own_kernels()) fail("LOCUS_KERNELS is off");
    constexpr int kMajor = 75, kMinor = 76;  // attributes: the compute capability
    int device = 0, major = 0, minor = 0;
    must(driver().init(0), "cuInit");
    must(driver().device(&device, index), "cuDeviceGet");
    must(driver().attribute(&major, kMajor, device), "cuDeviceGetAttribute");
    must(driver().attribute(&minor, kMinor, device), "cuDeviceGetAttribute");
    must(driver().retain(&context, device), "cuDevicePrimaryCtxRetain");
    const Current current(context);
    for (int bf16 = 0; bf16 < 2; bf16++) {
      std::string image;
      const auto text = compiles("sm_" + std::to_string(10 * major + minor), bf16, &image);
      if (!text.empty()) fail(text);
      must(driver().load(&modules[bf16], image.data()), "cuModuleLoadData");
      for (const char* name : {"moments", "statistics", "forward", "sums", "gradients", "backward", "tangent", "bends", "curve",
                               "row_dots", "add_rows", "maxima", "taken", "given"})
        must(driver().find(&functions[bf16][name], modules[bf16], name), name);
    }
#else
    fail("libtorch " TORCH_VERSION " has no CUDA that this program can use");
#endif
  }
};

// Of one device; made at the first ask, and never destroyed: the driver may be gone before.
const Kernels& of(at::Device device) {
  static std::mutex guard;
  static auto& all = *new std::map<int, Kernels>;
  const std::lock_guard<std::mutex> lock(guard);
  const int index = device.has_index() ? device.index() : 0;
  const auto found = all.find(index);
  return found != all.end() ? found->second : all.emplace(index, index).first->second;
}

Handle stream(at::Device device) {
#ifdef LT_ACCELERATOR
  const auto s = at::accelerator::getCurrentStream(device.index());
  return s.id() == 0 ? nullptr : s.native_handle();  // 0 is CUDA's default stream
#else
  return nullptr;
#endif
}

}  // namespace

std::string compiles(const std::string& architecture, bool bf16, std::string* image) {
  if (!nvrtc()) return "libnvrtc is not there";
  using Program = void*;
  const Function<int(Program*, const char*, const char*, int, const char* const*, const char* const*)> create{
      nvrtc(), "nvrtcCreateProgram"};
  const Function<int(Program, int, const char* const*)> compile{nvrtc(), "nvrtcCompileProgram"};
  const Function<int(Program, size_t*)> log_size{nvrtc(), "nvrtcGetProgramLogSize"}, size{nvrtc(), "nvrtcGetCUBINSize"};
  const Function<int(Program, char*)> log{nvrtc(), "nvrtcGetProgramLog"}, get{nvrtc(), "nvrtcGetCUBIN"};
  const Function<int(Program*)> destroy{nvrtc(), "nvrtcDestroyProgram"};
  Program program = nullptr;
  if (create(&program, source.c_str(), "card.cu", 0, nullptr, nullptr)) return "nvrtcCreateProgram failed";
  const std::string target = "--gpu-architecture=" + architecture;
  const char* options[] = {target.c_str(), "-DBF16"};
  std::string text;
  if (const int code = compile(program, bf16 ? 2 : 1, options)) {
    size_t n = 0;
    log_size(program, &n);
    text.resize(n);
    log(program, text.data());
    text = "NVRTC's error " + std::to_string(code) + " for " + architecture + ": " + text.c_str();
  } else {
    size_t n = 0;
    size(program, &n);
    image->resize(n);
    get(program, image->data());
  }
  destroy(&program);
  return text;
}

const std::string& trouble(at::Device device) { return of(device).trouble; }

bool takes(const at::Tensor& t) {
  return t.device().is_cuda() && (t.scalar_type() == at::kFloat || t.scalar_type() == at::kBFloat16) && t.numel() > 0 &&
         t.numel() < int64_t{1} << 31 && reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 == 0 && trouble(t.device()).empty();
}

bool takes_channels(const at::Tensor& t) { return t.dim() > 1 && t.size(1) % kVector == 0 && takes(t); }

Grid::Grid(const at::Tensor& t, bool summing) {
  channels = static_cast<unsigned>(t.size(1));
  rows = static_cast<unsigned>(t.numel() / channels);
  const unsigned vectors = channels / kVector;
  const unsigned most = summing ? 512 : 4096;  // chunks are the grid's second dimension, of which CUDA allows 65,535
  unsigned lanes = 1;
  while (lanes < 32 && lanes < vectors) lanes *= 2;
  const unsigned deep = kThreads / lanes, tiles = (vectors + lanes - 1) / lanes;
  const unsigned want = std::min((rows + deep - 1) / deep, std::max(1u, most / tiles));
  chunk = (rows + want - 1) / want;
  chunks = (rows + chunk - 1) / chunk;
  shape = {tiles, chunks, lanes, deep};
}

void start(const char* kernel, const at::Tensor& on, Shape s, void** arguments) {
  const Kernels& k = of(on.device());
  const Handle function = k.functions[on.scalar_type() == at::kBFloat16].at(kernel);
  const Current current(k.context);
  must(driver().launch(function, s.gx, s.gy, 1, s.bx, s.by, 1, 0, stream(on.device()), arguments, nullptr), kernel);
}

}  // namespace card

void lt_set_kernels(const char* text) { card::source = text; }
char* lt_kernels(int device) {
  const auto d = device_of(device);
  if (d.is_cuda()) return strdup(card::trouble(d).c_str());
  return strdup(own_kernels() ? "" : "LOCUS_KERNELS is off");
}
char* lt_kernels_compile(const char* architecture, bool bf16, int64_t* bytes) {
  std::string image;
  const auto text = [&]() -> std::string {
    try {
      return card::compiles(architecture, bf16, &image);
    } catch (const std::exception& e) {
      return e.what();
    }
  }();
  *bytes = static_cast<int64_t>(image.size());
  return strdup(text.c_str());
}
