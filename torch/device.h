// Devices, numbered as Go's Device is: 0 the CPU, 1 + i CUDA device i, -1 the device of a test.
#pragma once
#include "aten.h"

inline at::Device device_of(int d) {
  if (d == 0) return at::kCPU;
  if (d < 0) return {c10::DeviceType::PrivateUse1, 0};
  return {at::kCUDA, static_cast<c10::DeviceIndex>(d - 1)};
}

inline int device_code(at::Device d) { return d.is_cpu() ? 0 : d.is_cuda() ? d.index() + 1 : -1; }

// Refuses what a recording under way must not have in it: see graph.cpp.
void refuse_recording(const char* what);

// Gives a tensor to the recording under way, if there is one, which reads it wherever it is launched.
void keep_for_recording(const at::Tensor& t);

// Takes a tensor that was made for this call to its device, behind what that is doing. Nobody waits: a copy has read
// pageable memory when it returns, and libtorch's allocator keeps pinned memory until it was read.
inline at::Tensor upload(const at::Tensor& made, at::Device to) {
  if (!to.is_cpu()) refuse_recording("what comes from the host");
  return made.to(to, made.scalar_type(), /*non_blocking=*/true);
}

// As upload, but beside what the device is doing, not behind it: a batch travels while the step before is computed. What the
// device is given from here on waits for it.
at::Tensor upload_beside(const at::Tensor& made, at::Device to);
