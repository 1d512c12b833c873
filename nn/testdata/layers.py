"""Golden values of the layers, by PyTorch: output, gradients, statistics."""

import sys
from collections import OrderedDict

sys.dont_write_bytecode = True
sys.path.append("../nntest")

import torch
from torch import nn

import golden


class AddReLU(nn.BatchNorm2d):
    def forward(self, x):
        return torch.relu(super().forward(x) + x)


class CrossEntropy(nn.Module):
    def __init__(self, labels):
        super().__init__()
        self.labels = labels

    def forward(self, x):
        return nn.functional.cross_entropy(x, self.labels)


torch.manual_seed(1)
images, maps, rows = torch.randn(4, 3, 8, 8), torch.randn(4, 6, 8, 8) * 2 + 0.5, torch.randn(6, 10) * 2
labels = torch.randint(10, (6,))
conv, norm = golden.conv_norm(3, 6)
cases = {
    "conv3x3": (nn.Conv2d(3, 6, 3, 1, 1, bias=False), images),
    "conv3x3s2": (nn.Conv2d(3, 6, 3, 2, 1, bias=False), images),
    "conv3x3s2odd": (nn.Conv2d(3, 6, 3, 2, 1, bias=False), images[:, :, :7, :7]),
    "conv1x1s2": (nn.Conv2d(3, 6, 1, 2, bias=False), images),
    "linear": (nn.Linear(10, 7), rows),
    "batchnorm": (nn.BatchNorm2d(6), maps),
    "batchnorm_eval": (nn.BatchNorm2d(6), maps),
    "conv_norm_relu": (nn.Sequential(OrderedDict(conv1=conv, bn1=norm, relu=nn.ReLU())), images),
    "conv_norm_relu_eval": (nn.Sequential(OrderedDict(conv1=conv, bn1=norm, relu=nn.ReLU())), images),
    "add_relu": (AddReLU(6), maps),
    "add_relu_eval": (AddReLU(6), maps),
    "relu": (nn.ReLU(), maps),
    "gelu": (nn.GELU(), maps),
    "avgpool1": (nn.AdaptiveAvgPool2d(1), maps),
    "avgpool2": (nn.AdaptiveAvgPool2d(2), maps),
    "flatten": (nn.Flatten(), images),
    "cross_entropy": (CrossEntropy(labels), rows),
    "softmax": (nn.Softmax(-1), rows),
}
tensors = {"labels": labels}
for name, (module, x) in cases.items():
    golden.randomise(module)
    tensors.update(golden.layer(name, module, x, train=not name.endswith("_eval")))
golden.save("layers.safetensors", tensors)
