// Memory for tensors, in blocks that are handed out again without asking the system.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <utility>

// A best-fit heap. What is given back stays resident and serves the next block of any size that it has room for: a
// training step frees and takes the same sizes over and over, and fresh pages cost more than many a kernel that fills
// them. Resident pages are never more than the blocks in use took at their highest, but for rounding to huge pages.
class Arena {
 public:
  // Sizes of blocks are whole pages of the system's: what is given back to it must not reach into a block.
  static size_t rounded(size_t size);

  // A block of that size, aligned to a page, or null where the system has no more.
  void* take(size_t size);
  void give(void* block, size_t size);
  // Bytes that blocks have taken of the system, not of what was given back.
  int64_t fresh() const;

 private:
  using Address = uintptr_t;
  struct Free {
    size_t size;
    bool resident;  // its pages hold memory
  };
  using FreeList = std::map<Address, Free>;

  // Where a block goes, all of it free, and how much of it is resident.
  struct Place {
    Address at = 0;
    size_t resident = 0;
  };

  Place find(size_t size) const;
  Place best_in(FreeList::const_iterator first, FreeList::const_iterator last, size_t size) const;
  bool grow(size_t size);
  void release(size_t size);
  void insert(Address at, size_t size, bool resident);
  void remove(Address at, size_t size);
  void forget(FreeList::iterator extent);

  mutable std::mutex mutex_;
  FreeList free_;                                    // neighbours of a kind are one
  std::set<std::pair<size_t, Address>> resident_;    // of free_, those that are resident, by size
  size_t used_ = 0, highest_ = 0, cached_ = 0;       // bytes in blocks, now and at most; resident bytes in none
  int64_t fresh_ = 0;
};
