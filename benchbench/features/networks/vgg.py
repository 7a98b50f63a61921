"""The convolutions of a VGG, and those of a VGG16 in five stages, each up to the ReLU before a pooling: what
perceptual distances read.

Pooling is the distance's own: LPIPS has the network's maximum, DISTS an L2 average.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbench.core.arrays import default_float32
from benchbench.features.weights import WeightsFile, wrong_shape

ENDS = (4, 9, 16, 23, 30)  # of the stages in torchvision's `features`; a pooling comes after each
CHANNELS = (64, 128, 256, 512, 512)
SMALLEST = 32  # the last stage is 1/16 of the sides, and of one place there is no variance


def vgg_layers(name: str, weights: WeightsFile) -> nn.Sequential:
    """The convolutions of torchvision's "vgg16" or "vgg19", on the CPU; `MetricFailed(status="unavailable")` where the
    weights are not at hand or another network's."""
    import torchvision

    state, _, _ = weights.read()
    with torch.device("meta"), default_float32():  # its classifier, nine tenths of it, is never made
        layers: nn.Sequential = getattr(torchvision.models, name)(weights=None).features
    own = {
        key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")
    }
    try:
        layers.load_state_dict(own, assign=True)
    except RuntimeError as error:
        raise wrong_shape(weights.extractor, error) from error
    return layers


def vgg16_stages(weights: WeightsFile, device: torch.device) -> list[nn.Sequential]:
    """The stages, frozen; errors as of `vgg_layers`."""
    layers = vgg_layers("vgg16", weights).requires_grad_(False).eval().to(device)
    starts = (0, *(end + 1 for end in ENDS[:-1]))
    return [layers[start:end] for start, end in zip(starts, ENDS, strict=True)]


def normalised(images: Tensor) -> Tensor:
    """float32 images in [0, 1], N×3×H×W, as ImageNet's networks take them."""
    mean, std = (
        torch.tensor(values, device=images.device).view(3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (images - mean) / std
