"""Golden values of Barlow Twins: the loss itself, and training steps end to end, block by block without noise, and
reconciled, on a residual network of 8 layers, from formula weights, in float64.

Written from the publications' definitions, apart from the Go code: the whole correlation matrix is made and masked, the
reconciliation term is differentiated twice.
"""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

from collections import OrderedDict

import torch
from torch import nn

import golden

WIDTH, WIDTHS, VIEW = 16, (12, 20, 20, 14), 8
LAMBDA, RECONCILE = 0.0051, 300.0


def twins(first, second):
    def normal(z):
        return (z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()

    c = normal(first).T @ normal(second) / len(first)
    own = torch.eye(len(c), dtype=torch.bool)
    return (c[own] - 1).pow(2).sum() + LAMBDA * c[~own].pow(2).sum()


def projector(channels):
    conv, bn = golden.conv_norm(channels, WIDTHS[0], 1)
    layers = [("conv", conv), ("bn", bn), ("relu", nn.ReLU()), ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    for i in (1, 2, 3):
        layers.append((f"fc{i}", nn.Linear(WIDTHS[i - 1], WIDTHS[i], bias=False)))
        if i < 3:
            layers += [(f"bn{i}", nn.BatchNorm1d(WIDTHS[i])), (f"relu{i}", nn.ReLU())]
    return nn.Sequential(OrderedDict(layers))


class Net(nn.Module):
    def __init__(self, modules):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(3, WIDTH)
        self.layer1 = nn.Sequential(golden.BasicBlock(WIDTH, WIDTH, 1))
        self.layer2 = nn.Sequential(golden.BasicBlock(WIDTH, 2 * WIDTH, 2))
        self.layer3 = nn.Sequential(golden.BasicBlock(2 * WIDTH, 4 * WIDTH, 2))
        self.heads = nn.ModuleDict({str(k + 1): projector(WIDTH << (k + 3 - modules)) for k in range(modules)})
        stem = lambda x: self.layer1(torch.relu(self.bn1(self.conv1(x))))
        first, second, third = [self.conv1, self.bn1, self.layer1], [self.layer2], [self.layer3]
        if modules == 1:
            self.bodies, self.own = [lambda x: self.layer3(self.layer2(stem(x)))], [first + second + third]
        else:
            self.bodies, self.own = [stem, self.layer2, self.layer3], [first, second, third]

    def parts(self, k):
        return [p for part in self.own[k] + [self.heads[str(k + 1)]] for p in part.parameters()]


def on_views(f, x):
    return torch.cat([f(x[:VIEW]), f(x[VIEW:])])


def unit(rows):
    rows = rows.flatten(1)
    return rows / rows.norm(dim=1, keepdim=True)


def step(net, optimizers, x, reconcile):
    features, r, losses = x, None, []
    for k, body in enumerate(net.bodies):
        features = features.detach().requires_grad_()
        out = on_views(body, features)
        z = on_views(net.heads[str(k + 1)], out)
        loss = twins(z[:VIEW], z[VIEW:])
        losses.append(loss.detach())
        total = loss
        handed, = torch.autograd.grad(loss, out, retain_graph=True)
        if reconcile and r is not None:
            delta, = torch.autograd.grad(loss, features, create_graph=True)
            total = loss + RECONCILE * (unit(delta) - unit(r)).pow(2).sum() / (2 * VIEW)
        optimizers[k].zero_grad()
        total.backward()
        optimizers[k].step()
        features, r = out, handed
    return losses


def train(name, modules, reconcile):
    net = Net(modules).double()
    golden.fill(net)
    optimizers = [torch.optim.SGD(net.parts(k), lr=0.1, momentum=0.9, weight_decay=5e-4) for k in range(modules)]
    tensors, trained = {}, {n for n, _ in net.named_parameters()}
    for i in range(2):
        before = {n: t.clone() for n, t in net.state_dict().items()}
        losses = step(net, optimizers, golden.formula(f"images {i}", (2 * VIEW, 3, 8, 8)), reconcile)
        tensors[f"{name}|{i}|loss"] = torch.stack(losses)
        for n, t in net.state_dict().items():
            if t.is_floating_point():
                tensors[f"{name}|{i}|{n}"] = golden.digest(n, t - before[n] if n in trained else t).detach()
    return tensors


def main():
    tensors = {}
    for n, d in ((6, 9), (9, 6)):
        z = golden.formula(f"embeddings {n} {d}", (2 * n, d))
        tensors[f"loss {n} {d}"] = twins(z[:n], z[n:]).reshape(1)
    tensors.update(train("barlow", 1, False))
    tensors.update(train("barlow-blockwise", 3, False))
    tensors.update(train("barlow-sgr", 3, True))
    golden.save("twins.safetensors", tensors)


main()
