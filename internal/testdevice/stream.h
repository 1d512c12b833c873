// The order of things on the test device: it does its work at once, but what it copies to the host arrives late, and so does
// what it copies from there beside its work.
#pragma once
#include <ATen/core/Tensor.h>

namespace testdevice {

// Copies from one tensor to another, which holds garbage until the device is waited for, or an event behind the copy has passed
// or is waited for by another stream.
void copy_later(const at::Tensor& to, const at::Tensor& from);

// Whether this thread works on the stream beside the default.
bool beside();

// Waits for the device: what was copied so far is there.
void wait();

}  // namespace testdevice
