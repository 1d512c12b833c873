"""Golden values of local heads, by PyTorch: small widths, weights by formula."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

from collections import OrderedDict

import torch
from torch import nn

import golden


class Head(nn.Module):
    """The head of module 1, behind whatever brings features into its form."""

    def __init__(self, *layers, before=None):
        super().__init__()
        self.before = before or (lambda x: x)
        self.heads = nn.ModuleDict({"1": nn.Sequential(OrderedDict(layers))})

    def forward(self, x):
        return self.heads["1"](self.before(x))


def conv(place, inputs, outputs, k=1, stride=1, names=("conv", "bn")):
    layer, norm = golden.conv_norm(inputs, outputs, k, stride)
    return [(f"{names[0]}{place}", layer), (f"{names[1]}{place}", norm), (f"relu{names[1]}{place}", nn.ReLU())]


def linear(i, place, width, out, bias):
    return [(f"fc{i}", nn.Linear(width, out, bias)), (f"bn{place}", nn.BatchNorm1d(out)), (f"relubn{place}", nn.ReLU())]


def pool(side, flatten=True):
    return [(f"pool{side}", nn.AdaptiveAvgPool2d(side))] + flatten * [("flatten", nn.Flatten())]


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


def fold(x):
    """Tokens behind a class token to the map of their grid."""
    return x[:, 1:].transpose(1, 2).reshape(x.shape[0], x.shape[2], 3, 4)


norm, fc = ("norm", nn.LayerNorm(6, eps=1e-6)), ("fc", nn.Linear(6, 10))
cases = {
    "tokens_mean": (Head(norm, ("mean", Mean()), fc), (4, 13, 6)),
    "tokens_class": (Head(norm, fc, before=lambda x: x[:, 0]), (4, 13, 6)),
    "tokens_map": (Head(norm, ("mean", Mean()), fc, before=lambda x: x.flatten(2).transpose(1, 2)), (4, 6, 3, 4)),
    "linear_folded": (Head(*pool(1), fc, before=fold), (4, 13, 6)),
    "dgl": (Head(
        *pool(3, False), *conv(1, 4, 4), *conv(2, 4, 4), *conv(3, 4, 4), *pool(2), *linear(1, 4, 16, 16, True),
        *linear(2, 5, 16, 16, True), *linear(3, 6, 16, 16, True), ("fc", nn.Linear(16, 10))), (6, 4, 9, 9)),
    "infopro16": (Head(
        *conv(1, 16, 32, 3, 2), *pool(1), ("fc1", nn.Linear(32, 128)), ("relu", nn.ReLU()), ("fc2", nn.Linear(128, 10))),
        (4, 16, 8, 8)),
    "infopro64": (Head(
        *conv(1, 64, 64, 3, 1), *pool(1), ("fc1", nn.Linear(64, 128)), ("relu", nn.ReLU()), ("fc2", nn.Linear(128, 10))),
        (4, 64, 4, 4)),
    "projector": (Head(
        *conv("", 4, 8), *pool(1), *linear(1, 1, 8, 12, False), *linear(2, 2, 12, 12, False),
        ("fc3", nn.Linear(12, 9, False))), (6, 4, 5, 5)),
}
tensors = {}
for name, (head, shape) in cases.items():
    tensors.update(golden.network(name, head, shape))
golden.save("heads.safetensors", tensors)
