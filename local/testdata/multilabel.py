#!/usr/bin/python3
"""Binary cross-entropy with weights of positives and smoothed labels, by PyTorch in float64, with gradients: multilabel.json."""
import json

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

torch.manual_seed(7)
logits = torch.randn(5, 4, dtype=torch.float64) * 3
labels = (torch.rand(5, 4) < 0.4).double()
weights = torch.tensor([0.5, 2.0, 1.0, 12.0], dtype=torch.float64)

cases = []
for name, weighted, smoothing in [("plain", False, 0.0), ("weights", True, 0.0), ("smoothing", False, 0.1), ("both", True, 0.2)]:
    z = logits.clone().requires_grad_()
    target = labels * (1 - smoothing) + smoothing / 2
    value = binary_cross_entropy_with_logits(z, target, pos_weight=weights if weighted else None)
    value.backward()
    cases.append({"name": name, "weighted": weighted, "smoothing": smoothing, "loss": value.item(), "gradient": z.grad.flatten().tolist()})

with open("multilabel.json", "w") as f:
    json.dump({"logits": logits.flatten().tolist(), "labels": labels.flatten().tolist(), "weights": weights.tolist(), "cases": cases}, f, indent=1)
    f.write("\n")
