// What every file of the shim needs: handles, and the frame of a call.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <atomic>
#include <cstring>

#include "shim.h"

inline std::atomic<int64_t> handles{0};

inline at::Tensor& T(lt_tensor t) { return *reinterpret_cast<at::Tensor*>(t); }

inline at::Tensor or_none(lt_tensor t) { return t ? T(t) : at::Tensor(); }

inline lt_tensor wrap(at::Tensor t) {
  handles.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<lt_tensor>(new at::Tensor(std::move(t)));
}

// Runs one call with its own grad mode, on a thread that has been given its OpenMP team size, and turns every C++
// exception into a message.
template <class F>
char* call(bool grad, F f) {
  try {
    static thread_local bool ready = (at::init_num_threads(), true);
    (void)ready;
    at::AutoGradMode mode(grad);
    f();
    return nullptr;
  } catch (const c10::Error& e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return strdup(e.what());
  } catch (...) {
    return strdup("unknown C++ exception");
  }
}
