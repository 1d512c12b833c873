#include "constant.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "device.h"
#include "host.h"

namespace {

using at::Tensor;
using Key = std::tuple<std::string, std::vector<int64_t>, int64_t, std::string, at::ScalarType>;

constexpr size_t kKept = 64;

Tensor sent(const std::vector<int64_t>& numbers, at::Device to) {
  Tensor here = at::empty({static_cast<int64_t>(numbers.size())}, at::kLong);
  std::memcpy(host(here), numbers.data(), numbers.size() * sizeof(int64_t));
  return upload(here, to);
}

}  // namespace

Tensor constant(const char* name, const std::vector<int64_t>& numbers, int64_t size, const at::TensorOptions& options,
                const std::function<Tensor(const Tensor&)>& make) {
  const at::NoGradGuard plain;
  if (options.device().is_cpu()) return make(sent(numbers, options.device()));
  static std::mutex guard;
  static auto& kept = *new std::map<Key, Tensor>;  // never destroyed: the device may be gone before
  const Key key{name, numbers, size, options.device().str(), c10::typeMetaToScalarType(options.dtype())};
  const std::lock_guard<std::mutex> lock(guard);
  if (const auto found = kept.find(key); found != kept.end()) return found->second;
  if (kept.size() >= kKept) kept.clear();
  return kept[key] = make(sent(numbers, options.device()));
}
