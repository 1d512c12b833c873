#include "stream.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstring>
#include <deque>
#include <mutex>

#include "counts.h"
#include "memory.h"

namespace testdevice {
namespace {

struct Copy {
  int64_t turn;
  at::Tensor to, elements;
};

std::mutex mutex;
int64_t turn = 0;  // grows with each copy and each event
// Never destroyed: what nobody has waited for may outlive libtorch.
std::deque<Copy>& under_way() {
  static auto* copies = new std::deque<Copy>;
  return *copies;
}

// Lets arrive what was copied up to a turn.
void arrive(int64_t until) {
  std::lock_guard<std::mutex> lock(mutex);
  for (auto& copies = under_way(); !copies.empty() && copies.front().turn <= until; copies.pop_front())
    copies.front().to.copy_(copies.front().elements);
}

struct Event {
  int64_t turn;
  bool asked = false;  // the first answer is no, as of a device that is busy
};

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device getDevice() const override { return device(); }
  c10::Device exchangeDevice(c10::Device) const override { return device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}

  // There is one stream.
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, device()); }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream(); }
  c10::Stream getNewStream(c10::Device, int) const { return stream(); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override { return s; }
  bool queryStream(const c10::Stream&) const override { return false; }
  void synchronizeStream(const c10::Stream&) const override { synchronize("synchronize_stream"); }
  void synchronizeDevice(c10::DeviceIndex) const { synchronize("synchronize_device"); }

  void record(void** event, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {
    std::lock_guard<std::mutex> lock(mutex);
    if (!*event) *event = new Event;
    *static_cast<Event*>(*event) = {++turn};
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void* event) const override {
    auto& e = *static_cast<Event*>(event);
    if (e.asked) arrive(e.turn);
    return std::exchange(e.asked, true);
  }
  void synchronizeEvent(void* event) const {
    stalled("synchronize_event");
    arrive(static_cast<Event*>(event)->turn);
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete static_cast<Event*>(event); }

 private:
  static void synchronize(const char* what) {
    stalled(what);
    wait();
  }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

}  // namespace

void copy_later(const at::Tensor& to, const at::Tensor& from) {
  auto elements = real(from).clone();
  std::lock_guard<std::mutex> lock(mutex);
  if (to.is_non_overlapping_and_dense()) std::memset(to.data_ptr(), 0xff, to.nbytes());
  under_way().push_back({++turn, to, std::move(elements)});
}

void wait() { arrive(INT64_MAX); }

}  // namespace testdevice
