// Recordings of the test device's work. As on CUDA, what is recorded is not done: the device's memory is, at the end of a
// recording, as it was at its beginning, and what was made meanwhile is garbage until the recording is launched.
#pragma once
#include <functional>

#include <ATen/core/Tensor.h>

namespace testdevice {

bool recording();

// Adds work to the recording under way, which keeps the memory of the tensors that it is done on.
void record(const std::vector<at::Tensor>& on, std::function<void()> work);

}  // namespace testdevice
