//go:build !lazyengine

#include "constant.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "device.h"
#include "host.h"
#include "shim.h"

namespace {

using at::Tensor;
using Key = std::tuple<std::string, std::vector<int64_t>, int64_t, std::string, at::ScalarType>;

constexpr size_t kKept = 64;

struct Kept {
  std::mutex guard;
  std::map<Key, Tensor> tensors;
};

Kept& kept() {
  static auto& all = *new Kept;  // never destroyed: the device may be gone before
  return all;
}

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
  auto& all = kept();
  const Key key{name, numbers, size, options.device().str(), c10::typeMetaToScalarType(options.dtype())};
  const std::lock_guard<std::mutex> lock(all.guard);
  if (const auto found = all.tensors.find(key); found != all.tensors.end()) {
    keep_for_recording(found->second);  // it is cleared below, some day
    return found->second;
  }
  if (all.tensors.size() >= kKept) all.tensors.clear();
  return all.tensors[key] = make(sent(numbers, options.device()));
}

at::Tensor constant_of(const std::vector<double>& values, const at::TensorOptions& options) {
  std::vector<int64_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(double));
  return constant("values", bits, static_cast<int64_t>(bits.size()), options,
                  [&](const Tensor& numbers) { return numbers.view(at::kDouble).to(options.dtype()); });
}

void lt_forget_constants(void) {
  const std::lock_guard<std::mutex> lock(kept().guard);
  kept().tensors.clear();
}
