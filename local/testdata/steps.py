"""Golden values of two training steps by back-propagation, layer-wise, and with SGR as Algorithm 1 has it.

What Algorithm 1 leaves out is taken from Sec. 3.2: every module but the last hands on the gradient of its
classification loss with respect to its output.
"""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import golden

CLASSES, FLOOR = 10, 1e-12


class Net(nn.Module):
    """The 8-layer residual network of width 4 in three modules, with local heads for the first two."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = golden.conv_norm(3, 4)
        self.layer1 = nn.Sequential(golden.BasicBlock(4, 4, 1))
        self.layer2 = nn.Sequential(golden.BasicBlock(4, 8, 2))
        self.layer3 = nn.Sequential(golden.BasicBlock(8, 16, 2))
        self.fc = nn.Linear(16, CLASSES)
        self.heads = nn.ModuleDict({"1": golden.conv_head(4, 8, CLASSES), "2": golden.conv_head(8, 8, CLASSES)})

    def body(self, k, x):
        if k == 1:
            return self.layer1(torch.relu(self.bn1(self.conv1(x))))
        return self.layer2(x) if k == 2 else self.layer3(x)

    def head(self, k, x):
        return self.heads[str(k)](x) if k < 3 else self.fc(x.mean((2, 3)))

    def parts(self, k):
        parts = {1: [self.conv1, self.bn1, self.layer1, self.heads["1"]],
                 2: [self.layer2, self.heads["2"]], 3: [self.layer3, self.fc]}
        return [p for part in parts[k] for p in part.parameters()]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4)


def rows(gradient, normalize):
    flat = gradient.flatten(1)
    return flat / (flat ** 2).sum(1, keepdim=True).sqrt().clamp_min(FLOOR) if normalize else flat


def distance(delta, r, normalize, reduction):
    """S, from Eq. 6 or Algorithm 1."""
    squares = (rows(delta, normalize) - rows(r, normalize)) ** 2
    return {"mean": squares.mean(), "batch": squares.sum(1).mean(), "sum": squares.sum()}[reduction]


def size(grads):
    return torch.cat([g.flatten() for g in grads if g is not None]).norm().item()


def local_step(net, optimizers, x, y, term=None):
    """One step of all modules. term is (lambda, normalize, reduction) or None. Returns losses, S, cosines, ratios."""
    losses, distances, cosines, ratios, previous = [], [], [], [], None
    for k in (1, 2, 3):
        x.requires_grad_()
        out = net.body(k, x)
        loss = total = cross_entropy(net.head(k, out), y)
        handed_on = torch.autograd.grad(loss, out, retain_graph=True)[0].detach()
        if term and k > 1:
            lam, normalize, reduction = term
            delta = torch.autograd.grad(loss, x, create_graph=True)[0]
            s = distance(delta, previous, normalize, reduction)
            total = loss + lam * s
            distances.append(s.detach())
            cosines.append(torch.cosine_similarity(delta.flatten(1), previous.flatten(1)).mean().detach())
            theta = net.parts(k)
            of_loss = torch.autograd.grad(loss, theta, retain_graph=True)
            of_term = torch.autograd.grad(lam * s, theta, retain_graph=True, allow_unused=True)
            ratios.append(size(of_term) / size(of_loss))
        optimizers[k - 1].zero_grad()
        total.backward()
        optimizers[k - 1].step()
        losses.append(loss.detach())
        x, previous = out.detach(), handed_on
    return losses, distances, cosines, ratios


def global_step(net, optimizer, x, y):
    for k in (1, 2, 3):
        x = net.body(k, x)
    loss = cross_entropy(net.head(3, x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [loss.detach()], [], [], []


def fresh():
    net = Net()
    net.load_state_dict(start)
    return net


def two_steps(name, step, net, optimizers, *args):
    """Trains twice and keeps the whole state after each step."""
    tensors = {}
    for i in (0, 1):
        losses, distances, cosines, ratios = step(net, optimizers, images[i].clone(), labels[i], *args)
        # Else a wrong term, or none at all, would go unnoticed.
        assert all(0.2 < r < 5 for r in ratios), (name, ratios)
        for key, values in (("loss", losses), ("sgr", distances), ("cos", cosines)):
            if values:
                tensors[f"{name}|{i}|{key}"] = torch.stack(values)
        tensors.update({f"{name}|{i}|{n}": t.clone() for n, t in net.state_dict().items()
                        if step is local_step or not n.startswith("heads.")})
    return tensors


def balanced(normalize, reduction):
    """The lambda, to two digits, at which the term's gradient is as large as the loss's, over modules 2 and 3."""
    net = fresh()
    frozen = [torch.optim.SGD(net.parts(k), lr=0) for k in (1, 2, 3)]
    ratios = local_step(net, frozen, images[0].clone(), labels[0], (1.0, normalize, reduction))[3]
    return float(f"{(ratios[0] * ratios[1]) ** -0.5:.1e}")


torch.manual_seed(4)
images, labels = torch.randn(2, 8, 3, 8, 8), torch.randint(CLASSES, (2, 8))
net = Net()
golden.randomise(net)
start = {n: t.clone() for n, t in net.state_dict().items()}
golden.save("start.safetensors", {**start, "images": images, "labels": labels})

net = fresh()
plain = two_steps("bp", global_step, net, sgd([p for n, p in net.named_parameters() if not n.startswith("heads.")]))
net = fresh()
plain.update(two_steps("layerwise", local_step, net, [sgd(net.parts(k)) for k in (1, 2, 3)]))
golden.save("plain.safetensors", plain)

for normalize, file in ((True, "normalized.safetensors"), (False, "raw.safetensors")):
    tensors = {}
    for reduction in ("mean", "batch", "sum"):
        lam, net = balanced(normalize, reduction), fresh()
        optimizers = [sgd(net.parts(k)) for k in (1, 2, 3)]
        tensors.update(two_steps(reduction, local_step, net, optimizers, (lam, normalize, reduction)))
        tensors[f"{reduction}|lambda"] = torch.tensor(lam, dtype=torch.float64)
    golden.save(file, tensors)
