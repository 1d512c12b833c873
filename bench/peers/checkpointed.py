"""Steps of global back-propagation in plain PyTorch with a gradient checkpoint around every block: what local learning has
to stand beside where memory is short. ViTs and Swins (timm's) are trained by AdamW and ResNets by SGD with momentum.

Prints one JSON object for checkpoints, and one more with --beside for the same steps without them, which take turns.
activation_bytes is what peers.py says of it. state_bytes are weights, gradients and the optimizer's moments, which stay in
memory throughout. peak_rss_bytes is the most memory that the process had. For a hard limit, run it under one:
scripts/limit 1GiB python3 bench/peers/checkpointed.py --model vit_l
"""

import argparse
import json
import os
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import nets
import peers

VITS = {"vit_s": (384, 12, 6), "vit_b": (768, 12, 12), "vit_l": (1024, 24, 16)}  # width, blocks, heads
SWINS = [model for model in nets.WHOLE if model.startswith("swin")]


class Patches(nn.Module):
    """Patches of 16×16 as tokens, behind a class token, with a position added to each."""

    def __init__(self, width, image):
        super().__init__()
        self.proj = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 1 + (image // 16) ** 2, width) * 0.02)

    def forward(self, x):
        cells = self.proj(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), cells], 1) + self.position


class Classifier(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.norm(x)[:, 0])


def build(args):
    """The blocks of a network, each of which gets a checkpoint, and the layers behind them."""
    if args.model in VITS:
        width, depth, heads = VITS[args.model]
        block = dict(dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        blocks = [nn.TransformerEncoderLayer(width, heads, 4 * width, **block) for _ in range(depth)]
        return nn.ModuleList([Patches(width, args.image), *blocks]), Classifier(width, args.classes)
    if args.model in SWINS:
        import timm

        net = timm.create_model(nets.WHOLE[args.model], img_size=args.image, num_classes=args.classes)
        blocks = [net.patch_embed]
        for stage in net.layers:
            blocks += [stage.downsample, *stage.blocks]
        return nn.ModuleList(b for b in blocks if not isinstance(b, nn.Identity)), nn.Sequential(net.norm, net.head)
    net = nets.blocks(args.model, args.image)
    return nn.ModuleList([b[1] for b in net]), nets.linear_head(net[-1][2], 0, 0, args.classes)


def step(blocks, head, optimizer, x, y, checkpoints):
    x.requires_grad_(checkpoints)  # so that the first block's checkpoint is differentiated
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=False) if checkpoints else block(x)
    F.cross_entropy(head(x), y).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="vit_s", choices=[*VITS, *SWINS, *nets.MODELS])
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--image", type=int, default=224)
    p.add_argument("--classes", type=int, default=1000)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--steps", type=int, default=2, help="of each way; the first one warms up where there are more")
    p.add_argument("--beside", action="store_true", help="measure steps without checkpoints, too")
    args = p.parse_args()
    torch.set_num_threads(args.threads or len(os.sched_getaffinity(0)))
    torch.manual_seed(1)
    blocks, head = build(args)
    parameters = [*blocks.parameters(), *head.parameters()]
    transformer = args.model in VITS or args.model in SWINS
    if transformer:
        optimizer, moments = torch.optim.AdamW(parameters, lr=1e-3), 2
    else:
        optimizer, moments = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9), 1
    args.device, args.channels_last = "cpu", not transformer
    if args.channels_last:
        for part in (blocks, head):
            part.to(memory_format=torch.channels_last)
    times = {True: [], False: []} if args.beside else {True: []}
    for _ in range(args.steps):
        for checkpoints, seconds in times.items():
            x, y = peers.batch(args)
            began = time.perf_counter()
            step(blocks, head, optimizer, x, y, checkpoints)
            seconds.append(time.perf_counter() - began)
    for checkpoints, seconds in times.items():
        activation = None
        if args.steps > 1 and peers.trustworthy():
            activation = peers.peak(lambda: step(blocks, head, optimizer, *peers.batch(args), checkpoints))
        print(json.dumps({
            "engine": f"pytorch {torch.__version__}", "method": "bp, a checkpoint a block" if checkpoints else "bp",
            "model": args.model, "batch": args.batch, "threads": torch.get_num_threads(),
            "step_seconds": statistics.median(seconds[1:] or seconds), "step_seconds_min": min(seconds),
            "activation_bytes": activation, "state_bytes": (2 + moments) * 4 * sum(t.numel() for t in parameters),
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        }))


if __name__ == "__main__":
    main()
