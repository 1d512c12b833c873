"""What the scripts that make golden values share: the file format, and the networks as plain PyTorch modules."""

import json
import struct
import zlib
from collections import OrderedDict

import torch
from torch import nn

torch.set_num_threads(1)

TYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}


def save(path, tensors):
    """Writes a safetensors file: length of the header, the header as JSON, the raw data."""
    header, blob = {}, b""
    for name, t in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        raw = t.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": TYPES[t.dtype], "shape": list(t.shape), "data_offsets": [len(blob), len(blob) + len(raw)]}
        blob += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def conv_norm(inputs, outputs, k=3, stride=1):
    return nn.Conv2d(inputs, outputs, k, stride, k // 2, bias=False), nn.BatchNorm2d(outputs)


class BasicBlock(nn.Module):
    """He et al. 2016, with a projection where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, outputs, stride=stride)
        self.conv2, self.bn2 = conv_norm(outputs, outputs)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))

    def forward(self, x):
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(h)) + self.downsample(x))


def conv_head(inputs, width, classes):
    conv, bn1 = conv_norm(inputs, width)
    return nn.Sequential(OrderedDict(
        conv=conv, bn1=bn1, relu=nn.ReLU(), pool=nn.AdaptiveAvgPool2d(2), bn2=nn.BatchNorm2d(width),
        flatten=nn.Flatten(), fc=nn.Linear(4 * width, classes)))


def linear_head(inputs, classes):
    return nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(inputs, classes)))


def randomise(module):
    """Draws every parameter and statistic, so that no scale is 1 and no shift 0."""
    for name, t in module.state_dict().items():
        if t.dim() > 1:
            nn.init.kaiming_normal_(t)
        elif name.endswith(("running_var", "bn1.weight", "bn2.weight", "1.weight")) or name == "weight":
            t.uniform_(0.5, 1.5)
        elif t.dim() == 1:
            t.normal_(0, 0.3)


def layer(case, module, x, prefix="", train=True):
    """Output and gradients of sum(out * probe), probe fixed and random, under names that begin with the case's."""
    before = {f"{case}|param|{prefix}{n}": t.clone() for n, t in module.state_dict().items()}
    module.train(train)
    x = x.clone().requires_grad_()
    out = module(x)
    probe = torch.randn_like(out)
    names, theta = [n for n, _ in module.named_parameters()], list(module.parameters())
    grad_in, *grads = torch.autograd.grad((out * probe).sum(), [x] + theta)
    grads = {f"{case}|grad|{prefix}{n}": g for n, g in zip(names, grads)}
    after = {f"{case}|after|{prefix}{n}": b.clone() for n, b in module.named_buffers()}
    values = {f"{case}|in": x, f"{case}|out": out, f"{case}|probe": probe, f"{case}|grad_in": grad_in}
    return {**before, **grads, **after, **values}


def formula(name, shape):
    """Values in [-1, 1) that depend on the name alone: nntest's Formula."""
    mask, n = 0xFFFFFFFF, 1
    for d in shape:
        n *= d
    x = (torch.arange(n) * 2654435761 + zlib.crc32(name.encode())) & mask
    x = ((x ^ x >> 15) * 2246822519) & mask
    x = ((x ^ x >> 13) * 3266489917) & mask
    x = x ^ x >> 16
    return (x.double() / 2**31 - 1).view(shape)


def fill(module, embeddings=("cls_token", "pos_embed", "relative_position_bias_table")):
    """Overwrites parameters and statistics by the formula: nntest's Fill."""
    for name, t in module.state_dict().items():
        last = name.split(".")[-1]
        if not t.is_floating_point():
            continue
        if last in embeddings:
            add, times = 0, 0.5
        elif t.dim() > 1:
            add, times = 0, (3 * t.shape[0] / t.numel()) ** 0.5
        elif last in ("weight", "running_var"):
            add, times = 1, 0.5
        else:
            add, times = 0, 0.3
        t.copy_(add + times * formula(name, t.shape))


def digest(key, t):
    """The norm and one inner product: nntest's CheckDigest."""
    return torch.stack([t.norm(), (t * formula(key, (t.numel(),)).view(t.shape)).sum()])


def network(case, module, shape):
    """Results of a whole network with formula weights, in float64: outputs, and of every gradient of sum(out * probe) and
    every statistic the digest."""
    module = module.double()
    fill(module)
    x = (1.7 * formula("input", shape)).requires_grad_()
    values = {f"{case}|eval": module.eval()(x)}
    out = module.train()(x)
    values[f"{case}|out"] = out
    names, theta = [n for n, _ in module.named_parameters()], list(module.parameters())
    grads = torch.autograd.grad((out * formula("probe", out.shape)).sum(), [x] + theta)
    for name, g in zip(["input"] + names, grads):
        values[f"{case}|grad|{name}"] = digest(f"grad|{name}", g)
    for name, b in module.named_buffers():
        if b.is_floating_point():
            values[f"{case}|after|{name}"] = digest(f"after|{name}", b)
    return values
