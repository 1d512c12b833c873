//go:build !lazyengine

// The memory meter: libtorch's CPU allocator with its size kept in front of the data, so that live and peak bytes are
// exact and repeatable. Large blocks come from an arena.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "arena.h"
#include "shim.h"

namespace {

constexpr size_t kHeader = 64;        // also the alignment that vector kernels expect
constexpr size_t kLarge = 256 << 10;  // from here on a block is the arena's

struct Header {
  int64_t bytes;  // that the tensor asked for
  size_t block;   // size of the whole block
};
static_assert(sizeof(Header) <= kHeader, "the header must fit in front of the data");

std::atomic<int64_t> live{0};
std::atomic<int64_t> peak{0};

// Says how much was asked for. Its text needs no memory of its own.
struct NoMemory final : std::bad_alloc {
  explicit NoMemory(size_t asked) {
    constexpr double kGiB = 1 << 30;
    std::snprintf(text, sizeof text, "Tried to allocate %.2f GiB. %.2f GiB is allocated", static_cast<double>(asked) / kGiB,
                  static_cast<double>(live.load()) / kGiB);
  }
  const char* what() const noexcept override { return text; }
  char text[96];
};

void count(int64_t bytes) {
  int64_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}

// Never destroyed: tensors may outlive static destructors.
Arena& arena() {
  static auto* a = new Arena;
  return *a;
}

void release(void* data) {
  if (!data) return;
  void* block = static_cast<char*>(data) - kHeader;
  const Header h = *static_cast<Header*>(block);
  live.fetch_sub(h.bytes, std::memory_order_relaxed);
  if (h.block >= kLarge) {
    arena().give(block, h.block);
  } else {
    std::free(block);
  }
}

void* obtain(size_t n) {
  if (n > SIZE_MAX / 2) throw NoMemory(n);
  Header h{static_cast<int64_t>(n), n + kHeader};
  void* block = nullptr;
  if (h.block >= kLarge) {
    h.block = Arena::rounded(h.block);
    block = arena().take(h.block);
  } else if (posix_memalign(&block, kHeader, h.block) != 0) {
    block = nullptr;
  }
  if (!block) throw NoMemory(n);
  *static_cast<Header*>(block) = h;
  count(h.bytes);
  return static_cast<char*>(block) + kHeader;
}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
#define LT_CONST
#else
#define LT_CONST const
#endif

struct Meter final : c10::Allocator {
  // The context pointer must equal the data pointer, and raw_deleter must be given: raw_allocate insists on both.
  c10::DataPtr allocate(size_t n) LT_CONST override {
    void* data = n ? obtain(n) : nullptr;
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
#if TORCH_VERSION_MAJOR >= 2
  void copy_data(void* dst, const void* src, std::size_t n) const { std::memcpy(dst, src, n); }
#endif
};

}  // namespace

void lt_meter_install(void) {
  static auto* meter = new Meter;
  c10::SetCPUAllocator(meter, /*priority=*/1);
}
int64_t lt_fresh_bytes(void) { return arena().fresh(); }
int64_t lt_live_bytes(void) { return live.load(); }
int64_t lt_peak_bytes(void) { return peak.load(); }
void lt_reset_peak(void) { peak.store(live.load()); }
