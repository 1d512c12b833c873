//go:build !lazyengine

#include "aten.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>

#include <cmath>
#include <string>

#include "call.h"
#include "constant.h"
#include "conv.h"
#include "device.h"
#include "host.h"

namespace {

using at::Tensor;

c10::optional<Tensor> maybe(lt_tensor t) {
  if (!t) return c10::nullopt;
  return T(t);
}

std::vector<Tensor> list(const lt_tensor* ts, int n) {
  std::vector<Tensor> out;
  out.reserve(n);
  for (int i = 0; i < n; i++) out.push_back(T(ts[i]));
  return out;
}

// The order of Go's DType constants.
at::ScalarType dtype_of(int d) {
  switch (d) {
    case 0: return at::kFloat;
    case 1: return at::kDouble;
    case 2: return at::kBFloat16;
    case 3: return at::kLong;
    case 4: return at::kByte;
    case 5: return at::kBool;
    case 6: return at::kHalf;
  }
  throw std::invalid_argument("unknown dtype " + std::to_string(d));
}

int dtype_code(at::ScalarType t) {
  switch (t) {
    case at::kFloat: return 0;
    case at::kDouble: return 1;
    case at::kBFloat16: return 2;
    case at::kLong: return 3;
    case at::kByte: return 4;
    case at::kBool: return 5;
    case at::kHalf: return 6;
    default: return -1;
  }
}

at::TensorOptions options(int device, int dtype) {
  return at::TensorOptions().dtype(dtype_of(dtype)).device(device_of(device));
}

// Fills a tensor by a generator of the CPU, wherever the tensor is: a seed means the same on every device.
template <class Fill>
void draw(const Tensor& t, Fill fill) {
  if (t.is_cpu()) return void(fill(t));
  const Tensor here = at::empty_strided(t.sizes(), t.strides(), t.options().device(at::kCPU));
  fill(here);
  refuse_recording("a draw");
  t.copy_(here, /*non_blocking=*/true);
}

}  // namespace

// ---- engine.go

const char* lt_version(void) {
  return TORCH_VERSION;
}
char* lt_blas(void) {
  using Config = char* (*)();
  if (auto f = reinterpret_cast<Config>(dlsym(RTLD_DEFAULT, "openblas_get_config"))) return strdup(f());
  if (dlsym(RTLD_DEFAULT, "mkl_get_version") || at::hasMKL()) return strdup("MKL");
  return strdup("reference BLAS");
}
const char* lt_cpu_capability(void) {
  static std::string s = [] {
    auto c = at::show_config();
    auto i = c.find("CPU capability usage: ");
    if (i == std::string::npos) return std::string("unknown");
    i += strlen("CPU capability usage: ");
    return c.substr(i, c.find('\n', i) - i);
  }();
  return s.c_str();
}
bool lt_has_onednn(void) { return at::hasMKLDNN(); }
void lt_set_threads(int n) {
  process_threads = n;
  at::set_num_threads(n);
  lt_set_blas_threads(n);
}
void lt_set_blas_threads(int n) {
  if (auto f = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) f(n);
}
void lt_set_own_threads(int n) {
  own_threads = n;
  size_team();
}
int lt_threads(void) {
  size_team();
  return at::get_num_threads();
}

// ---- meter.go (allocator in meter.cpp)

int64_t lt_live_tensors(void) { return handles.load(); }

// ---- tensor.go

void lt_free(lt_tensor t) {
  handles.fetch_sub(1, std::memory_order_relaxed);
  delete reinterpret_cast<Tensor*>(t);
}
int lt_dtype(lt_tensor t) { return dtype_code(T(t).scalar_type()); }
int lt_device(lt_tensor t) { return device_code(T(t).device()); }
int lt_dim(lt_tensor t) { return static_cast<int>(T(t).dim()); }
void lt_sizes(lt_tensor t, int64_t* out) {
  auto s = T(t).sizes();
  std::copy(s.begin(), s.end(), out);
}
int64_t lt_nbytes(lt_tensor t) { return static_cast<int64_t>(T(t).nbytes()); }

