// Every operation of libtorch on the test device: its CPU kernel, on the device's real bytes.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/as_strided_native.h>
#include <torch/library.h>

#include <algorithm>
#include <set>

#include "counts.h"
#include "memory.h"
#include "record.h"
#include "stream.h"

namespace testdevice {
namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::IValue;
using torch::jit::Stack;

// ---- Made by hand: what makes tensors, and what copies between here and there.

std::vector<int64_t> strides_of(IntArrayRef sizes, at::MemoryFormat format) {
  if (format == at::MemoryFormat::ChannelsLast) return c10::get_channels_last_strides_2d(sizes);
  std::vector<int64_t> strides(sizes.size(), 1);
  for (auto i = static_cast<int64_t>(sizes.size()) - 2; i >= 0; i--) strides[i] = strides[i + 1] * std::max<int64_t>(sizes[i + 1], 1);
  return strides;
}

Tensor empty(IntArrayRef sizes, c10::optional<at::ScalarType> type, c10::optional<at::Layout>, c10::optional<at::Device>,
             c10::optional<bool>, c10::optional<at::MemoryFormat> format) {
  return make(sizes, strides_of(sizes, format.value_or(at::MemoryFormat::Contiguous)), type.value_or(at::kFloat));
}

Tensor empty_strided(IntArrayRef sizes, IntArrayRef strides, c10::optional<at::ScalarType> type,
                     c10::optional<at::Layout>, c10::optional<at::Device>, c10::optional<bool>) {
  return make(sizes, strides, type.value_or(at::kFloat));
}

Tensor& set_storage(Tensor& t, at::Storage storage, int64_t offset, IntArrayRef sizes, IntArrayRef strides) {
  auto* impl = t.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(storage));
  impl->set_sizes_and_strides(sizes, strides, offset);
  return t;
}

constexpr const char* kCapturing = "operation not permitted when stream is capturing";

Tensor& copy_(Tensor& to, const Tensor& from, bool non_blocking) {
  if (recording()) {
    TORCH_CHECK(to.device() == from.device(), kCapturing, " (copy_)");
    const Tensor there = real(to), here = real(from);
    record({to, from}, [there, here] { there.copy_(here); });
    real(to).copy_(real(from));
    return to;
  }
  launched("copy_");
  if (to.device().is_cpu() && non_blocking) {
    copied_to_host(static_cast<int64_t>(to.nbytes()));
    copy_later(to, from.scalar_type() == to.scalar_type() ? from : from.to(to.scalar_type()));
    return to;
  }
  if (to.device().is_cpu()) copied_to_host(static_cast<int64_t>(to.nbytes()));
  if (from.device().is_cpu()) copied_from_host(static_cast<int64_t>(from.nbytes()));
  if (beside()) {
    TORCH_CHECK(from.device().is_cpu() && non_blocking && from.scalar_type() == to.scalar_type(),
                "test device: only copies from the host are made beside the work");
    copy_later(to, from);
    return to;
  }
  if (to.device() != from.device() && !non_blocking) {  // as CUDA's copies do, both ways
    stalled("copy_");
    wait();
  }
  real(to).copy_(real(from));
  return to;
}

// ---- Everything else.

// Values that the processor reads: their operations wait for the device.
const std::set<std::string> kReads = {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::masked_select",
                                      "aten::bincount", "aten::_unique2"};

// Tensors of a call, each with its stand-in on the CPU.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : name_(op.schema().name()) {}

  IValue to_cpu(const IValue& v) {
    if (v.isTensor()) return stand_in(v.toTensor());
    if (v.isTensorList()) {
      auto list = v.toTensorVector();
      for (auto& t : list) t = stand_in(t);
      return c10::List<Tensor>(list);
    }
    if (v.isOptionalTensorList()) {
      auto list = v.toOptionalTensorList().copy();
      for (size_t i = 0; i < list.size(); i++)
        if (const c10::optional<Tensor> t = list.get(i)) list.set(i, stand_in(*t));
      return list;
    }
    if (v.isDevice()) return IValue(c10::Device(c10::DeviceType::CPU));
    TORCH_CHECK(!v.isGenerator(), "Expected a 'cuda' device type for generator but found 'cpu' (", name_, ")");
    return v;
  }

  IValue from_cpu(const IValue& v) {
    if (v.isTensor()) return original(v.toTensor());
    if (!v.isTensorList()) return v;
    auto list = v.toTensorVector();
    for (auto& t : list) t = original(t);
    return c10::List<Tensor>(list);
  }

  // The tensors of the device that are arguments of the call.
  std::vector<Tensor> arguments() const {
    std::vector<Tensor> all;
    for (const auto& [t, r] : tensors_) all.push_back(t);
    return all;
  }

  // What a call was given, as it is to be given again: a result that has outgrown its memory has other memory since.
  Stack settled(Stack given) const {
    const auto now = [&](const Tensor& r) {
      for (const auto& [t, before] : tensors_)
        if (r.is_same(before)) return real(t);
      return r;
    };
    for (auto& v : given) {
      if (v.isTensor()) v = now(v.toTensor());
      if (!v.isTensorList()) continue;
      c10::List<Tensor> list;
      for (const Tensor& r : v.toTensorVector()) list.push_back(now(r));
      v = list;
    }
    return given;
  }

  // Whether a result is memory of an argument's.
  bool has(const Tensor& result) const {
    return std::any_of(tensors_.begin(), tensors_.end(),
                       [&](const auto& pair) { return result.storage().is_alias_of(pair.second.storage()); });
  }

  void follow_all() {
    for (const auto& [t, r] : tensors_) follow(t, r);
  }

 private:
  Tensor stand_in(const Tensor& t) {
    TORCH_CHECK(!t.defined() || !t.device().is_cpu() || t.dim() == 0, "Expected all tensors to be on the same device, but ",
                "found at least two devices, cuda:0 and cpu! (", name_, ")");
    if (!is_on(t)) return t;
    tensors_.emplace_back(t, real(t));
    return tensors_.back().second;
  }

  // An argument that was written to, a view of one, or a new tensor.
  Tensor original(const Tensor& result) {
    if (!result.defined()) return result;
    for (const auto& [t, r] : tensors_)
      if (result.is_same(r)) return t;
    for (const auto& [t, r] : tensors_)
      if (result.storage().is_alias_of(r.storage()))
        return at::native::as_strided_tensorimpl(t, result.sizes(), result.strides(), result.storage_offset());
    return carry(result);
  }

  const std::string name_;
  std::vector<std::pair<Tensor, Tensor>> tensors_;
};

