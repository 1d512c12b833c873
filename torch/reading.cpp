//go:build !lazyengine

// Copies of numbers on their way from a device to the host.
#include "aten.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "call.h"
#include "device.h"

namespace {

struct Reading {
  at::Tensor values;                 // on the host
  std::optional<c10::Event> copied;  // when they are there; none where they came from the host
};

Reading& R(lt_reading r) { return *reinterpret_cast<Reading*>(r); }

}  // namespace

char* lt_read_begin(lt_tensor tt, lt_reading* out) {
  return call(false, [&] {
    const at::Tensor t = T(tt).detach().to(at::kDouble).contiguous();
    auto r = std::make_unique<Reading>();
    if (t.is_cpu()) {
      r->values = t.clone();
    } else {
      refuse_recording("a copy to the host");
      r->values = at::empty(t.sizes(), at::TensorOptions(at::kDouble).pinned_memory(t.is_cuda()));
      r->values.copy_(t, /*non_blocking=*/true);
      r->copied.emplace(t.device().type());
      r->copied->record(c10::impl::VirtualGuardImpl(t.device().type()).getStream(t.device()));
    }
    *out = reinterpret_cast<lt_reading>(r.release());
  });
}

char* lt_read_end(lt_reading rt, double* out, int n) {
  return call(false, [&] {
    Reading& r = R(rt);
    while (r.copied && !r.copied->query()) std::this_thread::sleep_for(std::chrono::microseconds(20));
    TORCH_CHECK(r.values.numel() == n, "reading: ", r.values.numel(), " numbers, room for ", n);
    std::copy_n(r.values.data_ptr<double>(), n, out);
  });
}

void lt_read_free(lt_reading r) { delete reinterpret_cast<Reading*>(r); }
