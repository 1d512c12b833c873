"""Golden values of two training steps by the methods without back-propagation and by feedback alignment: digests of every
parameter's update, from formula weights, in float64.

Written from the publications' definitions, apart from the Go code. What that has as closed forms comes from autograd here:
the gradients of etf from its loss, the exact ones of etf-sgr from a double backward, projected signals from the surrogate
loss <y, signal>, feedback alignment from conv(x, B) minus its own value.
"""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.functional import conv2d, cross_entropy, linear, max_pool2d, one_hot
from torch.nn.grad import conv2d_weight

import golden

CLASSES, N, LR, MOMENTUM, DECAY = 10, 8, 0.1, 0.9, 5e-4


class Unit:
    """y = act(W x + b), behind a flattening, in front of a max pool."""

    def __init__(self, name, layer, act, pool=False):
        self.name, self.layer, self.act, self.pool = name, layer, act, pool

    def z(self, x):
        return self.layer(x if isinstance(self.layer, nn.Conv2d) else x.flatten(1))

    def out(self, y):
        return max_pool2d(y, 2) if self.pool else y

    def named(self):
        return [(f"{self.name}.{n}", p) for n, p in self.layer.named_parameters()]

    def elements(self, shape):
        return self.act(self.z(torch.zeros(1, *shape, dtype=torch.float64))).shape[1:]


def plain():
    widths, units, channels = [4, 4, 8, 8, 16, 16], [], 3
    for k, w in enumerate(widths):
        units.append(Unit(f"conv{k + 1}", nn.Conv2d(channels, w, 3, 2 if k in (2, 4) else 1, 1), torch.relu))
        channels = w
    return units, nn.Linear(16, CLASSES), True


def tanh_net():
    return [Unit("conv1", nn.Conv2d(3, 32, 5, padding=2), torch.tanh, True),
            Unit("fc1", nn.Linear(512, 12), torch.tanh)], nn.Linear(12, CLASSES), False


def relu_net():
    return [Unit("conv1", nn.Conv2d(3, 6, 5, bias=False), torch.relu, True)], nn.Linear(24, CLASSES, bias=False), False


def mlp():
    return [Unit(f"fc{k + 1}", nn.Linear(i, 12), torch.relu) for k, i in enumerate([192, 12, 12])], nn.Linear(12, CLASSES), False


class SGD:
    def __init__(self):
        self.momentum = {}

    def step(self, name, p, g):
        g = g + DECAY * p.detach()
        self.momentum[name] = MOMENTUM * self.momentum.get(name, 0) + g
        p.data -= LR * self.momentum[name]


def batch(step):
    x = ((golden.formula(f"images {step}", (N, 3, 8, 8)) + 1) / 2 - 0.45) / 0.3
    return x, torch.tensor([(3 * i + step) % 4 for i in range(N)])


def fixed(name, *shape):
    return (3 * shape[0] / torch.Size(shape).numel()) ** 0.5 * golden.formula(name, shape)


def features(x, side):
    return nn.functional.adaptive_avg_pool2d(x, side).flatten(1) if x.dim() == 4 else x


def side_of(x):
    """The smallest p with C p^2 >= classes - 1."""
    side = 1
    while x.dim() == 4 and x.shape[1] * side**2 < CLASSES - 1:
        side += 1
    return side


class Etf:
    """Every unit by its own head; term is None or (form, lambda, normalize, reduction)."""

    def __init__(self, term=None, reforward=False):
        self.term, self.reforward, self.sizes = term, reforward, []

    def step(self, units, classifier, pooled, x, y, sgd):
        losses, previous = [], None
        for k, unit in enumerate(units):
            x = x.detach().requires_grad_()
            z = unit.z(x)
            out = unit.out(unit.act(z))
            h = features(out, side_of(out))
            loss = cross_entropy(linear(h, fixed(f"heads.{k + 1}.etf", CLASSES, h.shape[1])), y)
            theta = [p for _, p in unit.named()]
            a, delta, handed = torch.autograd.grad(loss, [z, x, out], create_graph=True)
            grads = list(torch.autograd.grad(loss, theta, retain_graph=True))
            if self.term and k > 0:
                self.add(unit, grads, theta, x, a, delta, previous)
            for (name, p), g in zip(unit.named(), grads):
                sgd.step(name, p, g)
            losses.append(loss.detach())
            if self.reforward:
                out = unit.out(unit.act(unit.z(x)))
            x, previous = out, handed.detach()
        return losses

    def add(self, unit, grads, theta, x, a, delta, r):
        form, lam, normalize, reduction = self.term
        if form == "exact":
            s = lam * distance(delta, r, normalize, reduction)
            more = torch.autograd.grad(s, theta, allow_unused=True)
        else:
            leaf = delta.detach().requires_grad_()
            v = torch.autograd.grad(lam * distance(leaf, r, normalize, reduction), leaf)[0]
            w = theta[0]
            more = [conv2d_weight(v, w.shape, a.detach(), unit.layer.stride, unit.layer.padding) if w.dim() == 4
                    else a.detach().T @ v.flatten(1)]
        for i, g in enumerate(more):
            if g is not None:
                if i == 0:
                    self.sizes.append((g.norm() / grads[i].norm()).item())
                grads[i] = grads[i] + g


