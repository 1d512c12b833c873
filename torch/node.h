// Nodes of the autograd graph, which libtorch shares by one pointer type or, since 2.x, by another.
#pragma once
#include "aten.h"

#include <torch/csrc/autograd/function.h>

template <class Node>
std::shared_ptr<Node> make_node(std::shared_ptr<torch::autograd::Node>*) {
  return std::make_shared<Node>();
}
template <class Node>
c10::intrusive_ptr<Node> make_node(c10::intrusive_ptr<torch::autograd::Node>*) {
  return c10::make_intrusive<Node>();
}
template <class Node>
auto make_node() {
  return make_node<Node>(static_cast<decltype(torch::autograd::Edge::function)*>(nullptr));
}
