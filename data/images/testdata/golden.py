"""Makes golden.json: every operation of torchvision's RandAugment at two strengths and both signs, on a small picture.

Needs Pillow and torchvision (Debian: python3-torchvision); without them it leaves the file as it is.
"""
import base64
import json
import sys

try:
    import numpy as np
    from PIL import Image
    from torchvision.transforms import InterpolationMode, RandAugment
    from torchvision.transforms.autoaugment import _apply_op
except ImportError as missing:
    print(f"{sys.argv[0]}: left as it is: {missing}", file=sys.stderr)
    sys.exit(0)

W, H, BINS = 20, 16, 31


def text(img):
    return base64.b64encode(img.tobytes()).decode()


y, x = np.mgrid[0:H, 0:W]
slopes = np.stack([255 * x / (W - 1), 255 * y / (H - 1), 90 + 60 * (x > y)], axis=-1)
noise = np.random.default_rng(1).normal(0, 8, slopes.shape)
src = Image.fromarray(np.clip(slopes + noise, 0, 255).astype(np.uint8))

cases = []
space = RandAugment()._augmentation_space(BINS, (H, W))
for op, (name, (magnitudes, signed)) in enumerate(space.items()):
    for sign in [1, -1] if signed else [1]:
        for m in [9, 27] if magnitudes.ndim > 0 else [0]:
            strength = float(magnitudes[m].item()) if magnitudes.ndim > 0 else 0.0
            out = _apply_op(src, name, sign * strength, InterpolationMode.NEAREST, None)
            cases.append({"name": name, "op": op, "sign": sign, "magnitude": m, "want": text(out)})

with open("golden.json", "w") as out:
    json.dump({"w": W, "h": H, "pix": text(src), "cases": cases}, out, separators=(",", ":"))