def distance(delta, r, normalize, reduction):
    delta, r = delta.flatten(1), r.flatten(1)
    if normalize:
        delta, r = (t / t.norm(dim=1, keepdim=True).clamp_min(1e-12) for t in (delta, r))
    squares = (delta - r) ** 2
    return {"mean": squares.mean(), "batch": squares.sum(1).mean(), "sum": squares.sum()}[reduction]


def forward(units, classifier, pooled, x):
    """Inputs of the units, what stands behind their nonlinearities, features, logits."""
    inputs, ys = [], []
    for unit in units:
        inputs.append(x)
        ys.append(unit.act(unit.z(x)))
        x = unit.out(ys[-1])
    h = features(x, 1) if pooled else x.flatten(1)
    return inputs, ys, h, classifier(h)


def learn_classifier(classifier, delta, h, sgd):
    sgd.step("fc.weight", classifier.weight, delta.T @ h)
    if classifier.bias is not None:
        sgd.step("fc.bias", classifier.bias, delta.sum(0))


class Projected:
    def __init__(self, targets):
        self.targets = targets

    def step(self, units, classifier, pooled, x, y, sgd):
        inputs, ys, h, logits = forward(units, classifier, pooled, x)
        t = one_hot(y, CLASSES).double()
        e = logits.softmax(1).detach() - t
        loss = cross_entropy(logits, y).detach()
        updates = []
        for k, unit in enumerate(units):
            again = unit.act(unit.z(inputs[k].detach()))
            matrix = fixed(f"feedback.{k + 1}.weight", again[0].numel(), CLASSES)
            signal = ((t if self.targets else e) @ matrix.T).view(again.shape) / N
            updates.append(torch.autograd.grad((again * signal).sum(), [p for _, p in unit.named()]))
        learn_classifier(classifier, e / N, h.detach(), sgd)
        for unit, grads in zip(units, updates):
            for (name, p), g in zip(unit.named(), grads):
                sgd.step(name, p, g)
        return [loss]


class Pepita:
    def __init__(self, first):
        self.first = first

    @torch.no_grad()
    def step(self, units, classifier, pooled, x, y, sgd):
        t = one_hot(y, CLASSES).double()
        inputs, ys, h, logits = forward(units, classifier, pooled, x)
        e = logits.softmax(1) - t
        matrix = fixed("feedback.1.weight", x[0].numel(), CLASSES)
        inputs, mod, h, again = forward(units, classifier, pooled, x + (e @ matrix.T).view(x.shape))
        updates = []
        for k, unit in enumerate(units):
            diff = ys[k] - mod[k]
            if diff.dim() == 4:
                diff = diff / (N * diff.shape[2] * diff.shape[3])
                g = [conv2d_weight(inputs[k], unit.layer.weight.shape, diff, unit.layer.stride, unit.layer.padding),
                     diff.sum((0, 2, 3))]
            else:
                g = [diff.T @ inputs[k].flatten(1) / N, diff.sum(0) / N]
            updates.append(g)
        learn_classifier(classifier, (e if self.first else again.softmax(1) - t) / N, h, sgd)
        for unit, grads in zip(units, updates):
            for (name, p), g in zip(unit.named(), grads):
                sgd.step(name, p, g)
        return [cross_entropy(logits, y)]


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(3, 4)
        self.layer1 = nn.Sequential(golden.BasicBlock(4, 4, 1))
        self.layer2 = nn.Sequential(golden.BasicBlock(4, 8, 2))
        self.layer3 = nn.Sequential(golden.BasicBlock(8, 16, 2))
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.fc(self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))).mean((2, 3)))


