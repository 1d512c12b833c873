"""Steps of global back-propagation, layer-wise training and SGR (Algorithm 1) in plain PyTorch, timed.

One JSON object a line and method, in the fields of `locus bench --json`. activation_bytes is the most that tensors
take during a step above what stands before it, from the profiler's record of every allocation in a step of its own;
null where that record cannot be trusted. On a CUDA device it is the bytes that tensors asked the caching allocator for,
and peak_bytes is all of them, whatever stood before. Works with PyTorch 1.13 and 2.x.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import time

import torch
import torch.nn.functional as F

import nets


def unit(rows):
    rows = rows.flatten(1).float()
    return rows / rows.norm(dim=1, keepdim=True)


class Module:
    """One gradient-isolated part of the network: body, local head and optimizer."""

    def __init__(self, body, head, args):
        self.body, self.head, self.args = body.to(args.device), head.to(args.device), args
        if args.channels_last:
            self.body, self.head = (m.to(memory_format=torch.channels_last) for m in (self.body, self.head))
        parameters = [*self.body.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def forward(self, x, y):
        bf16 = self.args.precision == "bf16"
        with torch.autocast(self.args.device.split(":")[0], torch.bfloat16) if bf16 else contextlib.nullcontext():
            features = self.body(x)
            return features, F.cross_entropy(self.head(features).float(), y)

    def update(self, loss):
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def layerwise(self, x, y):
        """Trains on the module's own loss; returns the features for the next module."""
        features, loss = self.forward(x, y)
        self.update(loss)
        return features.detach()

    def sgr(self, x, y, r, last):
        """Algorithm 1, by double backward; r is the gradient that the previous module handed on. Returns features and
        the gradient for the next module."""
        x.requires_grad_(r is not None)
        features, loss = self.forward(x, y)
        if r is None:
            features.retain_grad()
            self.update(loss)
            return features.detach(), features.grad
        delta, *out = torch.autograd.grad(loss, [x] if last else [x, features], create_graph=True)
        self.update(loss + self.args.lam * F.mse_loss(unit(delta), unit(r)))
        return features.detach(), None if last else out[0].detach()


def step(method, modules, x, y):
    r = None
    for k, module in enumerate(modules):
        if method == "sgr":
            x, r = module.sgr(x, y, r, k == len(modules) - 1)
        else:
            x = module.layerwise(x, y)


def batch(args):
    x = torch.randn(args.batch, 3, args.image, args.image, device=args.device)
    if args.channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    return x, torch.randint(args.classes, (args.batch,), device=args.device)


def synchronize(args):
    """Waits for the device: what was asked of it may still be under way."""
    if args.device != "cpu":
        torch.cuda.synchronize()


def seconds(method, modules, args):
    times = []
    for i in range(args.warmup + args.steps):
        x, y = batch(args)
        synchronize(args)
        began = time.perf_counter()
        step(method, modules, x, y)
        synchronize(args)
        if i >= args.warmup:
            times.append(time.perf_counter() - began)
    return times


def device_peak(work):
    """The most bytes alive on the device during work(), and those alive before it."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_stats()["requested_bytes.all.current"]
    work()
    torch.cuda.synchronize()
    return torch.cuda.memory_stats()["requested_bytes.all.peak"], before


def peak(work):
    """The most bytes alive during work() above those before it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as p:
        work()
    live = most = 0
    for event in p.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            most = max(most, live)
    return most


def trustworthy():
    """Whether peak() finds what is known: of three tensors of 1 MiB, made one after the other, two live at once."""

    def known():
        a = torch.empty(1 << 20, dtype=torch.uint8)
        b = torch.empty_like(a)
        del a
        return torch.empty_like(b)

    return peak(known) == 2 << 20


def measure(method, args):
    k = 1 if method == "bp" else args.modules
    parts, cuts = nets.modules(args.model, args.image, k, args.head, args.head_width, args.classes)
    modules = [Module(body, head, args) for body, head in parts]
    times = seconds(method, modules, args)
    most, activation = None, None
    if args.device != "cpu":
        most, before = device_peak(lambda: step(method, modules, *batch(args)))
        activation = most - before
    elif trustworthy():
        activation = peak(lambda: step(method, modules, *batch(args)))
    median = statistics.median(times)
    return {
        "engine": f"pytorch {torch.__version__}", "method": method, "model": args.model, "modules": k, "cuts": cuts,
        "batch": args.batch, "image": args.image, "precision": args.precision, "threads": torch.get_num_threads(),
        "channels_last": args.channels_last, "step_seconds": median, "step_seconds_min": min(times),
        "step_seconds_max": max(times), "images_per_second": args.batch / median, "activation_bytes": activation,
        "device": args.device, "deterministic": args.deterministic, "peak_bytes": most,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="resnet32", choices=[*nets.MODELS, *nets.WHOLE])
    p.add_argument("--methods", default="bp,layerwise,sgr", help="comma between them")
    p.add_argument("--modules", type=int, default=3, metavar="K")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--image", type=int, default=32, help="side in pixels")
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--head", default="conv", choices=nets.HEADS)
    p.add_argument("--head-width", type=int, default=0, help="of the conv head; 0: as its features")
    p.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    p.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    p.add_argument("--fastest", dest="deterministic", action="store_false", help="let cuDNN choose kernels by trying")
    p.add_argument("--threads", type=int, default=0, help="0: all cores")
    p.add_argument("--contiguous", dest="channels_last", action="store_false", help="NCHW instead of channels-last")
    p.add_argument("--lam", type=float, default=1.0, help="weight of the reconciliation term")
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads or len(os.sched_getaffinity(0)))
    if args.device != "cpu":
        torch.cuda.set_device(torch.device(args.device).index or 0)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = args.deterministic, not args.deterministic
    torch.manual_seed(1)
    for method in args.methods.split(","):
        print(json.dumps(measure(method, args)), flush=True)


if __name__ == "__main__":
    main()
