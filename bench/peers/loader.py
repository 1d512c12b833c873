"""Our loader beside torchvision's on one image folder: each delivers every training image once a round as a random
resized crop of 224, mirrored or not, in batches of 64 by two workers, as normalised float32 tensors; ours also as the
bytes that its goroutines make. They take turns; prints images a second and ratios, the median of the rounds with the
lowest and the highest. Needs torchvision."""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time


def theirs(folder):
    """Images a second of an epoch, after one that starts the workers and fills the page cache."""
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    images = datasets.ImageFolder(os.path.join(folder, "train"), transforms.Compose([
        transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]))
    loader = torch.utils.data.DataLoader(images, batch_size=64, shuffle=True, num_workers=2, persistent_workers=True)
    for _ in loader:
        pass
    began = time.monotonic()
    count = sum(len(labels) for _, labels in loader)
    return count / (time.monotonic() - began)


def ours(program, folder):
    """Images a second as bytes and as tensors."""
    command = [program, "-test.run", "^$", "-test.bench", "BenchmarkPhotos", "-test.benchtime", "2x"]
    out = subprocess.run(command, env={**os.environ, "LOCUS_DATA": folder}, capture_output=True, text=True, check=True).stdout
    rates = dict(re.findall(r"BenchmarkPhotos/(\w+).*?([\d.]+) images/s", out))
    if set(rates) != {"bytes", "tensors"}:
        sys.exit(f"the benchmark measured nothing: {out}")
    return float(rates["bytes"]), float(rates["tensors"])


def spread(values):
    return f"{statistics.median(values):.4g} ({min(values):.4g}–{max(values):.4g})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="with train/CLASS/* and val/CLASS/*")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    folder = os.path.abspath(args.folder)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        program = os.path.join(scratch, "train.test")
        subprocess.run(["go", "test", "-c", "-o", program, "./train"], check=True)
        for i in range(args.rounds):
            rows.append((*ours(program, folder), theirs(folder)))
            print("round {} of {}: ours {:.0f} as bytes, {:.0f} as tensors; torchvision {:.0f} images/s".format(
                i + 1, args.rounds, *rows[-1]), file=sys.stderr)
    as_bytes, as_tensors, peer = zip(*rows)
    print("ours, bytes     ", spread(as_bytes), "images/s")
    print("ours, tensors   ", spread(as_tensors), "images/s")
    print("torchvision     ", spread(peer), "images/s")
    print("ratio of bytes  ", spread([a / b for a, b in zip(as_bytes, peer)]))
    print("ratio of tensors", spread([a / b for a, b in zip(as_tensors, peer)]))


if __name__ == "__main__":
    main()
