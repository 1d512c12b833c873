//go:build !lazyengine

// Batches on their way to a device.
#include "aten.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <mutex>

#include "device.h"

namespace {

using Guard = c10::impl::VirtualGuardImpl;

// The stream of a device that batches travel on: one, so that they do so in turn.
c10::Stream side(const Guard& guard, at::Device device) {
  static std::mutex mutex;
  static auto* streams = new std::map<int, c10::Stream>;  // libtorch's streams last as long as the program
  std::lock_guard<std::mutex> lock(mutex);
  auto found = streams->find(device.index());
  if (found == streams->end()) found = streams->emplace(device.index(), guard.getStreamFromGlobalPool(device)).first;
  return found->second;
}

// Makes a stream the one that this thread works on, until the end of the scope.
class On {
 public:
  On(const Guard& guard, c10::Stream stream) : guard_(guard), before_(guard.exchangeStream(stream)) {}
  ~On() { guard_.exchangeStream(before_); }
  On(const On&) = delete;
  On& operator=(const On&) = delete;

 private:
  const Guard& guard_;
  const c10::Stream before_;
};

}  // namespace

at::Tensor upload_beside(const at::Tensor& made, at::Device to) {
  const Guard guard(to.type());
  const auto work = guard.getStream(to), travel = side(guard, to);
  at::Tensor there;
  {
    On on(guard, travel);
    there = upload(made, to);
  }
  c10::Event arrived(to.type());
  arrived.record(travel);
  arrived.block(work);
  // Its memory is of the side's: without this it could be given to the next batch while work still reads this one.
  guard.recordDataPtrOnStream(there.storage().data_ptr(), work);
  return there;
}
