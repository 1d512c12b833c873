"""Golden values of the network convgroups, narrow, by PyTorch, with formula weights."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

from collections import OrderedDict

import torch
from torch import nn

import golden


def fix(module):
    """Makes a module's weight a buffer, as our network does with what is not trained: no gradient is asked for."""
    weight = module.weight.detach()
    del module.weight
    module.register_buffer("weight", weight)
    return module


class Conv(nn.Sequential):
    def __init__(self, inputs, outputs, pooled):
        layers = [("conv", nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))]
        layers += pooled * [("pool", nn.MaxPool2d(2))]
        super().__init__(OrderedDict(layers + [("norm", fix(nn.BatchNorm2d(outputs, momentum=0.4))), ("gelu", nn.GELU())]))


class Group(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.add_module("0", Conv(inputs, outputs, True))
        self.add_module("1", Conv(outputs, outputs, False))

    def forward(self, x):
        return self._modules["1"](self._modules["0"](x))


class Net(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.whiten = fix(nn.Conv2d(3, 24, 2))
        self.layer1, self.layer2, self.layer3 = Group(24, width), Group(width, 4 * width), Group(4 * width, 4 * width)
        self.fc = nn.Linear(4 * width, classes, bias=False)

    def forward(self, x):
        x = nn.functional.gelu(self.whiten(x))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).amax((2, 3))) / 9


torch.manual_seed(4)
golden.save("convgroups.safetensors", golden.network("convgroups", Net(4, 10), (3, 3, 32, 32)))
