"""Makes formats.json: files of many formats, depths and oddities, and the pixels that Pillow reads from them.

Needs Pillow 12 or newer; without it this leaves the file as it is. golden.py has the everyday files.
"""
import base64
import io
import json
import struct
import sys
import zlib

try:
    from PIL import Image, ImageOps
except ImportError as missing:
    print(f"{sys.argv[0]}: left as it is: {missing}", file=sys.stderr)
    sys.exit(0)

W, H = 17, 13
src = Image.new("RGB", (W, H))
for y in range(H):
    for x in range(W):
        disc = (x - 10) ** 2 + (y - 5) ** 2 < 10
        src.putpixel((x, y), (230, 200, 30) if disc else (255 * x // (W - 1), 255 * y // (H - 1), 255 - 255 * x // (W - 1)))
grey = src.convert("L")
veil = src.copy()
veil.putalpha(grey)
files = []


def file(name, data):
    img = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if img.mode.startswith("I;16"):  # whose conversion to RGB makes everything above 255 white: we take the upper byte instead
        img = Image.frombytes("L", img.size, img.tobytes()[1::2])
    if img.mode == "P":
        img = img.convert("RGBA")  # the same colours, without a warning
    img = img.convert("RGB")
    want = {"w": img.width, "h": img.height, "c": 3, "pix": base64.b64encode(img.tobytes()).decode()}
    files.append({"name": name, "file": base64.b64encode(data).decode(), "want": want})


def written(img, format, **options):
    out = io.BytesIO()
    img.save(out, format=format, **options)
    return out.getvalue()


def png_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(colour, depth, rows, *more):
    """A PNG of raw rows, which Pillow cannot write in every depth."""
    width = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    raw = b"".join(b"\0" + row for row in rows)
    head = struct.pack(">IIBBBBB", len(rows[0]) * 8 // (width * depth), len(rows), depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + b"".join(png_chunk(n, b) for n, b in more)
            + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b""))


def deep(channels):
    """Rows of 16-bit values, all channels different, alpha from nothing to full."""
    rows = []
    for y in range(H):
        row = [(y * 16 * channels + i) * 7919 % 65536 for i in range(16 * channels)]
        if channels in (2, 4):
            row[channels - 1::channels] = [x * 4369 for x in range(16)]
        rows.append(struct.pack(f">{len(row)}H", *row))
    return rows


def without(data, marker):
    """A JPEG without its segments of that marker."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        size = struct.unpack(">H", data[at + 2:at + 4])[0]
        if data[at + 1] != marker:
            out += data[at:at + 2 + size]
        at += 2 + size
    return out + data[at:]


for channels, colour in [(1, 0), (2, 4), (3, 2), (4, 6)]:
    file(f"png 16 bits, {channels} channels", png(colour, 16, deep(channels)))
for depth in [1, 2, 4]:
    row = bytes(range(0, 256, 37))
    file(f"png grey of {depth} bits", png(0, depth, [row, row[::-1]]))
palette = (b"PLTE", bytes(range(48)))
file("png palette of 4 bits", png(3, 4, [bytes([0x01, 0x23, 0xef])], palette))
file("png palette with transparency", png(3, 4, [bytes([0x01, 0x23, 0xef])], palette, (b"tRNS", bytes([0, 128, 255]))))
file("png grey with a transparent value", png(0, 8, [bytes([0, 7, 9])], (b"tRNS", struct.pack(">H", 7))))
file("png colour with a transparent value", png(2, 8, [bytes([1, 2, 3, 4, 5, 6])], (b"tRNS", struct.pack(">HHH", 1, 2, 3))))
file("png mode 1", written(grey.convert("1"), "PNG"))
file("png mode LA", written(veil.convert("LA"), "PNG"))
file("png mode RGBA", written(veil, "PNG"))
file("png with a profile", written(src, "PNG", icc_profile=b"not a profile"))
whole = written(src, "PNG")
file("png without IEND", whole[:-12])
file("png with half an IEND", whole[:-6])
file("png whose IEND has a wrong checksum", whole[:-4] + b"\0\0\0\0")
file("png with rubbish behind", whole + b"rubbish" * 9)
file("png with rubbish for IEND", whole[:-12] + b"\0" * 12)
# Pillow does not write interlaced files; one made by hand, 2 × 2: pass 1 has (0, 0), pass 6 (1, 0), pass 7 row 1.
adam = b"\0" + b"\x0a" + b"\0" + b"\x14" + b"\0" + b"\x1e\x28"
file("png interlaced", b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1))
     + png_chunk(b"IDAT", zlib.compress(adam)) + png_chunk(b"IEND", b""))

ink = Image.merge("CMYK", [grey, ImageOps.flip(grey), ImageOps.mirror(grey), grey.point(lambda v: v // 3)])
cmyk = written(ink, "JPEG", quality=95)
assert b"Adobe" in cmyk
file("jpeg cmyk with the Adobe marker", cmyk)
file("jpeg cmyk without the Adobe marker", without(cmyk, 0xEE))
at = cmyk.index(b"Adobe") + 11
file("jpeg ycck", cmyk[:at] + b"\x02" + cmyk[at + 1:])
file("jpeg progressive grey", written(grey, "JPEG", quality=90, progressive=True))
file("jpeg with a profile", written(src, "JPEG", quality=90, icc_profile=b"x" * 300))
file("jpeg 4:2:2", written(src, "JPEG", quality=90, subsampling=1))
for q in [10, 50, 100]:
    file(f"jpeg of quality {q}", written(src, "JPEG", quality=q))

exif = Image.Exif()
exif[0x0112] = 6
tiff = exif.tobytes()
tiff = tiff[6:] if tiff.startswith(b"Exif\0\0") else tiff
file("webp with Exif", written(src, "WEBP", lossless=True, exif=tiff))
webp = written(src, "WEBP", lossless=True, exif=tiff)
at = webp.index(b"EXIF") + 8
webp = webp[:at - 4] + struct.pack("<I", len(tiff) + 6) + b"Exif\0\0" + webp[at:]
file("webp with Exif that has a prefix", webp[:4] + struct.pack("<I", len(webp) - 8) + webp[8:])
others = [ImageOps.mirror(src), ImageOps.flip(src)]
file("webp animated", written(src, "WEBP", lossless=True, save_all=True, append_images=others, duration=50))
file("webp lossy animated", written(src, "WEBP", quality=90, save_all=True, append_images=others, duration=50))
clear = [ImageOps.mirror(veil), ImageOps.flip(veil)]
file("webp animated with alpha", written(veil, "WEBP", lossless=True, exact=True, save_all=True, append_images=clear, duration=50))
file("webp lossless with alpha", written(veil, "WEBP", lossless=True, exact=True))

few = src.quantize(16)
file("gif animated", written(few, "GIF", save_all=True, append_images=[i.quantize(16) for i in others], duration=50))
file("gif with a transparent colour", written(few, "GIF", transparency=3))
file("gif interlaced", written(few, "GIF", interlace=1))
gif = bytearray(written(few, "GIF"))
gif[6:10] = struct.pack("<HH", W + 5, H + 4)  # a screen larger than its frame
file("gif on a larger screen", bytes(gif))

# What torchvision's Resize(64) and CenterCrop(56) make of a JPEG that is much larger: all of it is decoded, then resized.
large = src.resize((301, 223), Image.Resampling.BICUBIC)
data = written(large, "JPEG", quality=60)
seen = Image.open(io.BytesIO(data)).resize((int(64 * 301 / 223), 64), Image.Resampling.BILINEAR)
left, top = round((seen.width - 56) / 2), round((seen.height - 56) / 2)
seen = seen.crop((left, top, left + 56, top + 56))
evaluated = {"name": "evaluated", "file": base64.b64encode(data).decode(),
             "want": {"w": 56, "h": 56, "c": 3, "pix": base64.b64encode(seen.tobytes()).decode()}}

with open("formats.json", "w") as out:
    json.dump({"files": files, "evaluated": evaluated}, out, separators=(",", ":"))
    out.write("\n")
