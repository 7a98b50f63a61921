"""A pyramid of feature maps with gradients to the image, and what two images are compared by on it: perceptual losses.

Networks by name. `efficientnet_lite0` ships with the installation: maps after the stem and after the expansions of four
blocks, those places where a ReLU6 has just been and the maps are widest; the linear outputs of its blocks have a third
of the channels or less. `vgg19` has the layers of Gatys et al. 2016 (section 2; style conv1_1 to conv5_1, content
conv4_2), `vgg16` those of Johnson et al. 2016 (section 4.1; style relu1_2, 2_2, 3_3, 4_3, content relu3_3); their
ImageNet weights have to be fetched once.

Images go in at their own size, not at the size the extractor of the same network asks for. A resize would hide from the
gradient whatever it averages away, and a texture's Gram matrix is a statement about one scale. The networks are fully
convolutional as far as they are read here.

Scope: losses and the metric made of the same maps (`metrics.pairs.style`). For features of whole images see
`features.extractor`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, unknown_name
from benchbench.features.networks.vgg import vgg_layers
from benchbench.features.weights import WeightsFile

# By the index in torchvision's `features`: the ReLU after the convolution of that name. Content last.
_VGG_STYLE = {"vgg16": (3, 8, 15, 22), "vgg19": (1, 6, 11, 20, 29)}
_VGG_CONTENT = {"vgg16": 15, "vgg19": 22}
_LITE0_BLOCKS = (1, 3, 5, 8)  # at 1/2, 1/4, 1/8 and 1/16 of the sides, before their depthwise convolutions
_LITE0_CONTENT = 2  # index into the maps: that of block 3
NETWORKS = ("efficientnet_lite0", "vgg16", "vgg19")
SMALLEST = 32  # the deepest map is 1/16 of the sides; a Gram matrix of less than 2×2 places says nothing

VGG19 = WeightsFile(
    extractor="vgg19",
    file="vgg19-dcbb9e9d.pth",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    sha256="dcbb9e9d",
    env="BENCHBENCH_VGG19_WEIGHTS",
    megabytes=575,
)


@dataclass(frozen=True)
class Maps:
    """What a network makes of N images: `style`, one float32 map N×C×H×W a layer, from fine to coarse, and `content`,
    the one map that says what is shown and not how."""

    style: Sequence[Tensor]
    content: Tensor


@dataclass(frozen=True)
class Perceptual:
    """A frozen network by name. Not a module, so that a model that holds it does not count or save its weights."""

    name: str
    read: Callable[[Tensor], Maps]

    def __call__(self, x: Tensor) -> Maps:
        """float32 images in [-1, 1], N×{1,3}×H×W, to their maps; gradients reach `x`. `InputError` below 32 pixels."""
        self.check_size(*x.shape[2:])
        # Sums over thousands of places leave the range of float16, so a training in half precision is whole here.
        with torch.autocast(x.device.type, enabled=False):
            return self.read(x.float().expand(-1, 3, -1, -1))

    def check_size(self, height: int, width: int) -> None:
        """`InputError` for images that are too small to have a style."""
        if min(height, width) < SMALLEST:
            raise InputError(
                f"{self.name} sees a style in images of at least {SMALLEST}×{SMALLEST} pixels but these are "
                f"{width}×{height}; choose a larger --size"
            )


def gram(maps: Tensor) -> Tensor:
    """Gram matrices of feature maps, N×C×H×W -> N×C×C: Σ over places of f fᵀ, divided by C·H·W.

    Johnson et al. 2016, equation 3. With F the C×HW matrix of an image this is F Fᵀ/(C·H·W); Gatys et al. 2016,
    equation 3, is the same without the division, which their equation 4 makes up for.
    """
    n, c, h, w = maps.shape
    flat = maps.reshape(n, c, h * w)
    with torch.autocast(maps.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / (c * h * w)


def gram_distance(maps: Sequence[Tensor], grams: Sequence[Tensor]) -> Tensor:
    """Squared Frobenius distance of the Gram matrices of `maps` to `grams`, mean over layers: (N,), of each image.

    Johnson et al. 2016, equation 4. A layer of `grams` has as many images as one of `maps`, or one for all.
    """
    layers = [(gram(own) - target).square().sum((1, 2)) for own, target in zip(maps, grams, strict=True)]
    return torch.stack(layers).mean(0)


@lru_cache(maxsize=4)
def load_perceptual(name: str, device: torch.device) -> Perceptual:
    """The network `name`, one of `NETWORKS`, on `device`.

    Networks draw initial weights before they get their own; here torch's generator stays where it was, for a model is
    built in the middle of drawing its own, and only the first one of a process has this to load. `InputError` for an
    unknown name; `MetricFailed(status="unavailable")` where its weights are not at hand, with the way to get them.
    """
    if name not in NETWORKS:
        raise unknown_name("perceptual network", name, NETWORKS)
    # A weight made in inference mode can never be part of a backward pass.
    with torch.inference_mode(False), torch.random.fork_rng([]):
        return Perceptual(name, _lite0(device) if name == "efficientnet_lite0" else _vgg(name, device))


def _lite0(device: torch.device) -> Callable[[Tensor], Maps]:
    from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0, Lite0

    network = EfficientNetLite0(device).network
    assert isinstance(network, Lite0)

    def read(x: Tensor) -> Maps:
        # [-1, 1] to the (level − 127)/128 the network was trained on.
        x = ((x + 1) * 127.5 - 127) / 128
        x = nn.functional.relu6(network.stem(x))
        style = [x]
        for number, block in enumerate(network.blocks[: _LITE0_BLOCKS[-1] + 1]):
            if number in _LITE0_BLOCKS:
                assert block.expand is not None
                style.append(nn.functional.relu6(block.expand(x)))
            x = block(x)
        return Maps(style, style[_LITE0_CONTENT])

    return read


def _vgg(name: str, device: torch.device) -> Callable[[Tensor], Maps]:
    from benchbench.features.networks.torch_fidelity_nets import VGG16

    layers = vgg_layers(name, {"vgg16": VGG16.weights, "vgg19": VGG19}[name])
    last = max(*_VGG_STYLE[name], _VGG_CONTENT[name])
    layers = layers[: last + 1].requires_grad_(False).eval().to(device)
    mean, std = (
        torch.tensor(values, device=device).view(3, 1, 1)
        for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )

    def read(x: Tensor) -> Maps:
        x = ((x + 1) / 2 - mean) / std
        seen: dict[int, Tensor] = {}
        for number, layer in enumerate(layers):
            x = seen[number] = layer(x)
        return Maps([seen[number] for number in _VGG_STYLE[name]], seen[_VGG_CONTENT[name]])

    return read
