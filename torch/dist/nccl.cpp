//go:build !lazyengine

// NCCL through its C interface, without its headers or CUDA's: the library is loaded when processes with cards meet. Streams and
// events are libtorch's.
#include "../call.h"
#include "../device.h"
#include "dist.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <link.h>

#include <optional>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#define LT_STREAMS 1
#endif

namespace {

// As nccl.h has them. These have been the same since NCCL 2.0.
using Comm = void*;
using Stream = void*;
struct Id {
  char bytes[DIST_NCCL_ID];
};
constexpr int kSuccess = 0, kInProgress = 7, kUint8 = 1, kSum = 0;

int type_of(at::ScalarType t) {
  switch (t) {
    case at::kByte: return kUint8;
    case at::kLong: return 4;
    case at::kFloat: return 7;
    case at::kDouble: return 8;
    default: TORCH_CHECK(false, "no sum of ", t);
  }
}

// A function that the library must have.
template <class F>
struct Needed;
template <class R, class... A>
struct Needed<R(A...)> {
  R (*at)(A...) = nullptr;
  void find(void* library, const char* name) {
    at = reinterpret_cast<R (*)(A...)>(dlsym(library, name));
    TORCH_CHECK(at, "has no ", name);
  }
  R operator()(A... arguments) const { return at(arguments...); }
};

struct Library {
  Needed<int(int*)> version;
  Needed<int(Id*)> id;
  Needed<int(Comm*, int, Id, int)> join;
  Needed<int(const void*, void*, size_t, int, int, Comm, Stream)> sum, broadcast;
  Needed<int(const void*, size_t, int, int, Comm, Stream)> send;
  Needed<int(void*, size_t, int, int, Comm, Stream)> receive;
  Needed<int()> begin, end;
  Needed<int(Comm, int*)> trouble;
  Needed<int(Comm)> abort, destroy;
  Needed<const char*(int)> text;
  const char* (*last)(Comm) = nullptr;  // newer ones say more
  bool on_host = false;                 // the library of a test, which works on the processor's memory

  explicit Library(void* l) {
    version.find(l, "ncclGetVersion"), id.find(l, "ncclGetUniqueId"), join.find(l, "ncclCommInitRank");
    sum.find(l, "ncclAllReduce"), broadcast.find(l, "ncclBroadcast"), send.find(l, "ncclSend"), receive.find(l, "ncclRecv");
    begin.find(l, "ncclGroupStart"), end.find(l, "ncclGroupEnd"), trouble.find(l, "ncclCommGetAsyncError");
    abort.find(l, "ncclCommAbort"), destroy.find(l, "ncclCommDestroy"), text.find(l, "ncclGetErrorString");
    last = reinterpret_cast<const char* (*)(Comm)>(dlsym(l, "ncclGetLastError"));
    on_host = dlsym(l, "locusStandsInForNCCL") != nullptr;
  }

  void must(int code, const char* what) const {
    if (code == kSuccess) return;
    const char* more = last ? last(nullptr) : "";
    TORCH_CHECK(false, what, ": ", text(code), *more ? ": " : "", more);
  }
};

struct Communicator {
  const Library& of;
  at::Device device;
  Comm comm = nullptr;
#ifdef LT_STREAMS
  std::optional<c10::Stream> own;  // so that what travels and what is computed do not wait for each other
#endif

  Stream stream() const {
#ifdef LT_STREAMS
    if (own) return own->native_handle();
#endif
    return nullptr;
  }
};

// Tensors that travel. They live until they have arrived or are given up.
struct Transfer {
  Communicator& by;
  std::vector<at::Tensor> tensors;
#ifdef LT_STREAMS
  std::optional<c10::Event> ready, passed;  // none where the library works on the processor's memory, and returns when it is done
#endif
};

const Library& of(dist_nccl l) { return *reinterpret_cast<Library*>(l); }
Communicator* of(dist_comm c) { return reinterpret_cast<Communicator*>(c); }
Transfer* of(dist_transfer t) { return reinterpret_cast<Transfer*>(t); }

#ifdef LT_STREAMS
c10::Stream current(at::Device d) { return c10::impl::VirtualGuardImpl(d.type()).getStream(d); }
#endif

// The folder that libtorch was loaded from.
std::string home() {
  link_map* map = nullptr;
  void* libtorch = dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD);
  if (!libtorch || dlinfo(libtorch, RTLD_DI_LINKMAP, &map) != 0) return ".";
  const std::string path = map->l_name;
  return path.substr(0, path.rfind('/'));
}

void* load(const std::string& wish, std::string* why) {
  // The one that libtorch's half for CUDA has loaded comes first, then those beside a libtorch and in a wheel.
  std::vector<std::string> places{"libnccl.so.2", home() + "/libnccl.so.2", home() + "/../../nvidia/nccl/lib/libnccl.so.2"};
  if (!wish.empty()) places = {wish};
  for (const auto& place : places) {
    if (void* found = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return found;
    if (why->empty()) *why = dlerror();
  }
  return nullptr;
}

// Starts a transfer on its communicator's stream, behind what its tensors are waiting for.
template <class F>
char* travel(dist_transfer handle, F f) {
  return call(false, [&] {
    Transfer& t = *of(handle);
#ifdef LT_STREAMS
    const c10::OptionalDeviceGuard there(t.ready ? std::optional<at::Device>(t.by.device) : std::nullopt);
    if (t.ready) t.ready->block(*t.by.own);
#endif
    f(t);
#ifdef LT_STREAMS
    if (t.passed) t.passed->record(*t.by.own);
#endif
  });
}

}  // namespace

