// What every file of the shim needs: handles, and the frame of a call.
#pragma once
#include "aten.h"

#include <torch/csrc/autograd/grad_mode.h>
#include <torch/version.h>

#include <atomic>
#include <cstring>
#include <new>
#include <string>

#include "shim.h"

inline std::atomic<int64_t> handles{0};
inline std::atomic<int64_t> recorded{0};  // results that autograd has a graph of

inline at::Tensor& T(lt_tensor t) { return *reinterpret_cast<at::Tensor*>(t); }

inline at::Tensor or_none(lt_tensor t) { return t ? T(t) : at::Tensor(); }

inline lt_tensor wrap(at::Tensor t) {
  handles.fetch_add(1, std::memory_order_relaxed);
  if (t.defined() && t.requires_grad() && !t.is_leaf()) recorded.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<lt_tensor>(new at::Tensor(std::move(t)));
}

inline std::atomic<int> process_threads{1};
inline thread_local int own_threads = 0;  // where it is not the process's

// OpenMP, and MKL where libtorch has it, keep the number of threads of the next parallel region per OS thread. libtorch
// sets it to that of the process when a thread first asks, not when it changes later. Hence ask first, then set.
inline void size_team() {
  const int want = own_threads > 0 ? own_threads : process_threads.load(std::memory_order_relaxed);
  if (at::get_num_threads() != want) at::set_num_threads(want);
}

// A message of the kind that its first byte tells.
inline char* told(lt_kind kind, const char* text) {
  std::string s(1, static_cast<char>(kind));
  return strdup((s += text).c_str());
}

// Runs one call with its own grad mode, on a thread whose OpenMP team has the right size, and turns every C++ exception
// into a message.
template <class F>
char* call(bool grad, F f) {
  try {
    size_team();
    at::AutoGradMode mode(grad);
    f();
    return nullptr;
  } catch (const c10::OutOfMemoryError& e) {
    return told(LT_MEMORY, e.what_without_backtrace());
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
  } catch (const c10::AcceleratorError& e) {
    constexpr int kNoMemory = 2;  // CUDA's cudaErrorMemoryAllocation, for buffers that the caching allocator does not make
    return told(e.get_error_code() == kNoMemory ? LT_MEMORY : LT_OTHER, e.what_without_backtrace());
#endif
  } catch (const c10::NotImplementedError& e) {
    return told(LT_UNSUPPORTED, e.what_without_backtrace());
  } catch (const c10::Error& e) {
    return told(LT_OTHER, e.what_without_backtrace());
  } catch (const std::bad_alloc& e) {
    return told(LT_MEMORY, e.what());
  } catch (const std::exception& e) {
    return told(LT_OTHER, e.what());
  } catch (...) {
    return told(LT_OTHER, "unknown C++ exception");
  }
}
