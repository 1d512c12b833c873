//go:build !lazyengine

// Tensors as what they are in memory: what is sent must arrive in the same layout, since kernels are chosen by it.
#include "../call.h"
#include "dist.h"

namespace {

at::ScalarType scalar_type(int dtype) {
  constexpr at::ScalarType types[] = {at::kFloat, at::kDouble, at::kBFloat16, at::kLong, at::kByte, at::kBool};
  TORCH_CHECK(dtype >= 0 && dtype < 6, "no such type: ", dtype);
  return types[dtype];
}

at::Tensor dense(const at::Tensor& t) {
  return t.is_non_overlapping_and_dense() ? t.detach() : t.detach().contiguous();
}

// All elements of a dense tensor in the order of memory.
at::Tensor flat(const at::Tensor& t) { return t.as_strided({t.numel()}, {1}, t.storage_offset()); }

}  // namespace

char* dist_dense(lt_tensor t, lt_tensor* out) {
  return call(false, [&] { *out = wrap(dense(T(t))); });
}

char* dist_flat(lt_tensor t, lt_tensor* out) {
  return call(false, [&] {
    TORCH_CHECK(T(t).is_non_overlapping_and_dense(), "the tensor has gaps");
    *out = wrap(flat(T(t).detach()));
  });
}

int dist_strides(lt_tensor t, int64_t* out) {
  const auto strides = T(t).strides();
  std::copy(strides.begin(), strides.end(), out);
  return static_cast<int>(strides.size());
}

char* dist_empty(int device, int dtype, int dim, const int64_t* sizes, const int64_t* strides, lt_tensor* out) {
  return call(false, [&] {
    auto where = at::TensorOptions(scalar_type(dtype));
    if (device > 0) where = where.device(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device - 1)));
    if (device < 0) where = where.device(at::Device(c10::DeviceType::PrivateUse1, 0));
    *out = wrap(at::empty_strided(at::IntArrayRef(sizes, dim), at::IntArrayRef(strides, dim), where));
  });
}

char* dist_pack(const lt_tensor* ts, int n, const double* tail, int tails, lt_tensor* out) {
  return call(false, [&] {
    int64_t total = 0;
    for (int i = 0; i < n; i++) total += T(ts[i]).numel();
    at::Tensor bucket = at::empty({total + tails}, n > 0 ? T(ts[0]).options().requires_grad(false) : at::TensorOptions(at::kFloat));
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
      const at::Tensor each = dense(T(ts[i]));
      bucket.narrow(0, at, each.numel()).copy_(flat(each));
      at += each.numel();
    }
    for (int i = 0; i < tails; i++) bucket.select(0, total + i).fill_(tail[i]);
    *out = wrap(bucket);
  });
}

char* dist_unpack(lt_tensor bucket, const lt_tensor* like, int n, lt_tensor* out) {
  return call(false, [&] {
    int64_t at = T(bucket).storage_offset();
    for (int i = 0; i < n; i++) {
      const at::Tensor each = dense(T(like[i]));
      out[i] = wrap(T(bucket).as_strided(each.sizes(), each.strides(), at));
      at += each.numel();
    }
  });
}

char* dist_tail(lt_tensor bucket, int tails, double* out) {
  return call(false, [&] {
    const at::Tensor end = T(bucket).narrow(0, T(bucket).numel() - tails, tails).to(at::kCPU, at::kDouble).contiguous();
    std::copy_n(end.data_ptr<double>(), tails, out);
  });
}

char* dist_to_host(lt_tensor t, lt_tensor* out) {
  return call(false, [&] { *out = wrap(T(t).to(at::kCPU)); });
}
