"""Golden values of what ImageNet's residual networks add, by PyTorch: stem and bottlenecks."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

import torch
from torch import nn

import golden


class Stem(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(inputs, width, 7, 2)

    def forward(self, x):
        return nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(inputs, width, 1)
        self.conv2, self.bn2 = golden.conv_norm(width, width, stride=stride)
        self.conv3, self.bn3 = golden.conv_norm(width, 4 * width, 1)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(*golden.conv_norm(inputs, 4 * width, 1, stride))

    def forward(self, x):
        h = torch.relu(self.bn1(self.conv1(x)))
        h = torch.relu(self.bn2(self.conv2(h)))
        return torch.relu(self.bn3(self.conv3(h)) + self.downsample(x))


torch.manual_seed(3)
images, narrow, middle = torch.randn(2, 3, 16, 16), torch.randn(3, 4, 6, 6).relu(), torch.randn(3, 16, 6, 6).relu()
cases = {
    "stem": (Stem(3, 4), "", images),
    "layer1.0": (Bottleneck(4, 4, 1), "layer1.0.", narrow),
    "layer1.1": (Bottleneck(16, 4, 1), "layer1.1.", middle),
    "layer2.0": (Bottleneck(16, 8, 2), "layer2.0.", middle),
}
tensors = {}
for name, (module, prefix, x) in cases.items():
    golden.randomise(module)
    tensors.update(golden.layer(name, module, x, prefix=prefix))
    tensors.update(golden.layer(name + "_eval", module, x, prefix=prefix, train=False))
golden.save("imagenet.safetensors", tensors)