char* lt_full(int device, int dtype, const int64_t* sizes, int dim, double value, bool channels_last, lt_tensor* out) {
  return call(false, [&] {
    auto o = options(device, dtype);
    if (channels_last) o = o.memory_format(at::MemoryFormat::ChannelsLast);
    auto t = at::empty(at::IntArrayRef(sizes, dim), o);
    *out = wrap(t.fill_(value));
  });
}
char* lt_from_data(int device, int dtype, const int64_t* sizes, int dim, const void* data, size_t nbytes,
                   lt_tensor* out) {
  return call(false, [&] {
    auto t = at::empty(at::IntArrayRef(sizes, dim), options(0, dtype).pinned_memory(device > 0));
    TORCH_CHECK(t.nbytes() == nbytes, "from data: ", nbytes, " bytes given, the shape needs ", t.nbytes());
    if (data) std::memcpy(host(t), data, nbytes);  // else whoever asked writes the elements himself
    *out = wrap(upload(t, device_of(device)));
  });
}
char* lt_constant(int device, int dtype, const int64_t* sizes, int dim, const double* values, size_t n, lt_tensor* out) {
  return call(false, [&] {
    *out = wrap(constant_of({values, values + n}, options(device, dtype)).view(at::IntArrayRef(sizes, dim)));
  });
}
namespace {

// Into memory that a device can copy from on its own. Where none can, that is ordinary memory.
Tensor staged(const void* data, int64_t bytes, at::Device to) {
  auto t = at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(to.is_cuda()));
  std::memcpy(host(t), data, bytes);
  return t;
}

// (pixel/255 − mean)/std on the device, to which bytes travel: a quarter of float32. Its operations and their order, and so
// its bits, are those of the table below; 255 is a tensor, since a constant would be multiplied by its inverse.
Tensor images_on(at::Device device, const uint8_t* pixels, int64_t n, int64_t h, int64_t w, int64_t c, const float* mean,
                 const float* std_) {
  auto bytes = upload_beside(staged(pixels, n * h * w * c, device), device);
  auto t = bytes.view({n, h, w, c}).permute({0, 3, 1, 2}).to(at::kFloat);
  std::vector<float> constants(3 * c, 255.0f);
  std::copy_n(mean, c, constants.begin() + c);
  std::copy_n(std_, c, constants.begin() + 2 * c);
  auto here = staged(constants.data(), static_cast<int64_t>(constants.size() * sizeof(float)), device).view(at::kFloat);
  auto k = upload(here.view({3, 1, c, 1, 1}), device);
  return t.div_(k[0]).sub_(k[1]).div_(k[2]);
}

}  // namespace

// On the CPU through a table of 256 values a channel, straight into channels-last memory.
char* lt_from_images(int device, int dtype, const uint8_t* pixels, int64_t n, int64_t h, int64_t w, int64_t c,
                     const float* mean, const float* std_, lt_tensor* out) {
  return call(false, [&] {
    if (device != 0) {
      auto t = images_on(device_of(device), pixels, n, h, w, c, mean, std_);
      return void(*out = wrap(t.to(dtype_of(dtype))));
    }
    std::vector<float> table(256 * c);
    for (int v = 0; v < 256; v++)
      for (int64_t k = 0; k < c; k++) table[v * c + k] = (static_cast<float>(v) / 255.0f - mean[k]) / std_[k];
    auto t = at::empty({n, c, h, w}, options(0, 0).memory_format(at::MemoryFormat::ChannelsLast));
    float* dst = host<float>(t);
    at::parallel_for(0, n * h * w, 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        for (int64_t k = 0; k < c; k++) dst[i * c + k] = table[pixels[i * c + k] * c + k];
    });
    *out = wrap(t.to(dtype_of(dtype)));
  });
}
char* lt_to_data(lt_tensor t, void* data, size_t nbytes) {
  return call(false, [&] {
    auto c = T(t).detach().to(at::kCPU).contiguous();
    TORCH_CHECK(c.nbytes() == nbytes, "to data: room for ", nbytes, " bytes, the tensor has ", c.nbytes());
    std::memcpy(data, host(c), nbytes);
  });
}
// Where the elements lie; null if that is not in the host's memory, or if they do not lie in row-major order.
char* lt_elements(lt_tensor t, void** out) {
  return call(false, [&] { *out = T(t).device().is_cpu() && T(t).is_contiguous() ? host(T(t)) : nullptr; });
}
char* lt_item(lt_tensor t, double* out) {
  return call(false, [&] { *out = T(t).item<double>(); });
}
char* lt_alias(lt_tensor t, lt_tensor* out) {
  return call(false, [&] { *out = wrap(T(t)); });
}
char* lt_detach(lt_tensor t, lt_tensor* out) {
  return call(false, [&] { *out = wrap(T(t).detach()); });
}
char* lt_zeros_like(lt_tensor t, lt_tensor* out) {
  return call(false, [&] { *out = wrap(at::zeros_like(T(t))); });
}
char* lt_clone(bool grad, lt_tensor t, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(t).clone()); });
}
char* lt_cast(bool grad, lt_tensor t, int dtype, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(t).to(dtype_of(dtype))); });
}
char* lt_channels_last(bool grad, lt_tensor t, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(t).contiguous(at::MemoryFormat::ChannelsLast)); });
}
char* lt_copy_(lt_tensor dst, lt_tensor src) {
  return call(false, [&] {
    TORCH_CHECK(T(dst).sizes() == T(src).sizes(), "copy: shapes ", T(dst).sizes(), " and ", T(src).sizes());
    if (T(dst).device() != T(src).device()) refuse_recording("a copy to another device");
    T(dst).copy_(T(src));
  });
}
char* lt_equal(lt_tensor a, lt_tensor b, bool* out) {
  return call(false, [&] { *out = at::equal(T(a), T(b)); });
}
char* lt_all_finite(const lt_tensor* ts, int n, bool* out) {
  return call(false, [&] {
    *out = true;
    // A sum is finite only if every term is. One that is not may be of finite terms, near the largest there are.
    for (int i = 0; i < n && *out; i++)
      *out = std::isfinite(T(ts[i]).sum().item<double>()) || T(ts[i]).isfinite().all().item<bool>();
  });
}

