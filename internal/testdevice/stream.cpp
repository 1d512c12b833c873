#include "stream.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstring>
#include <deque>
#include <mutex>
#include <optional>

#include "counts.h"
#include "memory.h"

namespace testdevice {
namespace {

struct Copy {
  int64_t turn;
  c10::StreamId stream;
  at::Tensor to, there, elements;  // to keeps the memory that there names
};

std::mutex mutex;
int64_t turn = 0;  // grows with each copy and each event
thread_local c10::StreamId current = 0;
// Never destroyed: what nobody has waited for may outlive libtorch.
std::deque<Copy>& under_way() {
  static auto* copies = new std::deque<Copy>;
  return *copies;
}

// Lets arrive what was copied up to a turn, by a stream or by all.
void arrive(int64_t until, std::optional<c10::StreamId> by = {}) {
  std::lock_guard<std::mutex> lock(mutex);
  auto& copies = under_way();
  for (auto c = copies.begin(); c != copies.end() && c->turn <= until;) {
    if (by && *by != c->stream) {
      ++c;
      continue;
    }
    c->there.copy_(c->elements);
    c = copies.erase(c);
  }
}

struct Event {
  int64_t turn;
  c10::StreamId stream;
  bool asked = false;  // the first answer is no, as of a device that is busy
};

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device getDevice() const override { return device(); }
  c10::Device exchangeDevice(c10::Device) const override { return device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}

  // There are two streams, the default and one beside it.
  static c10::Stream stream(c10::StreamId id) { return c10::Stream(c10::Stream::UNSAFE, device(), id); }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(current); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream(1); }
  c10::Stream getNewStream(c10::Device, int) const { return stream(1); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override { return stream(std::exchange(current, s.id())); }
  bool queryStream(const c10::Stream&) const override { return false; }
  void synchronizeStream(const c10::Stream&) const override { synchronize("synchronize_stream"); }
  void synchronizeDevice(c10::DeviceIndex) const { synchronize("synchronize_device"); }

  void record(void** event, const c10::Stream& s, const c10::DeviceIndex, const c10::EventFlag) const override {
    std::lock_guard<std::mutex> lock(mutex);
    if (!*event) *event = new Event;
    *static_cast<Event*>(*event) = {++turn, s.id()};
  }
  void block(void* event, const c10::Stream&) const override { arrive(event_of(event).turn, event_of(event).stream); }
  void recordDataPtrOnStream(const c10::DataPtr& data, const c10::Stream&) const override { keep(data); }
  bool queryEvent(void* event) const override {
    auto& e = event_of(event);
    if (e.asked) arrive(e.turn, e.stream);
    return std::exchange(e.asked, true);
  }
  void synchronizeEvent(void* event) const {
    stalled("synchronize_event");
    arrive(event_of(event).turn, event_of(event).stream);
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete &event_of(event); }

 private:
  static Event& event_of(void* event) { return *static_cast<Event*>(event); }
  static void synchronize(const char* what) {
    stalled(what);
    wait();
  }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

}  // namespace

void copy_later(const at::Tensor& to, const at::Tensor& from) {
  auto elements = real(from).clone(), there = real(to);
  std::lock_guard<std::mutex> lock(mutex);
  if (there.is_non_overlapping_and_dense()) std::memset(there.data_ptr(), 0xff, there.nbytes());
  under_way().push_back({++turn, current, to, std::move(there), std::move(elements)});
}

bool beside() { return current != 0; }

void wait() { arrive(INT64_MAX); }

}  // namespace testdevice
