// The processes that each have an equal part of a batch: statistics are those of all parts.
#pragma once
#include "aten.h"

#include "shim.h"

struct Peers : lt_peers {
  bool any() const { return count > 1; }

  // Rows of the whole batch, of which this part has so many.
  double rows(double own) const { return any() ? own * count : own; }

  // Overwrites values by their sum over all parts, which has the same bits everywhere.
  void sum(double* values, int64_t n) const {
    if (any()) TORCH_CHECK(ltPeersSum(id, values, n), "the sum over the parts of a batch has failed");
  }

  // The sum of a tensor over all parts, in float64, on its device.
  at::Tensor sum(const at::Tensor& t) const {
    at::Tensor host = at::empty(t.sizes(), at::kDouble);
    host.copy_(t);
    sum(host.data_ptr<double>(), host.numel());
    return host.to(t.device());
  }
};
