//go:build !lazyengine

// c10d's Gloo. Its header includes Gloo's own, which libgloo-dev has beside a distribution's libtorch. Wheels have none, but Gloo
// inside: then make adds the folder `declared`, which has what c10d's header needs. LOCUS_NO_GLOO keeps headers of another
// release from being taken for those of a libtorch without Gloo.
#include "../call.h"
#include "dist.h"

#if !defined(LOCUS_NO_GLOO) && __has_include(<gloo/context.h>)
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include <signal.h>

#include <chrono>
#include <mutex>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace {

using c10d::ProcessGroupGloo;

// What ranks tell each other to meet lies with Go: see store.go.
class MeetingPlace : public c10d::Store {
 public:
  explicit MeetingPlace(uintptr_t id) : id_(id) {}

  void set(const std::string& key, const std::vector<uint8_t>& value) override {
    auto* bytes = const_cast<uint8_t*>(value.data());
    TORCH_CHECK(distStoreSet(id_, const_cast<char*>(key.c_str()), bytes, value.size()), "the ranks could not meet");
  }

  std::vector<uint8_t> get(const std::string& key) override {
    void* value = nullptr;
    size_t n = 0;
    TORCH_CHECK(distStoreGet(id_, const_cast<char*>(key.c_str()), &value, &n), "the ranks could not meet");
    const auto* bytes = static_cast<uint8_t*>(value);
    std::vector<uint8_t> out(bytes, bytes + n);
    free(value);
    return out;
  }

  void wait(const std::vector<std::string>& keys) override {
    for (const auto& key : keys) get(key);
  }

  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds&) override { wait(keys); }

  // Gloo asks for nothing else.
  c10::intrusive_ptr<c10d::Store> clone() { return c10::make_intrusive<MeetingPlace>(id_); }
  int64_t add(const std::string&, int64_t) override { TORCH_CHECK(false, "add"); }
  bool deleteKey(const std::string&) override { return false; }
  bool check(const std::vector<std::string>&) override { TORCH_CHECK(false, "check"); }
  int64_t getNumKeys() override { TORCH_CHECK(false, "getNumKeys"); }
  std::vector<uint8_t> compareSet(const std::string&, const std::vector<uint8_t>&, const std::vector<uint8_t>&) override {
    TORCH_CHECK(false, "compareSet");
  }

 private:
  const uintptr_t id_;
};

struct Group {
  c10::intrusive_ptr<ProcessGroupGloo> gloo;
};

struct Work {
  decltype(std::declval<ProcessGroupGloo>().barrier()) work;
};

Group* of(dist_group g) { return reinterpret_cast<Group*>(g); }
Work* of(dist_work w) { return reinterpret_cast<Work*>(w); }

// Threads that are made while it lives never get the signal of a write to a connection that the other end has closed. Go lets
// the process die of it where it comes to a thread that is not Go's. To Gloo such a write is an error as any other.
class NoBrokenPipes {
 public:
  NoBrokenPipes() {
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &before_);
  }
  ~NoBrokenPipes() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

template <class F>
char* start(dist_work* out, lt_tensor t, F f) {
  return call(false, [&] {
    std::vector<at::Tensor> one{T(t)};
    *out = reinterpret_cast<dist_work>(new Work{f(one)});
  });
}

}  // namespace

bool dist_has_gloo(void) { return true; }

char* dist_join(uintptr_t store, int rank, int size, const char* address, int64_t timeout_ms, dist_group* out) {
  return call(false, [&] {
    const NoBrokenPipes quiet;
    auto options = ProcessGroupGloo::Options::create(std::chrono::milliseconds(timeout_ms));
    options->devices.push_back(ProcessGroupGloo::createDeviceForHostname(address));
    options->threads = 2;
    auto place = c10::make_intrusive<MeetingPlace>(store);
    *out = reinterpret_cast<dist_group>(
        new Group{c10::make_intrusive<ProcessGroupGloo>(place, rank, size, options)});
  });
}

void dist_leave(dist_group g) { delete of(g); }

char* dist_sum(dist_group g, lt_tensor flat, dist_work* out) {
  return start(out, flat, [&](auto& ts) { return of(g)->gloo->allreduce(ts); });
}

char* dist_broadcast(dist_group g, lt_tensor flat, int from, dist_work* out) {
  c10d::BroadcastOptions o;
  o.rootRank = from;
  return start(out, flat, [&](auto& ts) { return of(g)->gloo->broadcast(ts, o); });
}

char* dist_send(dist_group g, lt_tensor flat, int to, int tag, dist_work* out) {
  return start(out, flat, [&](auto& ts) { return of(g)->gloo->send(ts, to, tag); });
}

char* dist_receive(dist_group g, lt_tensor flat, int from, int tag, dist_work* out) {
  return start(out, flat, [&](auto& ts) { return of(g)->gloo->recv(ts, from, tag); });
}

char* dist_wait(dist_work w) {
  return call(false, [&] { TORCH_CHECK(of(w)->work->wait(), "the wait was given up"); });
}

void dist_abort(dist_work w) {
  try {
    of(w)->work->abort();
  } catch (...) {  // a sum cannot be given up: it ends when its connection does
  }
}

void dist_forget(dist_work w) { delete of(w); }

#else

namespace {
char* missing() {
  return told(LT_UNSUPPORTED,
              "this locus was built without Gloo, over which processes talk: apt-get install libgloo-dev beside the "
              "distribution's libtorch-dev, and build again");
}
}  // namespace

bool dist_has_gloo(void) { return false; }
char* dist_join(uintptr_t, int, int, const char*, int64_t, dist_group*) { return missing(); }
void dist_leave(dist_group) {}
char* dist_sum(dist_group, lt_tensor, dist_work*) { return missing(); }
char* dist_broadcast(dist_group, lt_tensor, int, dist_work*) { return missing(); }
char* dist_send(dist_group, lt_tensor, int, int, dist_work*) { return missing(); }
char* dist_receive(dist_group, lt_tensor, int, int, dist_work*) { return missing(); }
char* dist_wait(dist_work) { return missing(); }
void dist_abort(dist_work) {}
void dist_forget(dist_work) {}

#endif
