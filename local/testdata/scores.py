#!/usr/bin/python3
"""Losses with weights of classes and the focal loss, by PyTorch in float64, with their gradients: scores.json."""
import json

import torch
from torch.nn.functional import cross_entropy, log_softmax

torch.manual_seed(5)
logits = torch.randn(6, 4, dtype=torch.float64) * 2
labels = torch.tensor([0, 3, 1, 1, 2, 3])
soft = torch.softmax(torch.randn(6, 4, dtype=torch.float64), 1)
weights = torch.tensor([0.5, 2.0, 1.0, 4.0], dtype=torch.float64)


def focal(z, gamma, w):
    log_p = log_softmax(z, 1).gather(1, labels[:, None])[:, 0]
    each = -((1 - log_p.exp()) ** gamma) * log_p * w[labels]
    return each.sum() / w[labels].sum()


def softly(z, w):  # each class counts by its share
    return -(soft * w * log_softmax(z, 1)).sum() / (soft * w).sum()


cases = []


def case(name, loss, weighted, gamma=0, smoothing=0.0, is_soft=False):
    z = logits.clone().requires_grad_()
    value = loss(z)
    value.backward()
    cases.append({"name": name, "weighted": weighted, "gamma": gamma, "smoothing": smoothing, "soft": is_soft,
                  "loss": value.item(), "gradient": z.grad.flatten().tolist()})


one = torch.ones(4, dtype=torch.float64)
case("weights", lambda z: cross_entropy(z, labels, weights), True)
case("weights, smoothing", lambda z: cross_entropy(z, labels, weights, label_smoothing=0.1), True, smoothing=0.1)
case("soft labels, weights", lambda z: softly(z, weights), True, is_soft=True)
for gamma in (1, 2, 5):
    case(f"focal {gamma}", lambda z: focal(z, gamma, one), False, gamma)
case("focal 2, weights", lambda z: focal(z, 2, weights), True, 2)

with open("scores.json", "w") as f:
    json.dump({"logits": logits.flatten().tolist(), "labels": labels.tolist(), "soft": soft.flatten().tolist(),
               "weights": weights.tolist(), "cases": cases}, f, indent=1)
    f.write("\n")