// ---- random.go

char* lt_normal_(lt_tensor t, double mean, double std_, uint64_t seed) {
  return call(false, [&] {
    draw(T(t), [&](const Tensor& to) { to.normal_(mean, std_, at::make_generator<at::CPUGeneratorImpl>(seed)); });
  });
}
char* lt_uniform_(lt_tensor t, double low, double high, uint64_t seed) {
  return call(false, [&] {
    draw(T(t), [&](const Tensor& to) { to.uniform_(low, high, at::make_generator<at::CPUGeneratorImpl>(seed)); });
  });
}
char* lt_chance(lt_tensor like, double p, uint64_t seed, lt_tensor* out) {
  return call(false, [&] {
    auto t = at::empty(T(like).sizes(), at::TensorOptions(at::kBool));
    *out = wrap(upload(t.bernoulli_(p, at::make_generator<at::CPUGeneratorImpl>(seed)), T(like).device()));
  });
}

// ---- layers.go

char* lt_conv2d(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, int64_t stride, int64_t padding, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(convolve(T(x), T(w), maybe(b), stride, padding)); });
}
char* lt_linear(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::linear(T(x), T(w), maybe(b))); });
}
char* lt_batch_norm(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, lt_tensor mean, lt_tensor var, bool train,
                    double momentum, double eps, lt_tensor* out) {
  return call(grad, [&] {
    *out = wrap(at::batch_norm(T(x), maybe(w), maybe(b), maybe(mean), maybe(var), train, momentum, eps, false));
  });
}
char* lt_relu(bool grad, lt_tensor x, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::relu(T(x))); });
}
char* lt_relu_(bool grad, lt_tensor x) {
  return call(grad, [&] { at::relu_(T(x)); });
}
char* lt_tanh(bool grad, lt_tensor x, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::tanh(T(x))); });
}
char* lt_flatten(bool grad, lt_tensor x, int64_t start, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(x).flatten(start)); });
}
char* lt_cross_entropy(bool grad, lt_tensor logits, lt_tensor labels, double smoothing, lt_tensor* out) {
  return call(grad, [&] {
    if (!T(labels).is_cpu() && !T(labels).is_floating_point() && smoothing > 0) { // for libtorch's own the processor waits
      const auto p = at::log_softmax(T(logits), 1);
      *out = wrap(p.gather(1, T(labels).unsqueeze(1)).mean() * (smoothing - 1) - p.mean() * smoothing);
      return;
    }
    if (T(labels).is_floating_point() || smoothing > 0) {
      *out = wrap(at::cross_entropy_loss(T(logits), T(labels), {}, at::Reduction::Mean, /*ignore_index=*/-100, smoothing));
      return;
    }
    // log Σⱼ exp(zⱼ − z_y), the label's own term a constant: where p_y is nearly 1, the gradient p_y − 1 of the usual
    // form is all rounding, and −Σ p_j over the others is not.
    auto y = T(labels).unsqueeze(1);
    auto margins = (T(logits) - T(logits).gather(1, y)).scatter(1, y, 0);
    *out = wrap(margins.logsumexp(1).mean());
  });
}
// Labels as rows of zeros with a one. libtorch's own looks at the labels first, for which the processor waits on a device.
static at::Tensor one_hot(const at::Tensor& labels, int64_t classes, at::ScalarType type) {
  if (labels.is_cpu()) return at::one_hot(labels, classes).to(type);
  auto rows = at::zeros({labels.size(0), classes}, labels.options().dtype(type));
  return rows.scatter_(1, labels.unsqueeze(1), 1);
}

