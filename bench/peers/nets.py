"""The zoo's networks and local heads as a PyTorch user would write them: torchvision's style, in-place ReLUs."""

from torch import nn


def conv_norm_relu(inputs, outputs, k=3, stride=1):
    conv = nn.Conv2d(inputs, outputs, k, stride, k // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Layers but for their last ReLU, which follows the addition of the shortcut."""

    def __init__(self, inputs, outputs, stride, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.layers[-1] = self.layers[-1][:2]
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = conv_norm_relu(inputs, outputs, 1, stride)[:2]

    def forward(self, x):
        y = self.layers(x)
        y += self.downsample(x)
        return self.relu(y)


def basic(inputs, width, stride):
    return width, Residual(inputs, width, stride, conv_norm_relu(inputs, width, 3, stride), conv_norm_relu(width, width))


def bottleneck(inputs, width, stride):
    return 4 * width, Residual(
        inputs, 4 * width, stride,
        conv_norm_relu(inputs, width, 1), conv_norm_relu(width, width, 3, stride), conv_norm_relu(width, 4 * width, 1))


# width, blocks a stage, block, the stages after which 2, 3 and 4 modules are cut
MODELS = {
    "resnet32": (16, (5, 5, 5), basic, {2: (2,), 3: (1, 2)}),
    "resnet18": (64, (2, 2, 2, 2), basic, {2: (2,), 3: (1, 2), 4: (1, 2, 3)}),
    "resnet34": (64, (3, 4, 6, 3), basic, {2: (2,), 3: (1, 2), 4: (1, 2, 3)}),
    "resnet50": (64, (3, 4, 6, 3), bottleneck, {2: (2,), 3: (1, 2), 4: (1, 2, 3)}),
    "resnet101": (64, (3, 4, 23, 3), bottleneck, {2: (2,), 3: (1, 2), 4: (1, 2, 3)}),
    "resnet152": (64, (3, 8, 36, 3), bottleneck, {2: (2,), 3: (1, 2), 4: (1, 2, 3)}),
}

# timm's, for global back-propagation alone.
WHOLE = {
    "vit_ti": "vit_tiny_patch16_224", "vit_s": "vit_small_patch16_224", "vit_b": "vit_base_patch16_224",
    "swin_t": "swin_tiny_patch4_window7_224", "swin_s": "swin_small_patch4_window7_224",
    "swin_b": "swin_base_patch4_window7_224",
}


def halved(side):
    return (side + 1) // 2


def blocks(model, image):
    """A list of (name, module, channels, side of the maps that it puts out)."""
    width, stages, block, _ = MODELS[model]
    if model == "resnet32":
        stem, side = conv_norm_relu(3, width), image
    else:
        stem, side = conv_norm_relu(3, width, 7, 2).append(nn.MaxPool2d(3, 2, 1)), halved(halved(image))
    net, channels = [("stem", stem, width, side)], width
    for stage, count in enumerate(stages):
        for k in range(count):
            stride = 2 if stage > 0 and k == 0 else 1
            side = halved(side) if stride == 2 else side
            channels, module = block(channels, width << stage, stride)
            net.append((f"layer{stage + 1}.{k}", module, channels, side))
    return net


def ends(model, names, k):
    """The number of blocks up to each module's end: published cuts, or even shares."""
    _, stages, _, cuts = MODELS[model]
    if k in cuts:
        return [names.index(f"layer{s}.{stages[s - 1] - 1}") + 1 for s in cuts[k]] + [len(names)]
    n = len(names)
    return [(i + 1) * (n // k) + min(i + 1, n % k) for i in range(k)]


def linear_head(channels, side, width, classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def conv_head(channels, side, width, classes):
    width = width or channels
    return nn.Sequential(
        conv_norm_relu(channels, width), nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(width), nn.Flatten(),
        nn.Linear(4 * width, classes))


def infopro_head(channels, side, width, classes):
    """For ImageNet (Wang et al. 2021); zoo/heads.go says what it does beside the published 512 and 1024 channels."""
    halvings = 2
    if channels not in (512, 1024):
        halvings = 0
        while side > 7:
            side, halvings = halved(side), halvings + 1
    n = max(2, halvings)
    widths = [max(64, channels // 4)] + [256] * (n - 1) + [512]
    middle = [conv_norm_relu(widths[i], widths[i + 1], 3, 2 if i < halvings else 1) for i in range(n)]
    return nn.Sequential(
        conv_norm_relu(channels, widths[0], 1), *middle, conv_norm_relu(512, 2048, 1), linear_head(2048, 0, 0, classes))


HEADS = {"linear": linear_head, "conv": conv_head, "infopro": infopro_head}


def modules(model, image, k, head, width, classes):
    """(body, head) of each of k modules, and the names of the blocks behind which they are cut."""
    if model in WHOLE:
        if k > 1:
            raise SystemExit(f"--model {model} is timm's and not cut: --methods must be bp")
        import timm

        net = timm.create_model(WHOLE[model], img_size=image, num_classes=classes)
        return [(net, nn.Identity())], []
    net = blocks(model, image)
    names, parts, begin = [name for name, *_ in net], [], 0
    cut = ends(model, names, k)
    for end in cut:
        _, _, channels, side = net[end - 1]
        build = HEADS[head] if end < len(net) else linear_head
        parts.append((nn.Sequential(*[b[1] for b in net[begin:end]]), build(channels, side, width, classes)))
        begin = end
    return parts, [names[end - 1] for end in cut[:-1]]
