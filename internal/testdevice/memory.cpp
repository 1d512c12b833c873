#include "memory.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>

#include "stream.h"
#include "testdevice.h"

namespace testdevice {
namespace {

constexpr int kGarbage = 0xff;  // a float of these bytes is NaN

std::atomic<int64_t> held_{0}, peak_{0}, early_{0}, made_{0};

void count(int64_t bytes) {
  const int64_t now = held_ += bytes;
  for (int64_t seen = peak_; now > seen && !peak_.compare_exchange_weak(seen, now);) {
  }
}

// A range of addresses without memory. An address is not given out again before the whole range was.
class Range {
 public:
  uintptr_t take(size_t n) {
    n = (n + kAlign - 1) / kAlign * kAlign;
    std::lock_guard<std::mutex> lock(mutex_);
    if (!begin_) {
      void* p = mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      TORCH_CHECK(p != MAP_FAILED, "test device: no range of ", kSize, " addresses");
      begin_ = reinterpret_cast<uintptr_t>(p);
    }
    TORCH_CHECK(n < kSize, "test device: ", n, " bytes in one tensor");
    if (used_ + n > kSize) used_ = 0;
    const auto at = begin_ + used_;
    used_ += n;
    return at;
  }

 private:
  static constexpr size_t kSize = size_t{1} << 40, kAlign = 4096;
  std::mutex mutex_;
  uintptr_t begin_ = 0;
  size_t used_ = 0;
};

// All blocks, with their sizes.
std::mutex blocks_mutex;
std::map<char*, size_t>& blocks() {
  static auto* all = new std::map<char*, size_t>;  // tensors may outlive static destructors
  return *all;
}

// What stands behind an address.
struct Block {
  explicit Block(size_t n) : size(n), bytes(new char[n]), early(beside()), born(++made_) {
    std::memset(bytes.get(), kGarbage, n);
    count(static_cast<int64_t>(n));
    std::lock_guard<std::mutex> lock(blocks_mutex);
    blocks()[bytes.get()] = n;
  }
  ~Block() {
    count(-static_cast<int64_t>(size));
    early_ += early;
    std::lock_guard<std::mutex> lock(blocks_mutex);
    blocks().erase(bytes.get());
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const size_t size;
  const std::unique_ptr<char[]> bytes;
  bool early;  // were it freed now
  const int64_t born;
};

// A storage has a share in its block; a recording may have others.
using Share = std::shared_ptr<Block>;
void release(void* share) { delete static_cast<Share*>(share); }

#if __has_include(<ATen/DeviceAccelerator.h>)  // libtorch 2.x: no longer const, one function more
#define TESTDEVICE_CONST
#else
#define TESTDEVICE_CONST const
#endif

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t n) TESTDEVICE_CONST override {
    if (n == 0) return {nullptr, nullptr, nullptr, device()};
    static auto* range = new Range;  // tensors may outlive static destructors
    auto share = std::make_unique<Share>(std::make_shared<Block>(n));
    return {reinterpret_cast<void*>(range->take(n)), share.release(), &release, device()};
  }
  void copy_data(void*, const void*, std::size_t) const { TORCH_CHECK(false, "test device: copies go through tensors"); }
};

Share share_of(const c10::DataPtr& data) {
  const auto* share = data.cast_context<Share>(&release);
  return share ? *share : nullptr;
}

char* bytes_of(const c10::Storage& s) {
  const auto block = share_of(s.data_ptr());
  return block ? block->bytes.get() : nullptr;
}

struct Register {
  Register() { c10::SetAllocator(kType, allocator()); }
} registered;

}  // namespace

c10::Allocator* allocator() {
  static auto* a = new DeviceAllocator;
  return a;
}

int64_t held() { return held_; }
int64_t peak() { return peak_; }
void keep(const c10::DataPtr& data) {
  if (const auto block = share_of(data)) block->early = false;
}
Memory memory_of(const at::Tensor& t) {
  const auto block = is_on(t) ? share_of(t.storage().data_ptr()) : nullptr;
  return block ? Memory{block, block->born} : Memory{};
}
void spoil(const std::shared_ptr<void>& share) {
  if (const auto* block = static_cast<const Block*>(share.get())) std::memset(block->bytes.get(), kGarbage, block->size);
}
int64_t made() { return made_; }

Contents contents() {
  std::lock_guard<std::mutex> lock(blocks_mutex);
  Contents all;
  for (const auto& [bytes, n] : blocks()) all.emplace(bytes, std::vector<char>(bytes, bytes + n));
  return all;
}
void restore(const Contents& before) {
  std::lock_guard<std::mutex> lock(blocks_mutex);
  for (const auto& [bytes, n] : blocks()) {
    const auto found = before.find(bytes);
    if (found != before.end() && found->second.size() == n) std::memcpy(bytes, found->second.data(), n);
    else std::memset(bytes, kGarbage, n);
  }
}

int64_t freed_early() { return early_; }
void reset_peak() { peak_ = held_.load(); }

at::Tensor make(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type) {
  const auto n = at::detail::computeStorageNbytes(sizes, strides, c10::elementSize(type));
  auto storage = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), n, allocator()->allocate(n),
                                                       allocator(), /*resizable=*/true);
  auto t = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKey::PrivateUse1,
                                                    c10::scalarTypeToTypeMeta(type));
  t.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
  return t;
}

at::Tensor real(const at::Tensor& t) {
  if (!is_on(t)) return t;
  c10::DataPtr data(bytes_of(t.storage()), c10::Device(c10::DeviceType::CPU));
  auto storage = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), t.storage().nbytes(),
                                                       std::move(data), c10::GetCPUAllocator(), /*resizable=*/true);
  auto r = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKey::CPU, t.dtype());
  r.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  return r;
}

void follow(const at::Tensor& t, const at::Tensor& r) {
  if (!is_on(t)) return;
  const auto& from = r.storage();
  if (from.data() != bytes_of(t.storage())) {  // it has grown, into memory of the CPU
    auto* storage = t.storage().unsafeGetStorageImpl();
    storage->set_data_ptr_noswap(allocator()->allocate(from.nbytes()));
    storage->set_nbytes(from.nbytes());
    if (from.nbytes()) std::memcpy(bytes_of(t.storage()), from.data(), from.nbytes());
  }
  if (t.sizes() != r.sizes() || t.strides() != r.strides() || t.storage_offset() != r.storage_offset())
    t.unsafeGetTensorImpl()->set_sizes_and_strides(r.sizes(), r.strides(), r.storage_offset());
}

at::Tensor carry(const at::Tensor& c) {
  if (!c.is_non_overlapping_and_dense()) return carry(c.contiguous());
  auto t = make(c.sizes(), c.strides(), c.scalar_type());
  real(t).copy_(c);
  return t;
}

}  // namespace testdevice

uintptr_t td_address(void) {
  return reinterpret_cast<uintptr_t>(testdevice::make({1}, {1}, at::kFloat).data_ptr());
}
