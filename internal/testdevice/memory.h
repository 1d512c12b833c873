// The test device's memory: addresses that the processor must not touch, and the bytes behind them.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <map>
#include <memory>
#include <vector>

namespace testdevice {

constexpr auto kType = c10::DeviceType::PrivateUse1;
inline c10::Device device() { return {kType, 0}; }
inline bool is_on(const at::Tensor& t) { return t.defined() && t.device().type() == kType; }

c10::Allocator* allocator();

// Bytes that tensors hold on the device, now and at most since peak was last set back to what is held.
int64_t held();
int64_t peak();
void reset_peak();

// The memory of a tensor that was made beside the device's work stays until that work is done with it, too. Memory of which
// nobody has said so is counted when it is freed: the next tensor could be given it too early.
void keep(const c10::DataPtr& data);
int64_t freed_early();

// A tensor's memory: whoever has a share keeps it, without being one of those that hold the tensor. None off the device.
struct Memory {
  std::shared_ptr<void> share;
  int64_t born = 0;  // how much memory had been made with it
};
Memory memory_of(const at::Tensor& t);
// Fills memory with garbage.
void spoil(const std::shared_ptr<void>& share);
int64_t made();

// The bytes of all that is on the device now, by where they lie. restore brings them back; what was made since gets garbage.
using Contents = std::map<char*, std::vector<char>>;
Contents contents();
void restore(const Contents& before);

// A new tensor on the device. Its elements are arbitrary, in fact those that every read betrays: NaN, or -1.
at::Tensor make(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type);

// The same elements as a tensor of the CPU, on the same bytes, for as long as the tensor lives. What is not on the device
// comes back as it is.
at::Tensor real(const at::Tensor& t);

// Makes up for what an operation on real(t) has done to shape and storage.
void follow(const at::Tensor& t, const at::Tensor& real);

// A tensor on the device with the elements and the layout of one of the CPU.
at::Tensor carry(const at::Tensor& from_cpu);

}  // namespace testdevice
