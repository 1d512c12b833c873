"""Golden values of whole networks by their reference implementations, narrow and on small images: torchvision's VGG and
Swin, timm's ViT. Needs both packages (pip install torchvision timm; make golden PYTHON=...)."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

try:
    from timm.models.vision_transformer import VisionTransformer
    from torchvision.models import swin_transformer, vgg
except ImportError as missing:
    print(f"nets.py: {missing}; nets.safetensors stays as it is", file=sys.stderr)
    sys.exit(0)

from torch import nn

import golden


def small_vgg(width, norm):
    """VGG-11 of another width: torchvision's features and classifier with all sizes in proportion."""
    layout = [w if w == "M" else w * width // 64 for w in vgg.cfgs["A"]]
    net = vgg.VGG(vgg.make_layers(layout, batch_norm=norm), num_classes=10, init_weights=False, dropout=0)
    hidden = 64 * width
    for place, shape in {0: (49 * 8 * width, hidden), 3: (hidden, hidden), 6: (hidden, 10)}.items():
        net.classifier[place] = nn.Linear(*shape)
    return net


def small_swin(depth):
    return swin_transformer.SwinTransformer(
        [4, 4], embed_dim=12, depths=[2, 2, depth - 6, 2], num_heads=[3, 6, 12, 24], window_size=[7, 7],
        num_classes=10, stochastic_depth_prob=0)


vit = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3, num_classes=10)
tensors = {}
tensors.update(golden.network("vit", vit, (3, 3, 32, 32)))
# Maps of 18, 9, 5 and 3 cells a side: padding, shifts, merging of odd sides, a map smaller than a window.
tensors.update(golden.network("swin", small_swin(8), (2, 3, 72, 72)))
# Maps of 14, 7, 4 and 2: windows that fill the map.
tensors.update(golden.network("swin_56", small_swin(7), (2, 3, 56, 56)))
tensors.update(golden.network("vgg", small_vgg(2, False), (3, 3, 64, 64)))
tensors.update(golden.network("vgg_bn", small_vgg(2, True), (3, 3, 64, 64)))
golden.save("nets.safetensors", tensors)
