// Stands in for NCCL in tests. It has NCCL's functions and error codes, for ranks of one machine and tensors in the processor's
// memory. Ranks meet in a file that all of them map. A call returns when it is done, and not before the other ranks have come.
//
// The variable STANDIN_FAULT of the environment has calls fail: "init" and "enqueue" by an error, "async" by one that is found when
// NCCL is asked later, and "stuck" by never returning, whatever is done. STANDIN_FOLDER is where ranks meet.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#ifndef STANDIN_VERSION
#define STANDIN_VERSION 21005
#endif

namespace {

enum { kSuccess, kUnhandledCudaError, kSystemError, kInternalError, kInvalidArgument, kInvalidUsage, kRemoteError };
enum { kUint8 = 1, kInt64 = 4, kFloat32 = 7, kFloat64 = 8 };
constexpr int kRanks = 8;
constexpr size_t kPart = 1 << 18;

struct Id {
  char bytes[128];
};

// What the ranks of a communicator have in common.
struct Meeting {
  std::atomic<int> came, round;
  std::atomic<uint64_t> doing[kRanks];  // all must do the same
  unsigned char part[kRanks][kPart];
};

bool faulty(const char* kind) {
  const char* wish = getenv("STANDIN_FAULT");
  return wish && strcmp(wish, kind) == 0;
}

struct Comm {
  Meeting* all;
  int rank, size;
  std::atomic<bool> aborted{false};
  std::atomic<int> error{kSuccess};

  // Waits until all ranks have come here.
  int gather() {
    const int round = all->round.load();
    if (all->came.fetch_add(1) + 1 == size) {
      all->came = 0;
      all->round = round + 1;
      return kSuccess;
    }
    while (all->round.load() == round) {
      if (aborted) return kInternalError;
      usleep(20);
    }
    return kSuccess;
  }

  // Does `give` and `take` part by part, all ranks together.
  template <class Give, class Take>
  int together(uint64_t what, size_t bytes, Give give, Take take) {
    while (faulty("stuck")) sleep(1);
    if (faulty("async")) {
      error = kRemoteError;
      while (!aborted) usleep(100);
      return kInternalError;
    }
    for (size_t at = 0; at < bytes || at == 0; at += kPart) {
      const size_t n = bytes - at < kPart ? bytes - at : kPart;
      all->doing[rank] = what << 48 | bytes;
      give(at, n);
      if (const int code = gather()) return code;
      for (int r = 0; r < size; r++)
        if (all->doing[r] != all->doing[rank]) return kInvalidUsage;
      take(at, n);
      if (const int code = gather()) return code;
    }
    return kSuccess;
  }
};

struct Move {
  Comm* comm;
  unsigned char* data;
  size_t bytes;
  bool out;

  int run() const {
    return comm->together(
        3, bytes, [&](size_t at, size_t n) { if (out) memcpy(comm->all->part[0], data + at, n); },
        [&](size_t at, size_t n) { if (!out) memcpy(data + at, comm->all->part[0], n); });
  }
};

thread_local std::vector<Move> moves;
thread_local int groups = 0;

size_t size_of(int type) { return type == kUint8 ? 1 : type == kFloat32 ? 4 : type == kInt64 || type == kFloat64 ? 8 : 0; }

template <class T>
void add(Comm* c, unsigned char* to, size_t bytes) {
  for (size_t i = 0; i < bytes / sizeof(T); i++) {
    T sum = reinterpret_cast<T*>(c->all->part[0])[i];
    for (int r = 1; r < c->size; r++) sum += reinterpret_cast<T*>(c->all->part[r])[i];
    reinterpret_cast<T*>(to)[i] = sum;
  }
}

int move(void* data, size_t count, int type, int peer, void* comm, bool out) {
  auto* c = static_cast<Comm*>(comm);
  if (c->size != 2 || peer != 1 - c->rank || type != kUint8) return kInvalidArgument;
  moves.push_back({c, static_cast<unsigned char*>(data), count, out});
  return kSuccess;
}

}  // namespace

