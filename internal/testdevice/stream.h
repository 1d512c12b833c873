// The order of things on the test device: it does its work at once, but what it copies to the host arrives late.
#pragma once
#include <ATen/core/Tensor.h>

namespace testdevice {

// Copies from, a tensor on the device, to one of the CPU, which holds garbage until the device is waited for or an event
// behind the copy has passed.
void copy_later(const at::Tensor& to, const at::Tensor& from);

// Waits for the device: what was copied so far is there.
void wait();

}  // namespace testdevice
