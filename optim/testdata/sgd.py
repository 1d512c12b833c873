"""Golden values of five steps of torch.optim.SGD on given gradients."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

import torch

import golden

torch.manual_seed(3)
RATES = [0.1, 0.1, 0.05, 0.02, 0.3]
VARIANTS = {
    "plain": {},
    "decay": dict(weight_decay=0.05),
    "momentum": dict(momentum=0.9),
    "momentum_decay": dict(momentum=0.9, weight_decay=0.05),
    "nesterov": dict(momentum=0.9, nesterov=True),
    "nesterov_decay": dict(momentum=0.8, nesterov=True, weight_decay=0.05),
}
start = {"weight": torch.randn(4, 3, 2, 2), "bias": torch.randn(4)}
grads = [{n: torch.randn_like(t) for n, t in start.items()} for _ in RATES]
tensors = {f"start|{n}": t for n, t in start.items()}
for i, g in enumerate(grads):
    tensors.update({f"grad|{i}|{n}": t for n, t in g.items()})

for variant, options in VARIANTS.items():
    theta = {n: t.clone().requires_grad_() for n, t in start.items()}
    optimizer = torch.optim.SGD(list(theta.values()), lr=1, **options)
    for i, rate in enumerate(RATES):
        optimizer.param_groups[0]["lr"] = rate
        for n, p in theta.items():
            p.grad = grads[i][n].clone()
        optimizer.step()
        tensors.update({f"{variant}|{i}|{n}": p.detach().clone() for n, p in theta.items()})
    for n, p in theta.items():
        if "momentum" in options:
            tensors[f"{variant}|state|{n}.momentum"] = optimizer.state[p]["momentum_buffer"]
golden.save("sgd.safetensors", tensors)
