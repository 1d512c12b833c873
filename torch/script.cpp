//go:build !lazyengine

// Networks as TorchScript archives: written from source and parameters, and run, to be compared with ours.
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <map>
#include <sstream>
#include <string>

#include "call.h"

namespace {

using torch::jit::Module;

// A module of an archive while it is put together: parameters by their last name, modules by theirs.
struct Branch {
  std::vector<std::tuple<std::string, at::Tensor, bool>> parameters;
  std::vector<std::string> order;
  std::map<std::string, Branch> children;

  void add(const std::string& name, const at::Tensor& value, bool buffer) {
    const auto dot = name.find('.');
    if (dot == std::string::npos) {
      parameters.emplace_back(name, value, buffer);
      return;
    }
    const std::string first = name.substr(0, dot);
    if (!children.count(first)) order.push_back(first);
    children[first].add(name.substr(dot + 1), value, buffer);
  }

  Module module(const std::shared_ptr<torch::jit::CompilationUnit>& unit) const {
    Module m("__torch__.Network", unit, true);
    for (const auto& [name, value, buffer] : parameters) m.register_parameter(name, value, buffer);
    for (const auto& name : order) m.register_module(name, children.at(name).module(unit));
    return m;
  }
};

}  // namespace

extern "C" {

char* lt_script_save(const char* path, const char* source, int n, const char** names, const lt_tensor* values, const bool* buffers,
                     int constants, const char** constant_names, const lt_tensor* constant_values,
                     int files, const char** file_names, const char** file_texts) {
  return call(false, [&] {
    Branch root;
    for (int i = 0; i < n; i++) root.add(names[i], T(values[i]).detach().contiguous(), buffers[i]);
    Module m = root.module(std::make_shared<torch::jit::CompilationUnit>());
    for (int i = 0; i < constants; i++) {
      m.register_attribute(constant_names[i], c10::TensorType::get(), T(constant_values[i]).contiguous(), false, false);
    }
    m.define(source);
    m.eval();
    torch::jit::ExtraFilesMap extra;
    for (int i = 0; i < files; i++) extra[file_names[i]] = file_texts[i];
    m.save(path, extra);
  });
}

char* lt_script_run(const char* path, lt_tensor x, lt_tensor* out) {
  return call(false, [&] { *out = wrap(torch::jit::load(path, at::kCPU).forward({T(x)}).toTensor()); });
}

}  // extern "C"
