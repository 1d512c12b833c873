"""Golden values of residual blocks and local heads, by PyTorch."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

import torch

import golden

torch.manual_seed(2)
narrow, wide = torch.randn(4, 4, 8, 8).relu(), torch.randn(4, 8, 4, 4).relu()
cases = {
    "layer1.0": (golden.BasicBlock(4, 4, 1), narrow),
    "layer2.0": (golden.BasicBlock(4, 8, 2), narrow),
    "heads.1": (golden.conv_head(4, 8, 10), narrow),
    "heads.2": (golden.linear_head(8, 10), wide),
}
tensors = {}
for name, (module, x) in cases.items():
    golden.randomise(module)
    tensors.update(golden.layer(name, module, x, prefix=name + "."))
    tensors.update(golden.layer(name + "_eval", module, x, prefix=name + ".", train=False))
golden.save("blocks.safetensors", tensors)
