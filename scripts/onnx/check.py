"""Checks ONNX files of every network of the zoo: by ONNX's own checker, and by onnxruntime beside Locus on ten images.

    python3 -m venv .venv && .venv/bin/pip install onnx onnxruntime pillow
    make onnx PYTHON=.venv/bin/python

It prints a row of results/onnx.csv for each network and type, and ends with 1 where probabilities differ by more than
rounding. Locus itself needs no Python.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
from PIL import Image

LOCUS = os.environ.get("LOCUS", "bin/locus")
SIDE, IMAGES = 64, 10
# Narrow where the published width would take minutes; the heads of transformers divide the width.
WIDTH = {"vit_s": 48, "vit_b": 96, "vit_l": 32, "vit_h": 32, "swin_s": 48, "swin_b": 64}
FULL = {"resnet18", "vit_ti", "swin_t"}
TOLERANCE = {"fp32": 1e-5, "fp16": 1e-3, "bf16": 1e-2}


def locus(*args):
    done = subprocess.run([LOCUS, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"locus {' '.join(args)}: {done.stderr}")
    return done.stdout


def photos(folder):
    draw = random.Random(1)
    for part, n in ("train", 8), ("val", IMAGES // 2):
        for label in "ab":
            os.makedirs(f"{folder}/{part}/{label}")
            for i in range(n):
                pixels = draw.randbytes(8 * 8 * 3)
                image = Image.frombytes("RGB", (8, 8), pixels).resize((SIDE, SIDE), Image.BICUBIC)
                image.save(f"{folder}/{part}/{label}/{i}.png")


def check(net, dtype, folder, data, exits):
    run, file = f"{folder}/{net}", f"{folder}/{net}-{dtype}-{exits}.onnx"
    if not os.path.exists(run):
        sets = [f"model.name={net}", "data.set=folder", f"data.size={SIDE}", f"data.resize={SIDE}", "data.batch=8", "model.classes=10",
                "method.name=layerwise", "method.modules=2", "head.name=linear", "threads=1", "optim.lr=0.001"]
        if net not in FULL:
            sets.append(f"model.width={WIDTH.get(net, 16)}")
        if net == "vit_h":
            sets.append("model.patch=16")  # of its own 14 the images are no multiple
        if net in ("conv32", "conv32_relu"):
            sets[5:7] = ["method.name=bp"]
        locus("train", "--data", data, "--out", run, "--steps", "1", *[x for s in sets for x in ("--set", s)])
    locus("export", run, file, "--dtype", dtype, "--exit", str(exits))
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    about = {p.key: p.value for p in model.metadata_props}
    mean, std = json.loads(about["locus.mean"]), json.loads(about["locus.std"])
    names = json.loads(about["locus.classes"])
    paths = sorted(os.path.join(at, f) for at, _, files in os.walk(f"{data}/val") for f in files)
    x = numpy.stack([((numpy.asarray(Image.open(p), "float32") / 255 - mean) / std).transpose(2, 0, 1) for p in paths]).astype("float32")
    logits = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
    got = numpy.exp(logits - logits.max(1, keepdims=True))
    got /= got.sum(1, keepdims=True)
    confidence = ["--confidence", "1e-9"] if exits == 1 else []
    said = json.loads(locus("predict", run, *paths, "--json", "--top", "10", *confidence))
    worst = 0.0
    for i, p in enumerate(said):
        for c in p["classes"]:
            worst = max(worst, abs(c["probability"] - got[i, names.index(c["class"])]))
    print(f"{net},{dtype},{exits},{len(said)},{worst:.1e},{os.path.getsize(file) / 2**20:.1f},make onnx,{os.environ.get('COMMIT', '')},"
          f"\"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}\",1,1", flush=True)
    return worst <= TOLERANCE[dtype]


def main():
    nets = [line.split()[0] for line in locus("list", "models").splitlines()[1:]]  # below its heading
    nets = sys.argv[1:] or [n for n in nets if n not in ("vgg13", "vgg16", "vgg19", "vgg13_bn", "vgg16_bn", "vgg19_bn")] + ["vgg19", "vgg19_bn"]
    with tempfile.TemporaryDirectory() as folder:
        photos(f"{folder}/photos")
        good = [check(net, "fp32", folder, f"{folder}/photos", 0) for net in nets]
        for net in ("resnet18", "vit_ti", "swin_t"):
            if net in nets:
                good += [check(net, dtype, folder, f"{folder}/photos", 0) for dtype in ("fp16", "bf16")]
                good.append(check(net, "fp32", folder, f"{folder}/photos", 1))
    sys.exit(0 if all(good) else "some networks differ from Locus by more than rounding")


main()
