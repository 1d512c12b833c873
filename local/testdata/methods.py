"""Golden values of training steps by greedy, DGL, InfoPro, reforward and AugLocal, on a residual network of 8 layers
in three modules: digests of every parameter's update and every statistic, from formula weights, in float64.

Written from the publications' definitions (see ../../docs and the methods' own files), apart from the Go code: the
contrastive loss is a double loop over pairs, reforward saves and restores the statistics, AugLocal's blocks are listed.
"""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, interpolate, normalize

import golden

CLASSES, WIDTH, MEAN, STD = 10, 16, 0.45, 0.3


def dgl_head(channels, side):
    layers = [("pool1", nn.AdaptiveAvgPool2d(-(-side // 4)))]
    for i in (1, 2, 3):
        conv, bn = golden.conv_norm(channels, channels, 1)
        layers += [(f"conv{i}", conv), (f"bn{i}", bn), (f"relu{i}", nn.ReLU())]
    layers += [("pool2", nn.AdaptiveAvgPool2d(2)), ("flatten", nn.Flatten())]
    for i in (1, 2, 3):
        layers += [(f"fc{i}", nn.Linear(4 * channels, 4 * channels)), (f"bn{i + 3}", nn.BatchNorm1d(4 * channels)),
                   (f"relu{i + 3}", nn.ReLU())]
    return nn.Sequential(OrderedDict(layers + [("fc", nn.Linear(4 * channels, CLASSES))]))


def infopro_head(channels, outputs):
    conv, bn = golden.conv_norm(channels, 2 * channels, 3, 2)
    return nn.Sequential(OrderedDict(
        conv1=conv, bn1=bn, relu1=nn.ReLU(), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
        fc1=nn.Linear(2 * channels, 128), relu2=nn.ReLU(), fc2=nn.Linear(128, outputs)))


class Decoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(channels, 12)
        self.conv2 = nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, x):
        x = interpolate(x, size=(8, 8), mode="bilinear", align_corners=True)
        return torch.sigmoid(self.conv2(torch.relu(self.bn1(self.conv1(x)))))


def aug_head(depth, *blocks):
    channels = blocks[-1][1]
    layers = [(str(i), golden.BasicBlock(*b)) for i, b in enumerate(blocks)]
    layers += [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    if depth == 1:
        layers.append(("bn", nn.BatchNorm1d(channels)))
    return nn.Sequential(OrderedDict(layers + [("fc", nn.Linear(channels, CLASSES))]))


def conv_heads():
    return golden.conv_head(WIDTH, 8, CLASSES), golden.conv_head(2 * WIDTH, 8, CLASSES)


class Net(nn.Module):
    def __init__(self, heads, decoders=()):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(3, WIDTH)
        self.layer1 = nn.Sequential(golden.BasicBlock(WIDTH, WIDTH, 1))
        self.layer2 = nn.Sequential(golden.BasicBlock(WIDTH, 2 * WIDTH, 2))
        self.layer3 = nn.Sequential(golden.BasicBlock(2 * WIDTH, 4 * WIDTH, 2))
        self.fc = nn.Linear(4 * WIDTH, CLASSES)
        self.heads = nn.ModuleDict({str(k + 1): h for k, h in enumerate(heads)})
        self.decoders = nn.ModuleDict({str(k + 1): d for k, d in enumerate(decoders)})

    def body(self, k, x):
        if k == 1:
            return self.layer1(torch.relu(self.bn1(self.conv1(x))))
        return self.layer2(x) if k == 2 else self.layer3(x)

    def head(self, k, x):
        return self.heads[str(k)](x) if k < 3 else self.fc(x.mean((2, 3)))

    def parts(self, k):
        own = {1: [self.conv1, self.bn1, self.layer1], 2: [self.layer2], 3: [self.layer3, self.fc]}[k]
        own += [group[str(k)] for group in (self.heads, self.decoders) if str(k) in group]
        return [p for part in own for p in part.parameters()]


def classify(net, k, features, x, y):
    return cross_entropy(net.head(k, features), y)


def contrast(net, k, features, y):
    z = normalize(net.head(k, features), dim=1)
    similarity = (z @ z.T / 0.07).exp()
    losses = []
    for i in range(len(y)):
        others = [a for a in range(len(y)) if a != i]
        positives = [a for a in others if y[a] == y[i]]
        if positives:
            total = sum(similarity[i, a] for a in others)
            losses.append(-sum((similarity[i, p] / total).log() for p in positives) / len(positives))
    return sum(losses) / len(losses)


def infopro(task):
    # (lambda1, lambda2) of the first and second of three modules: halfway between those for K = 2 and K = 4.
    weights = {1: ((5 + 6) / 2, (1 + 0) / 2), 2: ((5 + 1) / 2, (1 + 2) / 2)}

    def loss(net, k, features, x, y):
        if k == 3:
            return classify(net, k, features, x, y)
        rebuilt = binary_cross_entropy(net.decoders[str(k)](features), x * STD + MEAN)
        own = classify(net, k, features, x, y) if task == "softmax" else contrast(net, k, features, y)
        return weights[k][0] * rebuilt + weights[k][1] * own

    return loss


def update(net, optimizers, loss, k, features, x, y):
    out = net.body(k, features)
    value = loss(net, k, out, x, y)
    optimizers[k].zero_grad()
    value.backward()
    optimizers[k].step()
    return out.detach(), value.detach()


def together(loss, reforward=False):
    def step(net, optimizers, i, x, y):
        features, losses = x, []
        for k in (1, 2, 3):
            out, value = update(net, optimizers, loss, k, features, x, y)
            if reforward:
                statistics = [b.clone() for b in net.buffers()]
                out = net.body(k, features).detach()
                for b, old in zip(net.buffers(), statistics):
                    b.copy_(old)
            features = out
            losses.append(value)
        return losses

    return step


def greedy(net, optimizers, i, x, y):
    """Step i belongs to the phase of module i + 1."""
    features, now = x, i + 1
    for k in range(1, now):
        net.eval()
        with torch.no_grad():
            features = net.body(k, features)
    net.train()
    return [update(net, optimizers, classify, now, features, x, y)[1]]


def train(name, net, step, steps):
    net = net.double()
    golden.fill(net)
    optimizers = {k: torch.optim.SGD(net.parts(k), lr=0.1, momentum=0.9, weight_decay=5e-4) for k in (1, 2, 3)}
    tensors, trained = {}, {n for n, _ in net.named_parameters()}
    for i in range(steps):
        before = {n: t.clone() for n, t in net.state_dict().items()}
        image = (golden.formula(f"images {i}", (8, 3, 8, 8)) + 1) / 2
        y = torch.tensor([(3 * j + i) % 4 for j in range(8)])
        losses = step(net, optimizers, i, (image - MEAN) / STD, y)
        tensors[f"{name}|{i}|loss"] = torch.stack(losses)
        for n, t in net.state_dict().items():
            if t.is_floating_point():
                tensors[f"{name}|{i}|{n}"] = golden.digest(n, t - before[n] if n in trained else t).detach()
    return tensors


def main():
    infopro_parts = [infopro_head(WIDTH, CLASSES), infopro_head(2 * WIDTH, CLASSES)], [Decoder(WIDTH), Decoder(2 * WIDTH)]
    contrast_parts = [infopro_head(WIDTH, 128), infopro_head(2 * WIDTH, 128)], [Decoder(WIDTH), Decoder(2 * WIDTH)]
    last = (2 * WIDTH, 4 * WIDTH, 2)
    tensors = train("greedy", Net(conv_heads()), greedy, 3)
    tensors.update(train("dgl", Net([dgl_head(WIDTH, 8), dgl_head(2 * WIDTH, 4)]), together(classify), 1))
    tensors.update(train("infopro", Net(*infopro_parts), together(infopro("softmax")), 2))
    tensors.update(train("infopro-contrast", Net(*contrast_parts), together(infopro("contrast")), 1))
    tensors.update(train("reforward", Net(conv_heads()), together(classify, reforward=True), 2))
    # depth 2: both blocks behind the first module, the one behind the second; depth 1: the last one each time.
    tensors.update(train("auglocal 2", Net([aug_head(2, (WIDTH, 2 * WIDTH, 2), last), aug_head(2, last)]), together(classify), 1))
    tensors.update(train("auglocal 1", Net([aug_head(1, (WIDTH, 4 * WIDTH, 2)), aug_head(1, last)]), together(classify), 1))
    golden.save("methods.safetensors", tensors)


main()
