"""Golden values of five steps of AdamW (torch.optim.AdamW), of LARS by its formula in plain PyTorch, of clipping
(clip_grad_norm_), accumulation and weight averages, on given gradients."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

import torch

import golden

torch.manual_seed(4)
RATES = [0.1, 0.1, 0.05, 0.02, 0.3]
start = {"weight": torch.randn(4, 3, 2, 2), "bias": torch.randn(4)}
grads = [{n: torch.randn_like(t) for n, t in start.items()} for _ in RATES]
tensors = {f"start|{n}": t for n, t in start.items()}
for i, g in enumerate(grads):
    tensors.update({f"grad|{i}|{n}": t for n, t in g.items()})


class LARS(torch.optim.Optimizer):
    """You et al. 2017, with decay and adaptation for matrices only unless all is set."""

    def __init__(self, params, all, lr=1, weight_decay=0.05, momentum=0.9, trust=0.001):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, trust=trust, all=all))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                g = p.grad
                if p.dim() > 1 or group["all"]:
                    g = g + group["weight_decay"] * p
                    g = g * (group["trust"] * p.norm() / g.norm())
                b = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                b.mul_(group["momentum"]).add_(g)
                p.sub_(group["lr"] * b)


def groups(theta, decay):
    return [{"params": [theta["weight"]]}, {"params": [theta["bias"]], "weight_decay": decay}]


VARIANTS = {
    "adamw": lambda t: torch.optim.AdamW(list(t.values()), lr=1, weight_decay=0.05),
    "adamw_betas": lambda t: torch.optim.AdamW(list(t.values()), lr=1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0),
    "adamw_weights": lambda t: torch.optim.AdamW(groups(t, 0), lr=1, weight_decay=0.05),
    "sgd_weights": lambda t: torch.optim.SGD(groups(t, 0), lr=1, momentum=0.9, weight_decay=0.05),
    "lars": lambda t: LARS(list(t.values()), True),
    "lars_weights": lambda t: LARS(list(t.values()), False),
    "clip": lambda t: torch.optim.SGD(list(t.values()), lr=1, momentum=0.9),
    "accumulate": lambda t: torch.optim.AdamW(list(t.values()), lr=1, weight_decay=0.05),
    "ema": lambda t: torch.optim.SGD(list(t.values()), lr=1, momentum=0.9),
}
for variant, make in VARIANTS.items():
    theta = {n: t.clone().requires_grad_() for n, t in start.items()}
    mean = {n: t.clone() for n, t in start.items()}
    optimizer = make(theta)
    for i, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for n, p in theta.items():
            if variant == "accumulate" and i % 2 == 1:
                p.grad += grads[i][n] / 2
            else:
                p.grad = grads[i][n].clone() / (2 if variant == "accumulate" else 1)
        if variant == "clip":
            torch.nn.utils.clip_grad_norm_(list(theta.values()), 7)
        if variant != "accumulate" or i % 2 == 1:
            optimizer.step()
        for n, p in theta.items():
            mean[n].mul_(0.9).add_(p.detach(), alpha=0.1)
            tensors[f"{variant}|{i}|{n}"] = p.detach().clone()
    if variant == "ema":
        tensors.update({f"ema|mean|{n}": t for n, t in mean.items()})
golden.save("more.safetensors", tensors)