char* lt_cross_entropy_tangent(bool grad, lt_tensor along, lt_tensor logits, lt_tensor labels, double smoothing,
                               lt_tensor* out) {
  return call(grad, [&] {
    const auto p = at::softmax(T(logits), 1), &t = T(along);
    if (T(labels).is_floating_point() || smoothing > 0) {
      const auto classes = p.size(1);
      auto q = T(labels).is_floating_point() ? T(labels).to(p.scalar_type())
                                             : one_hot(T(labels), classes, p.scalar_type());
      q = q * (1 - smoothing) + smoothing / static_cast<double>(classes);
      *out = wrap(((p - q) * t).sum(1).mean());
      return;
    }
    // Σⱼ p_j (ṫ_j − ṫ_y) over the other classes: see above.
    auto y = T(labels).unsqueeze(1);
    *out = wrap((p.scatter(1, y, 0) * (t - t.gather(1, y))).sum(1).mean());
  });
}
char* lt_softmax(bool grad, lt_tensor x, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::softmax(T(x), -1)); });
}
char* lt_one_hot(bool grad, lt_tensor labels, int64_t classes, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(one_hot(T(labels), classes, at::kFloat)); });
}
char* lt_topk_correct(lt_tensor logits, lt_tensor labels, int64_t k, lt_tensor* out) {
  return call(false, [&] {
    // Counted by rank, so that classes that tie with the label count against it: a constant output scores nothing.
    auto scores = T(logits).to(at::kFloat);
    auto own = scores.gather(1, T(labels).unsqueeze(1));
    auto above = (scores >= own).sum(1) - 1;
    *out = wrap((above < k).logical_and(own.squeeze(1).isfinite()).sum());
  });
}

// ---- shape.go

char* lt_reshape(bool grad, lt_tensor x, const int64_t* sizes, int dim, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(x).reshape(at::IntArrayRef(sizes, dim))); });
}
char* lt_permute(bool grad, lt_tensor x, const int64_t* dims, int dim, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(x).permute(at::IntArrayRef(dims, dim))); });
}
char* lt_expand(bool grad, lt_tensor x, const int64_t* sizes, int dim, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(x).expand(at::IntArrayRef(sizes, dim))); });
}
char* lt_narrow(bool grad, lt_tensor x, int64_t dim, int64_t start, int64_t length, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(x).narrow(dim, start, length)); });
}
char* lt_cat(bool grad, lt_tensor a, lt_tensor b, int64_t dim, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::cat({T(a), T(b)}, dim)); });
}
char* lt_index_select(bool grad, lt_tensor x, lt_tensor index, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::index_select(T(x), 0, T(index))); });
}

// ---- math.go