extern "C" {

#ifndef STANDIN_ON_CARDS
int locusStandsInForNCCL = 1;
#endif

int ncclGetVersion(int* version) {
  *version = STANDIN_VERSION;
  return kSuccess;
}

const char* ncclGetErrorString(int code) {
  switch (code) {
    case kSuccess: return "no error";
    case kUnhandledCudaError: return "unhandled cuda error";
    case kSystemError: return "unhandled system error";
    case kInternalError: return "internal error";
    case kInvalidArgument: return "invalid argument";
    case kInvalidUsage: return "invalid usage";
    case kRemoteError: return "remote process exited or there was a network error";
  }
  return "unknown result code";
}

int ncclGetUniqueId(Id* id) {
  const char* folder = getenv("STANDIN_FOLDER");
  std::string path = std::string(folder ? folder : "/tmp") + "/standin-XXXXXX";
  if (path.size() >= sizeof id->bytes) return kSystemError;
  const int file = mkstemp(path.data());
  if (file < 0 || ftruncate(file, sizeof(Meeting)) != 0) return kSystemError;
  close(file);
  memset(id->bytes, 0, sizeof id->bytes);
  memcpy(id->bytes, path.data(), path.size());
  return kSuccess;
}

int ncclCommInitRank(void** comm, int size, Id id, int rank) {
  if (faulty("init")) return kSystemError;
  if (size > kRanks || rank < 0 || rank >= size) return kInvalidArgument;
  const int file = open(id.bytes, O_RDWR);
  if (file < 0) return kSystemError;
  void* all = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (all == MAP_FAILED) return kSystemError;
  auto* c = new Comm{static_cast<Meeting*>(all), rank, size};
  const int code = c->gather();
  if (rank == 0) unlink(id.bytes);
  *comm = c;
  return code;
}

int ncclAllReduce(const void* from, void* to, size_t count, int type, int op, void* comm, void*) {
  auto* c = static_cast<Comm*>(comm);
  if (from != to || op != 0 || size_of(type) == 0) return kInvalidArgument;
  if (faulty("enqueue")) return kUnhandledCudaError;
  auto* data = static_cast<unsigned char*>(to);
  return c->together(
      1, count * size_of(type), [&](size_t at, size_t n) { memcpy(c->all->part[c->rank], data + at, n); },
      [&](size_t at, size_t n) {
        if (type == kFloat32) add<float>(c, data + at, n);
        if (type == kFloat64) add<double>(c, data + at, n);
        if (type == kInt64) add<int64_t>(c, data + at, n);
        if (type == kUint8) add<uint8_t>(c, data + at, n);
      });
}

int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, void* comm, void*) {
  auto* c = static_cast<Comm*>(comm);
  if (from != to || size_of(type) == 0) return kInvalidArgument;
  auto* data = static_cast<unsigned char*>(to);
  return c->together(
      2, count * size_of(type), [&](size_t at, size_t n) { if (c->rank == root) memcpy(c->all->part[root], data + at, n); },
      [&](size_t at, size_t n) { memcpy(data + at, c->all->part[root], n); });
}

#ifndef STANDIN_WITHOUT_SEND
int ncclSend(const void* from, size_t count, int type, int peer, void* comm, void*) {
  return move(const_cast<void*>(from), count, type, peer, comm, true);
}
#endif

int ncclRecv(void* to, size_t count, int type, int peer, void* comm, void*) { return move(to, count, type, peer, comm, false); }

int ncclGroupStart() {
  groups++;
  return kSuccess;
}

int ncclGroupEnd() {
  if (--groups > 0) return kSuccess;
  int code = kSuccess;
  for (const auto& m : moves)
    if (code == kSuccess) code = m.run();
  moves.clear();
  return code;
}

int ncclCommGetAsyncError(void* comm, int* code) {
  *code = static_cast<Comm*>(comm)->error;
  return kSuccess;
}

int ncclCommAbort(void* comm) {  // who is inside returns soon, and so what it uses stays
  static_cast<Comm*>(comm)->aborted = true;
  return kSuccess;
}

int ncclCommDestroy(void* comm) {
  auto* c = static_cast<Comm*>(comm);
  munmap(c->all, sizeof(Meeting));
  delete c;
  return kSuccess;
}

}  // extern "C"
