// The memory meter: libtorch's CPU allocator with its size kept in front of the data, so that live and peak bytes
// are exact and repeatable.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <torch/version.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "shim.h"

namespace {

constexpr size_t kHeader = 64;  // also the alignment that vector kernels expect

std::atomic<int64_t> live{0};
std::atomic<int64_t> peak{0};

void count(int64_t bytes) {
  int64_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}

void release(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - kHeader;
  live.fetch_sub(*reinterpret_cast<int64_t*>(block), std::memory_order_relaxed);
  std::free(block);
}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
#define LT_ALLOCATE_CONST
#else
#define LT_ALLOCATE_CONST const
#endif

struct Meter final : c10::Allocator {
  // The context pointer must equal the data pointer, and raw_deleter must be given: raw_allocate insists on both.
  c10::DataPtr allocate(size_t n) LT_ALLOCATE_CONST override {
    if (n == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    void* block = nullptr;
    if (n > SIZE_MAX - kHeader || posix_memalign(&block, kHeader, n + kHeader) != 0) throw std::bad_alloc();
    *static_cast<int64_t*>(block) = static_cast<int64_t>(n);
    count(static_cast<int64_t>(n));
    void* data = static_cast<char*>(block) + kHeader;
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
#if TORCH_VERSION_MAJOR >= 2
  void copy_data(void* dst, const void* src, std::size_t n) const { std::memcpy(dst, src, n); }
#endif
};

}  // namespace

void lt_meter_install(void) {
  static Meter meter;
  c10::SetCPUAllocator(&meter, /*priority=*/1);
}
int64_t lt_live_bytes(void) { return live.load(); }
int64_t lt_peak_bytes(void) { return peak.load(); }
void lt_reset_peak(void) { peak.store(live.load()); }
