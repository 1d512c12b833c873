//go:build !lazyengine

#include "arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#ifdef __SANITIZE_ADDRESS__ // of what is in no block it is told, as malloc tells it
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace {

constexpr size_t kRegion = 256 << 20;  // address space that the system is asked for at once; it takes memory when used

}  // namespace

size_t Arena::rounded(size_t size) {
  static const size_t page = sysconf(_SC_PAGESIZE);
  return (size + page - 1) / page * page;
}

void* Arena::take(size_t size) {
  std::lock_guard<std::mutex> lock(mutex_);
  Place place;
  if (const auto fit = resident_.lower_bound({size, 0}); fit != resident_.end()) {
    place = {fit->second, size};
  } else {
    place = find(size);
    if (!place.at && grow(size)) place = find(size);
    if (!place.at) return nullptr;
  }
  remove(place.at, size);
  used_ += size;
  highest_ = std::max(highest_, used_);
  fresh_ += size - place.resident;
  if (used_ + cached_ > highest_) release(used_ + cached_ - highest_);
  const auto block = reinterpret_cast<void*>(place.at);
  ASAN_UNPOISON_MEMORY_REGION(block, size);
  return block;
}

void Arena::give(void* block, size_t size) {
  std::lock_guard<std::mutex> lock(mutex_);
  used_ -= size;
  ASAN_POISON_MEMORY_REGION(block, size);
  insert(reinterpret_cast<Address>(block), size, true);
}

int64_t Arena::fresh() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return fresh_;
}

// The place that needs the fewest fresh pages.
Arena::Place Arena::find(size_t size) const {
  Place best;
  for (auto first = free_.begin(); first != free_.end();) {
    auto last = first;
    Address end = first->first;
    while (last != free_.end() && last->first == end) end += (last++)->second.size;
    if (end - first->first >= size) {
      const Place place = best_in(first, last, size);
      if (!best.at || place.resident > best.resident) best = place;
    }
    first = last;
  }
  return best;
}

// The same within the run [first, last) of extents without a gap, which has room. Such a place begins or ends where an
// extent does.
Arena::Place Arena::best_in(FreeList::const_iterator first, FreeList::const_iterator last, size_t size) const {
  const Address begin = first->first, end = std::prev(last)->first + std::prev(last)->second.size;
  Place best;
  const auto consider = [&](Address at) {
    if (at < begin || at + size > end) return;
    Place place{at, 0};
    for (auto e = first; e != last; ++e) {
      if (!e->second.resident) continue;
      const Address low = std::max(at, e->first), high = std::min(at + size, e->first + e->second.size);
      if (high > low) place.resident += high - low;
    }
    if (!best.at || place.resident > best.resident) best = place;
  };
  for (auto e = first; e != last; ++e) {
    consider(e->first);
    consider(e->first + e->second.size - size);
  }
  return best;
}

// Asks for more address space, with room for size.
bool Arena::grow(size_t size) {
  for (const size_t room : {std::max(size, kRegion), size}) {
    void* p = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) continue;
    madvise(p, room, MADV_HUGEPAGE);
    ASAN_POISON_MEMORY_REGION(p, room);
    insert(reinterpret_cast<Address>(p), room, false);
    return true;
  }
  return false;
}

// Gives pages in no block back to the system, from the largest extents, whose ends are least likely to be missed.
void Arena::release(size_t size) {
  while (size > 0 && !resident_.empty()) {
    const auto [whole, at] = *resident_.rbegin();
    const size_t part = std::min(whole, size);
    const Address from = at + whole - part;
    madvise(reinterpret_cast<void*>(from), part, MADV_DONTNEED);
    remove(from, part);
    insert(from, part, false);
    size -= part;
  }
}

// Adds free pages, which become one extent with neighbours of their kind.
void Arena::insert(Address at, size_t size, bool resident) {
  if (resident) cached_ += size;
  auto next = free_.lower_bound(at);
  if (next != free_.end() && next->first == at + size && next->second.resident == resident) {
    size += next->second.size;
    forget(next++);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second.size == at && before->second.resident == resident) {
      at = before->first;
      size += before->second.size;
      forget(before);
    }
  }
  free_.emplace(at, Free{size, resident});
  if (resident) resident_.emplace(size, at);
}

// Takes pages out, all of them free.
void Arena::remove(Address at, size_t size) {
  const Address end = at + size;
  auto e = std::prev(free_.upper_bound(at));
  while (e != free_.end() && e->first < end) {
    const auto [from, extent] = *e;
    const Address to = from + extent.size;
    forget(e);
    if (extent.resident) cached_ -= std::min(to, end) - std::max(from, at);
    const auto keep = [&, resident = extent.resident](Address a, size_t n) {
      free_.emplace(a, Free{n, resident});
      if (resident) resident_.emplace(n, a);
    };
    if (from < at) keep(from, at - from);
    if (to > end) keep(end, to - end);
    e = free_.lower_bound(to);
  }
}

void Arena::forget(FreeList::iterator extent) {
  resident_.erase({extent->second.size, extent->first});
  free_.erase(extent);
}
