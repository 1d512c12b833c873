// The memory meter: libtorch's CPU allocator with its size kept in front of the data, so that live and peak bytes are
// exact and repeatable.
//
// Large blocks come from an arena that keeps freed ones for the next tensor of about that size: a training step asks
// for the same sizes over and over, and fresh pages cost more than many a kernel that fills them. The arena never
// makes the process hold more than its live tensors needed at their peak.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include "shim.h"

namespace {

constexpr size_t kHeader = 64;           // also the alignment that vector kernels expect
constexpr size_t kLarge = 256 << 10;     // from here on a block is the arena's
constexpr size_t kGrain = 64 << 10;      // sizes of large blocks are multiples of this
constexpr size_t kHugePage = 2 << 20;

struct Header {
  int64_t bytes;  // that the tensor asked for
  size_t block;   // size of the whole block
};
static_assert(sizeof(Header) <= kHeader, "the header must fit in front of the data");

std::atomic<int64_t> live{0};
std::atomic<int64_t> peak{0};

void count(int64_t bytes) {
  int64_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}

class Arena {
 public:
  // Returns a block of at least size bytes and sets size to what it is, or null.
  void* take(size_t& size) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto fit = free_.lower_bound(size);
    if (fit != free_.end() && fit->first - size <= size / 8) {
      void* block = fit->second;
      size = fit->first;
      free_.erase(fit);
      cached_ -= size;
      used(size);
      return block;
    }
    // Give back before asking for more, largest first, until this block fits under the highest use so far.
    while (cached_ > 0 && used_ + cached_ + size > highest_) drop();
    void* block = map(size);
    while (!block && cached_ > 0) {
      drop();
      block = map(size);
    }
    if (block) used(size);
    return block;
  }

  void give(void* block, size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    used_ -= size;
    cached_ += size;
    free_.emplace(size, block);
  }

 private:
  static void* map(size_t size) {
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    if (size >= 2 * kHugePage) madvise(p, size, MADV_HUGEPAGE);
    return p;
  }
  void used(size_t size) {
    used_ += size;
    highest_ = std::max(highest_, used_);
  }
  void drop() {
    auto largest = std::prev(free_.end());
    munmap(largest->second, largest->first);
    cached_ -= largest->first;
    free_.erase(largest);
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> free_;
  size_t used_ = 0, cached_ = 0, highest_ = 0;
};

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
  if (n > SIZE_MAX / 2) throw std::bad_alloc();
  Header h{static_cast<int64_t>(n), n + kHeader};
  void* block = nullptr;
  if (h.block >= kLarge) {
    h.block = (h.block + kGrain - 1) / kGrain * kGrain;
    block = arena().take(h.block);
  } else if (posix_memalign(&block, kHeader, h.block) != 0) {
    block = nullptr;
  }
  if (!block) throw std::bad_alloc();
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
int64_t lt_live_bytes(void) { return live.load(); }
int64_t lt_peak_bytes(void) { return peak.load(); }
void lt_reset_peak(void) { peak.store(live.load()); }
