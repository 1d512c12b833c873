"""Makes golden.json: small pictures, what Pillow and torchvision make of them, and files as Pillow writes and reads them.

Needs Pillow and torchvision (Debian: python3-torchvision); without them it leaves the file as it is.
"""
import base64
import io
import json
import sys

try:
    import numpy as np
    from PIL import Image, ImageFilter, ImageOps
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as F
except ImportError as missing:
    print(f"{sys.argv[0]}: left as it is: {missing}", file=sys.stderr)
    sys.exit(0)

W, H = 24, 18


def photo(w=W, h=H):
    """Slopes of three colours, a disc and some noise: every hue, sharp and soft edges."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([255 * x / (w - 1), 255 * y / (h - 1), 255 * (1 - x / (w - 1))], axis=-1)
    disc = (x - 0.6 * w) ** 2 + (y - 0.4 * h) ** 2 < (0.25 * h) ** 2
    a[disc] = [230, 200, 30]
    return Image.fromarray(np.clip(a + rng.normal(0, 8, a.shape), 0, 255).astype(np.uint8))


def text(data):
    return base64.b64encode(data).decode()


def shown(img):
    return {"w": img.width, "h": img.height, "c": len(img.getbands()), "pix": text(img.tobytes())}


def resized(img, size, box, kernel):
    return img.resize(size, kernel, box=box)


src = photo()
grey = src.convert("L")
BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
cases = []


def case(op, args, out, on="colour"):
    cases.append({"op": op, "on": on, "args": args, "want": shown(out)})


whole = (0, 0, W, H)
for size in [(15, 11), (9, 25), (38, 29), (24, 18), (5, 3)]:
    case("bilinear", [*size, *whole], resized(src, size, whole, BILINEAR))
    case("bicubic", [*size, *whole], resized(src, size, whole, BICUBIC))
case("bilinear", [16, 16, 3.5, 2.25, 21, 17.75], resized(src, (16, 16), (3.5, 2.25, 21, 17.75), BILINEAR))
case("bicubic", [16, 16, 3.5, 2.25, 21, 17.75], resized(src, (16, 16), (3.5, 2.25, 21, 17.75), BICUBIC))
case("bilinear", [15, 11, *whole], resized(grey, (15, 11), whole, BILINEAR), "grey")
case("resized_crop", [16, 16, 9, 4, 11, 13], F.resized_crop(src, 4, 9, 13, 11, [16, 16], InterpolationMode.BILINEAR))
case("evaluate", [16, 14], F.center_crop(F.resize(src, 16), [14, 14]))
case("evaluate", [23, 16], F.center_crop(F.resize(src, 23), [16, 16]))
for f in [0, 0.4, 1, 1.7]:
    case("brightness", [f], F.adjust_brightness(src, f))
    case("contrast", [f], F.adjust_contrast(src, f))
    case("saturation", [f], F.adjust_saturation(src, f))
    case("sharpness", [f], F.adjust_sharpness(src, f))
case("contrast", [0.4], F.adjust_contrast(grey, 0.4), "grey")
for f in [-0.5, -0.1, 0.003, 0.25, 0.5]:
    case("hue", [f], F.adjust_hue(src, f))
case("grey", [], F.rgb_to_grayscale(src, 3))
for s in [0.1, 0.5, 1.3, 2, 7]:
    case("blur", [s], src.filter(ImageFilter.GaussianBlur(s)))
case("blur", [1.3], grey.filter(ImageFilter.GaussianBlur(1.3)), "grey")
for t in [0, 128, 256]:
    case("solarize", [t], ImageOps.solarize(src, t))
for b in [8, 4, 1]:
    case("posterize", [b], F.posterize(src, b))
dull = F.adjust_contrast(src, 0.4)
case("autocontrast", [], F.autocontrast(dull), "dull")
case("equalize", [], F.equalize(dull), "dull")
case("equalize", [], F.equalize(src))
nearest = dict(interpolation=InterpolationMode.NEAREST, fill=None)
flat = dict(angle=0.0, translate=[0, 0], scale=1.0, shear=[0.0, 0.0], **nearest)
for v in [0.3, -0.17]:
    deg = float(np.degrees(np.arctan(v)))
    case("shear_x", [v], F.affine(src, **{**flat, "shear": [deg, 0.0], "center": [0, 0]}))
    case("shear_y", [v], F.affine(src, **{**flat, "shear": [0.0, deg], "center": [0, 0]}))
for x, y in [(7, 0), (-3, 0), (0, -12)]:
    case("translate", [x, y], F.affine(src, **{**flat, "translate": [x, y]}))
for deg in [30.0, -7.0, 1.0]:
    case("rotate", [deg], F.rotate(src, deg, **nearest))
case("flip", [], F.hflip(src))

files = []


def file(name, data):
    img = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    files.append({"name": name, "file": text(data), "want": shown(img.convert("RGB"))})


def written(img, **options):
    out = io.BytesIO()
    img.save(out, **options)
    return out.getvalue()


def turned(tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif.tobytes()


file("jpeg 4:2:0", written(src, format="JPEG", quality=90))
file("jpeg 4:4:4", written(src, format="JPEG", quality=90, subsampling=0))
file("jpeg progressive", written(src, format="JPEG", quality=90, progressive=True))
file("jpeg grey", written(grey, format="JPEG", quality=90))
file("jpeg cmyk", written(src.convert("CMYK"), format="JPEG", quality=95))
for tag in range(1, 9):
    file(f"jpeg orientation {tag}", written(src, format="JPEG", quality=90, exif=turned(tag)))
file("png", written(src, format="PNG"))
file("png grey", written(grey, format="PNG"))
file("png palette", written(src.quantize(16), format="PNG"))
with_alpha = src.copy()
with_alpha.putalpha(grey)
file("png alpha", written(with_alpha, format="PNG"))
file("png grey alpha", written(with_alpha.convert("LA"), format="PNG"))
file("png two colours", written(grey.convert("1"), format="PNG"))
file("png orientation 6", written(src, format="PNG", exif=turned(6)))
file("webp lossless", written(src, format="WEBP", lossless=True))
file("webp lossy", written(src, format="WEBP", quality=90))
file("webp lossy alpha", written(with_alpha, format="WEBP", quality=90))
file("webp orientation 8", written(src, format="WEBP", lossless=True, exif=turned(8)))
file("gif", written(src.quantize(16), format="GIF"))

inputs = {"colour": shown(src), "grey": shown(grey), "dull": shown(dull)}
with open("golden.json", "w") as out:
    json.dump({"inputs": inputs, "cases": cases, "files": files}, out, separators=(",", ":"))