// Views, and changes of shape alone, launch nothing.
bool launches(const c10::FunctionSchema& schema) {
  if (schema.name() == "aten::resize_" || schema.name() == "aten::as_strided_") return false;
  return std::none_of(schema.returns().begin(), schema.returns().end(),
                      [](const c10::Argument& r) { return r.alias_info() && !r.alias_info()->isWrite(); });
}

std::vector<Tensor> tensors_of(const Stack& values) {
  std::vector<Tensor> all;
  for (const auto& v : values) {
    if (v.isTensor()) all.push_back(v.toTensor());
    else if (v.isTensorList())
      for (const Tensor& t : v.toTensorVector()) all.push_back(t);
  }
  return all;
}

// Records a call: what it was given, on the device's bytes, what it found there, and the tensors that this has become.
void again(const c10::OperatorHandle& op, const Call& call, Stack given, const Stack& found, const Stack& results) {
  std::vector<Tensor> there, keep = call.arguments();
  const auto first = tensors_of(found), became = tensors_of(results);
  for (size_t i = 0; i < became.size(); i++) {
    const bool made = became[i].defined() && !call.has(first[i]);  // else it was written where it lies
    there.push_back(made ? real(became[i]) : Tensor());
    if (made) keep.push_back(became[i]);
  }
  record(keep, [op, given = std::move(given), there] {
    Stack stack = given;
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
    const auto found = tensors_of(stack);
    for (size_t i = 0; i < found.size(); i++)
      if (there[i].defined()) there[i].copy_(found[i]);
  });
}

void run(const c10::OperatorHandle& op, Stack* stack) {
  const auto& schema = op.schema();
  Call call(op);
  for (auto v = stack->end() - static_cast<int64_t>(schema.arguments().size()); v != stack->end(); ++v) *v = call.to_cpu(*v);
  const auto name = schema.name().substr(schema.name().find("::") + 2);
  const size_t arguments = schema.arguments().size(), returns = schema.returns().size();
  const Stack given(stack->end() - static_cast<int64_t>(arguments), stack->end());
  if (recording()) {
    TORCH_CHECK(!kReads.count(schema.name()), kCapturing, " (", name, ")");
  } else if (launches(schema)) {
    TORCH_CHECK(!beside(), "test device: ", name, " is not made beside the work");
    launched(name);
  }
  if (kReads.count(schema.name())) {
    stalled(name);
    wait();
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  call.follow_all();
  const Stack found(stack->end() - static_cast<int64_t>(returns), stack->end());
  for (auto v = stack->end() - static_cast<int64_t>(returns); v != stack->end(); ++v) {
    if (v->isTensor() || v->isTensorList()) *v = call.from_cpu(*v);
    else if (name == "_local_scalar_dense") copied_to_host(8);
  }
  if (recording() && launches(schema)) again(op, call, call.settled(given), found, {stack->end() - static_cast<int64_t>(returns), stack->end()});
}

torch::CppFunction boxed() { return torch::CppFunction::makeFromBoxedFunction<&run>(); }

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(boxed()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("copy_", copy_);
  // One kernel each on CUDA. libtorch would compose them of others, or refuse.
  for (const char* name : {"convolution", "convolution_backward", "native_layer_norm"}) m.impl(name, boxed());
  for (const auto& op : c10::Dispatcher::singleton().getAllOpNames())
    if (op.name.rfind("aten::_foreach_", 0) == 0)
      m.impl((op.name + (op.overload_name.empty() ? "" : "." + op.overload_name)).c_str(), boxed());
}

}  // namespace
}  // namespace testdevice
