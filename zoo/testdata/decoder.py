"""Golden digest of what InfoPro's decoder for ImageNet makes of features, with formula weights, in training."""

import sys

sys.dont_write_bytecode = True
sys.path.append("../../nn/nntest")

from collections import OrderedDict

from torch import nn

import golden


def up(side):
    return nn.Upsample(size=(side, side), mode="bilinear", align_corners=True)


layers = []
for i, (inputs, outputs, k) in enumerate([(6, 128, 1), (128, 32, 3), (32, 12, 3)]):
    conv, bn = golden.conv_norm(inputs, outputs, k)
    layers += [(f"conv{i + 1}", conv), (f"bn{i + 1}", bn), (f"relu{i + 1}", nn.ReLU()), (f"up{i + 1}", up(28 << i))]
decoder = nn.Sequential(OrderedDict(layers + [("conv4", nn.Conv2d(12, 3, 3, padding=1))])).double()
net = nn.ModuleDict({"decoders": nn.ModuleDict({"1": decoder})})
golden.fill(net)
golden.save("decoder.safetensors", {"image": golden.digest("image", decoder(golden.formula("features", (2, 6, 7, 7))))})
