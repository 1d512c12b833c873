//go:build !lazyengine

// CUDA without its headers or its compiler: libtorch's half for it is loaded at run time, and all that is asked of it goes
// through libtorch's own interfaces for accelerators, or through the driver's C functions.
#include "aten.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <link.h>
#include <torch/version.h>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <ATen/DeviceAccelerator.h>
#define LT_ACCELERATOR 1
#endif

#include "call.h"
#include "device.h"

namespace {

bool loaded = false;  // libtorch's half for CUDA; set once, before anything else runs

// The folder that libtorch_cpu was loaded from: its other half is of the same release only there.
std::string home() {
  std::string found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        const std::string path = info->dlpi_name;
        const auto slash = path.rfind("/libtorch_cpu.so");
        if (slash == std::string::npos) return 0;
        *static_cast<std::string*>(out) = path.substr(0, slash);
        return 1;
      },
      &found);
  return found;
}

template <class F>
F in(const char* library, const char* name) {
  void* handle = dlopen(library, RTLD_NOW);
  return handle ? reinterpret_cast<F>(dlsym(handle, name)) : nullptr;
}

#ifdef LT_ACCELERATOR
c10::CachingDeviceAllocator::DeviceStats statistics(at::Device device) {
  at::globalContext().lazyInitDevice(device.type());
  return at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
}
#endif

}  // namespace

bool lt_has_driver(void) { return dlopen("libcuda.so.1", RTLD_NOW) != nullptr; }

char* lt_load_cuda(void) {
#ifdef LT_ACCELERATOR
  const auto folder = home(), path = folder + "/libtorch_cuda.so";
  if (FILE* f = fopen(path.c_str(), "rb")) {
    fclose(f);
  } else {
    return strdup(("this libtorch is for the CPU only: " + folder + " has no libtorch_cuda.so").c_str());
  }
  loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return loaded ? nullptr : strdup(dlerror());
#else
  return strdup("this libtorch is " TORCH_VERSION ": CUDA needs 2.9 or newer");
#endif
}

char* lt_driver(void) {
  char release[80] = "";
  if (auto start = in<int (*)()>("libnvidia-ml.so.1", "nvmlInit_v2"); start && start() == 0) {
    if (auto ask = in<int (*)(char*, unsigned)>("libnvidia-ml.so.1", "nvmlSystemGetDriverVersion")) ask(release, sizeof release);
  }
  return strdup(release);
}

int lt_cuda_version(void) { return loaded ? static_cast<int>(at::detail::getCUDAHooks().versionCUDART()) : 0; }
int lt_cudnn_version(void) {
  return loaded && at::detail::getCUDAHooks().hasCuDNN() ? static_cast<int>(at::detail::getCUDAHooks().versionCuDNN()) : 0;
}
int lt_cards(void) { return loaded ? at::detail::getCUDAHooks().getNumGPUs() : 0; }

bool lt_card(int i, char* name, int room, int64_t* total) {
  const char* driver = "libcuda.so.1";
  auto start = in<int (*)(unsigned)>(driver, "cuInit");
  auto get = in<int (*)(int*, int)>(driver, "cuDeviceGet");
  auto named = in<int (*)(char*, int, int)>(driver, "cuDeviceGetName");
  auto size = in<int (*)(size_t*, int)>(driver, "cuDeviceTotalMem_v2");
  int device = 0;
  size_t bytes = 0;
  if (!start || !get || !named || !size || start(0) || get(&device, i) || named(name, room, device) || size(&bytes, device))
    return false;
  *total = static_cast<int64_t>(bytes);
  return true;
}

void lt_set_arithmetic(bool tf32, bool deterministic) {
  auto& context = at::globalContext();
#ifdef LT_ACCELERATOR
  const auto precision = tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
  for (auto op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL})
    context.setFloat32Precision(at::Float32Backend::CUDA, op, precision);
#endif
  context.setDeterministicCuDNN(deterministic);
  context.setBenchmarkCuDNN(!deterministic);
}

char* lt_synchronize(int device) {
  return call(false, [&] {
#ifdef LT_ACCELERATOR
    if (device > 0) at::accelerator::synchronizeDevice(device_of(device).index());
#endif
  });
}

char* lt_memory(int device, int64_t* live, int64_t* peak, int64_t* total, int64_t* free_) {
  return call(false, [&] {
    TORCH_CHECK(device > 0, "memory: of the CPU it is the meter that counts");
#ifdef LT_ACCELERATOR
    const auto at = device_of(device);
    // What tensors asked for: allocated_bytes is the same rounded up to 512 a tensor.
    const auto bytes = statistics(at).requested_bytes[0];
    *live = bytes.current;
    *peak = bytes.peak;
    const auto [left, all] = at::getDeviceAllocator(at.type())->getMemoryInfo(at.index());
    *total = static_cast<int64_t>(all);
    *free_ = static_cast<int64_t>(left);
#endif
  });
}

char* lt_reset_peak_of(int device) {
  return call(false, [&] {
#ifdef LT_ACCELERATOR
    const auto at = device_of(device);
    statistics(at);
    at::getDeviceAllocator(at.type())->resetPeakStats(at.index());
#endif
  });
}