char* dist_nccl_load(const char* path, int* version, bool* on_host, dist_nccl* out) {
  return call(false, [&] {
    std::string why;
    void* library = load(path, &why);
    TORCH_CHECK(library, why);
    auto functions = std::make_unique<Library>(library);
    functions->must(functions->version(version), "ncclGetVersion");
    *on_host = functions->on_host;
    *out = reinterpret_cast<dist_nccl>(functions.release());
  });
}

char* dist_card(int device, char* out, int room) {
  return call(false, [&] {
    *out = 0;
    void* driver = device > 0 ? dlopen("libcuda.so.1", RTLD_NOW) : nullptr;
    if (!driver) return;
    auto start = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
    auto get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
    auto name = reinterpret_cast<int (*)(unsigned char*, int)>(dlsym(driver, "cuDeviceGetUuid_v2"));
    unsigned char uuid[16];
    int card = 0;
    if (!start || !get || !name || start(0) || get(&card, device - 1) || name(uuid, card)) return;
    for (int i = 0; i < 16 && 2 * i + 2 < room; i++) snprintf(out + 2 * i, 3, "%02x", uuid[i]);
  });
}

char* dist_nccl_id(dist_nccl l, void* id) {
  return call(false, [&] { of(l).must(of(l).id(static_cast<Id*>(id)), "ncclGetUniqueId"); });
}

char* dist_nccl_join(dist_nccl l, const void* id, int rank, int size, int device, dist_comm* out) {
  return call(false, [&] {
    auto c = std::make_unique<Communicator>(Communicator{of(l), device_of(device)});
#ifdef LT_STREAMS
    const c10::OptionalDeviceGuard there(device > 0 ? std::optional<at::Device>(c->device) : std::nullopt);
    if (device > 0) at::globalContext().lazyInitDevice(c->device.type());
    if (device > 0) c->own = c10::impl::VirtualGuardImpl(c->device.type()).getNewStream(c->device, 0);
#endif
    of(l).must(of(l).join(&c->comm, size, *static_cast<const Id*>(id), rank), "ncclCommInitRank");
    *out = reinterpret_cast<dist_comm>(c.release());
  });
}

char* dist_nccl_prepare(dist_comm c, const lt_tensor* ts, int n, dist_transfer* out) {
  return call(false, [&] {
    auto t = std::make_unique<Transfer>(Transfer{*of(c)});
    for (int i = 0; i < n; i++) {
      TORCH_CHECK(T(ts[i]).is_contiguous() && T(ts[i]).device() == of(c)->device, "not a flat tensor of ", of(c)->device);
      t->tensors.push_back(T(ts[i]));
    }
#ifdef LT_STREAMS
    if (of(c)->own) {
      t->ready.emplace(of(c)->device.type()), t->passed.emplace(of(c)->device.type());
      t->ready->record(current(of(c)->device));
    }
#endif
    *out = reinterpret_cast<dist_transfer>(t.release());
  });
}

char* dist_nccl_sum(dist_transfer t) {
  return travel(t, [](Transfer& t) {
    const auto& x = t.tensors[0];
    const auto& l = t.by.of;
    l.must(l.sum(x.data_ptr(), x.data_ptr(), x.numel(), type_of(x.scalar_type()), kSum, t.by.comm, t.by.stream()), "ncclAllReduce");
  });
}

char* dist_nccl_broadcast(dist_transfer t, int from) {
  return travel(t, [&](Transfer& t) {
    const auto& x = t.tensors[0];
    const auto& l = t.by.of;
    l.must(l.broadcast(x.data_ptr(), x.data_ptr(), x.nbytes(), kUint8, from, t.by.comm, t.by.stream()), "ncclBroadcast");
  });
}

char* dist_nccl_move(dist_transfer t, int peer, bool out) {
  return travel(t, [&](Transfer& t) {
    const auto& l = t.by.of;
    l.must(l.begin(), "ncclGroupStart");
    int code = kSuccess;
    for (const auto& x : t.tensors) {
      if (code == kSuccess)
        code = out ? l.send(x.data_ptr(), x.nbytes(), kUint8, peer, t.by.comm, t.by.stream())
                   : l.receive(x.data_ptr(), x.nbytes(), kUint8, peer, t.by.comm, t.by.stream());
    }
    const int end = l.end();
    l.must(code, out ? "ncclSend" : "ncclRecv");
    l.must(end, "ncclGroupEnd");
  });
}

char* dist_nccl_passed(dist_transfer t, bool* out) {
  return call(false, [&] {
    *out = true;
#ifdef LT_STREAMS
    if (of(t)->passed) *out = of(t)->passed->query();
#endif
  });
}

char* dist_nccl_behind(dist_transfer t) {
  return call(false, [&] {
#ifdef LT_STREAMS
    if (of(t)->passed) of(t)->passed->block(current(of(t)->by.device));
#endif
    of(t)->tensors.clear();  // who uses them next comes behind
  });
}

void dist_nccl_forget(dist_transfer t) { delete of(t); }

char* dist_nccl_trouble(dist_comm c) {
  return call(false, [&] {
    int code = kSuccess;
    const auto& l = of(c)->of;
    const int asked = l.trouble(of(c)->comm, &code);
    l.must(asked == kSuccess && code != kInProgress ? code : asked, "NCCL");
  });
}

void dist_nccl_abort(dist_comm c) { of(c)->of.abort(of(c)->comm); }
void dist_nccl_leave(dist_comm c) { of(c)->of.destroy(of(c)->comm); }