char* lt_add(bool grad, lt_tensor a, lt_tensor b, double alpha, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::add(T(a), T(b), alpha)); });
}
char* lt_mul(bool grad, lt_tensor a, lt_tensor b, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::mul(T(a), T(b))); });
}
char* lt_div(bool grad, lt_tensor a, lt_tensor b, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::div(T(a), T(b))); });
}
char* lt_scale(bool grad, lt_tensor a, double factor, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::mul(T(a), at::Scalar(factor))); });
}
char* lt_sqrt(bool grad, lt_tensor a, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::sqrt(T(a))); });
}
char* lt_clamp_min(bool grad, lt_tensor a, double min, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::clamp_min(T(a), min)); });
}
char* lt_clamp_max(bool grad, lt_tensor a, double max, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::clamp_max(T(a), max)); });
}
char* lt_max(lt_tensor a, lt_tensor* out) {
  return call(false, [&] { *out = wrap(at::max(T(a))); });
}
char* lt_sum(bool grad, lt_tensor a, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::sum(T(a))); });
}
char* lt_mean_dim(bool grad, lt_tensor a, int64_t dim, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::mean(T(a), {dim})); });
}
char* lt_sum_rows(bool grad, lt_tensor a, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(at::sum(T(a), {1}, true)); });
}
char* lt_is_zero(lt_tensor a, lt_tensor* out) {
  return call(false, [&] { *out = wrap(at::eq(T(a), 0)); });
}
char* lt_mul_(bool grad, lt_tensor a, lt_tensor b) {
  return call(grad, [&] { T(a).mul_(T(b)); });
}
char* lt_zero_where(bool grad, lt_tensor a, lt_tensor mask, double scale, lt_tensor* out) {
  return call(grad, [&] { *out = wrap(T(a).masked_fill(T(mask), 0).mul_(scale)); });
}
char* lt_zero_where_(bool grad, lt_tensor a, lt_tensor mask) {
  return call(grad, [&] { T(a).masked_fill_(T(mask), 0); });
}
char* lt_add_(bool grad, lt_tensor a, lt_tensor b, double alpha) {
  return call(grad, [&] { T(a).add_(T(b), alpha); });
}
char* lt_add_scalar_(lt_tensor a, double value) {
  return call(false, [&] { T(a).add_(T(a).is_floating_point() ? at::Scalar(value) : at::Scalar(static_cast<int64_t>(value))); });
}

char* lt_norm(lt_tensor a, double* out) {
  return call(false, [&] { *out = at::norm(T(a)).item<double>(); });
}

// ---- autograd.go

int64_t lt_recorded(void) { return recorded.load(); }

char* lt_set_requires_grad(lt_tensor t, bool on) {
  return call(false, [&] { T(t).set_requires_grad(on); });
}
char* lt_grad(lt_tensor y, lt_tensor grad_output, const lt_tensor* inputs, int n, bool create_graph, bool retain_graph,
              lt_tensor* outs) {
  return call(create_graph, [&] {
    std::vector<Tensor> dy;
    if (grad_output) dy.push_back(T(grad_output));
    auto grads = torch::autograd::grad({T(y)}, list(inputs, n), dy, retain_graph || create_graph, create_graph,
                                       /*allow_unused=*/true);
    for (int i = 0; i < n; i++) outs[i] = grads[i].defined() ? wrap(std::move(grads[i])) : nullptr;
  });
}

// ---- foreach.go

char* lt_foreach_scale_(const lt_tensor* a, int n, double factor) {
  return call(false, [&] { at::_foreach_mul_(list(a, n), at::Scalar(factor)); });
}
char* lt_foreach_add_(const lt_tensor* a, const lt_tensor* b, int n, double alpha) {
  return call(false, [&] { at::_foreach_add_(list(a, n), list(b, n), at::Scalar(alpha)); });
}
char* lt_foreach_addcmul_(const lt_tensor* a, const lt_tensor* b, const lt_tensor* c, int n, double alpha) {
  return call(false, [&] { at::_foreach_addcmul_(list(a, n), list(b, n), list(c, n), at::Scalar(alpha)); });
}
char* lt_foreach_addcdiv_(const lt_tensor* a, const lt_tensor* b, const lt_tensor* c, int n, double alpha) {
  return call(false, [&] { at::_foreach_addcdiv_(list(a, n), list(b, n), list(c, n), at::Scalar(alpha)); });
}
char* lt_foreach_sqrt_of_(const lt_tensor* a, const lt_tensor* b, int n, double factor, double eps) {
  return call(false, [&] {
    if (T(a[0]).is_cpu()) {
      for (int i = 0; i < n; i++) at::sqrt_out(T(a[i]), T(b[i]));
    } else {  // three launches instead of one a tensor
      at::_foreach_zero_(list(a, n));
      at::_foreach_add_(list(a, n), list(b, n));
      at::_foreach_sqrt_(list(a, n));
    }
    at::_foreach_mul_(list(a, n), at::Scalar(factor));
    at::_foreach_add_(list(a, n), at::Scalar(eps));
  });
}
