"""Counts the multiply-adds that PyTorch does in a step of ResNet-32 on one image: python products.py (torch >= 2.1).

The convolutions and linear layers of back-propagation, of layer-wise training, and of Algorithm 1's double backward, in
2, 3 and 16 modules with convolutional heads of 128 channels. cost_test.go has what it prints.
"""
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

BATCH = 4  # batch normalisation behind a 1x1 pool needs more than one image


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.main = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                                  nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.short = nn.Sequential()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.main(x) + self.short(x))


def head(c):
    return nn.Sequential(nn.Conv2d(c, 128, 3, 1, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(128), nn.Flatten(), nn.Linear(512, 10))


blocks = [nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())]
width = [16]
for stage, w in enumerate([16, 32, 64]):
    for k in range(5):
        blocks.append(Block(width[-1], w, 2 if stage and k == 0 else 1))
        width.append(w)
classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
images, labels = torch.randn(BATCH, 3, 32, 32), torch.arange(BATCH)


def step(ends, double):
    x, start, reconcile = images, 0, False
    for end in ends:
        body = nn.Sequential(*blocks[start:end])
        h = classifier if end == len(blocks) else head(width[end - 1])
        x = x.detach()
        if reconcile:
            x = x.requires_grad_() + 0
        y = body(x)
        loss = F.cross_entropy(h(y), labels)
        if reconcile:
            delta, = torch.autograd.grad(loss, x, create_graph=True)
            loss = loss + (delta ** 2).sum()
        loss.backward(inputs=[*body.parameters(), *h.parameters()])
        x, start, reconcile = y, end, double


for ends in [16], [11, 16], [6, 11, 16], list(range(1, 17)):
    for double in False, True:
        with FlopCounterMode(display=False) as counter:
            step(ends, double)
        print(len(ends), "double" if double else "layerwise", counter.get_total_flops() // 2 // BATCH)