class PlainNet(nn.Module):
    def __init__(self):
        super().__init__()
        units, self.fc, _ = plain()
        for u in units:
            self.add_module(u.name, u.layer)
        self.names = [u.name for u in units]

    def forward(self, x):
        for name in self.names:
            x = torch.relu(getattr(self, name)(x))
        return self.fc(x.mean((2, 3)))


def misalign(name, layer):
    """Gives a layer another weight in the backward pass, without a word about autograd."""
    back = fixed(f"feedback.1.{name}.weight", *layer.weight.shape)

    def forward(x):
        if layer.weight.dim() == 4:
            by_back = conv2d(x, back, None, layer.stride, layer.padding)
            true = conv2d(x.detach(), layer.weight, layer.bias, layer.stride, layer.padding)
        else:
            by_back, true = linear(x, back), linear(x.detach(), layer.weight, layer.bias)
        return true + by_back - by_back.detach()

    layer.forward = forward


def feedback_alignment(case, net):
    net = net.double()
    golden.fill(net)
    for name, layer in net.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            misalign(name, layer)
    sgd, tensors = SGD(), {}
    for step in (0, 1):
        before = {n: t.clone() for n, t in net.state_dict().items()}
        x, y = batch(step)
        loss = cross_entropy(net(x), y)
        names, theta = zip(*net.named_parameters())
        for name, p, g in zip(names, theta, torch.autograd.grad(loss, theta)):
            sgd.step(name, p, g)
        tensors[f"{case}|{step}|loss"] = loss.detach()[None]
        for name, t in net.state_dict().items():
            if t.is_floating_point():
                value = t - before[name] if name in names else t
                tensors[f"{case}|{step}|{name}"] = golden.digest(name, value)
    return tensors


def balanced(net, form, normalize, reduction):
    """The lambda, to two digits, at which the term's gradient is about as large as the loss's."""
    units, classifier, pooled = net()
    golden.fill(nn.ModuleDict(OrderedDict([(u.name, u.layer) for u in units])).double())
    method = Etf((form, 1.0, normalize, reduction))
    method.step(units, classifier, pooled, *batch(0), SGD())
    return float(f"{torch.tensor(method.sizes).log().mean().neg().exp():.1e}")


def two_steps(case, net, method):
    units, classifier, pooled = net()
    named = nn.ModuleDict(OrderedDict([(u.name, u.layer) for u in units] + [("fc", classifier)])).double()
    golden.fill(named)
    sgd, tensors = SGD(), {}
    for step in (0, 1):
        before = {n: p.detach().clone() for n, p in named.named_parameters()}
        losses = method.step(units, classifier, pooled, *batch(step), sgd)
        tensors[f"{case}|{step}|loss"] = torch.stack(losses)
        for name, p in named.named_parameters():
            if not (isinstance(method, Etf) and name.startswith("fc.")):
                tensors[f"{case}|{step}|{name}"] = golden.digest(name, p.detach() - before[name])
    return tensors


tensors = {}
for name, net in (("plain7", plain), ("conv32", tanh_net), ("conv32_relu", relu_net), ("mlp", mlp)):
    tensors.update(two_steps(f"etf {name}", net, Etf()))
    tensors.update(two_steps(f"etf-reforward {name}", net, Etf(reforward=True)))
    tensors.update(two_steps(f"dfa {name}", net, Projected(False)))
    tensors.update(two_steps(f"drtp {name}", net, Projected(True)))
    for pass_, first in (("first", True), ("second", False)):
        tensors.update(two_steps(f"pepita {pass_} {name}", net, Pepita(first)))
    if name == "conv32_relu":
        continue  # one module has no neighbour
    for form in ("exact", "paper"):
        for normalize, reduction in ((True, "mean"), (True, "batch"), (False, "sum")):
            case = f"etf-sgr {form} {'normalised' if normalize else 'raw'} {reduction} {name}"
            lam = balanced(net, form, normalize, reduction)
            method = Etf((form, lam, normalize, reduction))
            tensors.update(two_steps(case, net, method))
            tensors[f"{case}|lambda"] = torch.tensor([lam], dtype=torch.float64)
            # Else a wrong term, or its objective, would go unnoticed.
            assert all(0.02 < size < 50 for size in method.sizes), (case, method.sizes)
tensors.update(feedback_alignment("fa plain7", PlainNet()))
tensors.update(feedback_alignment("fa resnet32", ResNet()))
golden.save("units.safetensors", tensors)
