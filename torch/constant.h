// Tensors that depend on a few numbers alone and are asked for at every step.
#pragma once
#include "aten.h"

#include <functional>
#include <vector>

// What make turns the numbers, int64 on the device of the options, into. On the CPU it is made every time: that costs no more
// than its use, and nothing stays behind. On other devices the numbers would have to be sent again, so the tensor of that
// name, numbers, size, device and type is kept, the last few dozen of them. Nobody may write to it.
at::Tensor constant(const char* name, const std::vector<int64_t>& numbers, int64_t size, const at::TensorOptions& options,
                    const std::function<at::Tensor(const at::Tensor&)>& make);


// values in the type of the options, in one dimension, kept in the same way.
at::Tensor constant_of(const std::vector<double>& values, const at::TensorOptions& options);
