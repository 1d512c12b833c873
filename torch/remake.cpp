//go:build !lazyengine

// The product that makes its input again.
#include "remake.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include "call.h"
#include "node.h"
#include "product.h"

namespace {

using at::Tensor;
using torch::autograd::variable_list;

// A tensor that is kept only as long as somebody else does.
class Borrowed {
 public:
  Borrowed() = default;
  explicit Borrowed(const Tensor& x)
      : storage_(x.storage().getWeakStorageImpl()),
        offset_(x.storage_offset()),
        sizes_(x.sizes()),
        strides_(x.strides()),
        options_(x.options()) {}

  // The tensor, or none.
  Tensor take() const {
    const auto held = storage_.lock();
    if (!held) return {};
    return at::empty({0}, options_).set_(c10::Storage(held), offset_, sizes_, strides_);
  }

 private:
  c10::weak_intrusive_ptr<c10::StorageImpl> storage_{c10::intrusive_ptr<c10::StorageImpl>()};
  int64_t offset_ = 0;
  at::DimVector sizes_, strides_;
  at::TensorOptions options_;
};

struct RemakingProductBackward final : torch::autograd::Node {
  enum Input { kX, kWeight, kBias, kInputs };

  Borrowed x;
  torch::autograd::SavedVariable w;
  Product product;

  std::string name() const override { return "RemakingProductBackward"; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    w.reset_data();
  }

  variable_list apply(variable_list&& grads) override {
    std::lock_guard<std::mutex> lock(mutex_);
    TORCH_CHECK(!at::GradMode::is_enabled(), "product: one that makes its input again can be differentiated once");
    const Tensor dy = std::move(grads[0]);
    variable_list out(kInputs);
    if (!dy.defined()) return out;
    // It goes back to the one that made the input, whose turn is later: what that keeps is still there.
    auto& source = static_cast<Remaker&>(*next_edge(kX).function);
    const Tensor weight = w.unpack(), like = source.like();
    if (task_should_compute_output(kWeight) || task_should_compute_output(kBias)) {
      Tensor input = x.take();
      if (!input.defined()) input = source.remake();
      std::tie(out[kWeight], out[kBias]) = product.to_weight(dy, input, weight, task_should_compute_output(kBias));
    }
    if (task_should_compute_output(kX)) out[kX] = product.to_input(dy, like, weight);
    return out;
  }
};

}  // namespace

bool remakable(const Tensor& x) {
  const auto& made = x.grad_fn();
  const auto* source = dynamic_cast<const Remaker*>(made.get());
  return source && source->remakes();
}

Tensor product_remaking(const Tensor& x, const Tensor& w, const c10::optional<Tensor>& b, int64_t stride,
                        int64_t padding) {
  const Product product{stride, padding};
  if (!at::GradMode::is_enabled() || !remakable(x)) return product.apply(x, w, b);
  Tensor y;
  {
    const at::NoGradGuard plain;
    y = product.apply(x, w, b);
  }
  auto node = make_node<RemakingProductBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(x, w, b.value_or(Tensor())));
  node->x = Borrowed(x);
  node->w = torch::autograd::SavedVariable(w, false);
  node->product = product;
  torch::autograd::create_gradient_edge(y, node);
  return y;
}

char* lt_product_remaking(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, int64_t stride, int64_t padding,
                          lt_tensor* out) {
  return call(grad, [&] {
    const auto bias = b ? c10::optional<Tensor>(T(b)) : c10::nullopt;
    *out = wrap(product_remaking(T(x), T(w), bias, stride, padding));
  });
}
bool lt_remakable(lt_tensor t) { return remakable(T(t)); }
