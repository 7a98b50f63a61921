"""LPIPS on a VGG16 (Zhang et al. 2018), which path lengths are measured in; `lpips` has the AlexNet.

The learned weights of its layers are torchmetrics'; the VGG16 itself (ImageNet weights, 553 MB) has to be fetched once.
Numbers are float32 until they are summed: the two ends of a step of 1e-4 differ in the fourth digit, and the square of
that difference is far above the rounding of float32, 1e-7 squared.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError
from benchbench.features.frozen import full_float32
from benchbench.features.networks.torch_fidelity_nets import VGG16
from benchbench.features.networks.vgg import CHANNELS, SMALLEST, vgg16_stages
from benchbench.features.weights import WeightsFile, not_as_shipped, shipped_by_torchmetrics
from benchbench.metrics.pairs.checked_pairs import checked_pair
from benchbench.metrics.pairs.greys import check_side, of_some

# The scaling of the authors' network, of images in [-1, 1].
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPS = 1e-10


def lpips_vgg(
    x: ArrayLike, y: ArrayLike, weights: WeightsFile = VGG16.weights, *, levels: bool = False
) -> Tensor:
    """Learned perceptual distance of each pair, 0 for equal images (Zhang et al. 2018, eq. 1, "lin", VGG16).

    x, y: uint8 N×3×H×W; with `levels` also float32 grey levels 0..255, as in `paired.ssim`. weights: of the VGG16.
    Returns float64 (N,). `MetricFailed` for images below 32×32 pixels, and where the weights are not at hand (status
    "unavailable", with the way to get them).
    """
    x, y = checked_pair(x, y, levels=levels)
    if x.shape[1] != 3:
        raise InputError("LPIPS compares RGB images; these have one channel")
    check_side(x, SMALLEST, "LPIPS on VGG16")
    path, _ = weights.locate()
    network = _network(weights, str(path), x.device)
    with torch.inference_mode(), full_float32():
        return of_some(partial(_distance, network), x, y)


class Network(NamedTuple):
    """The stages of a VGG16 and the weight of each channel of them, float32 (channels,)."""

    stages: list[nn.Sequential]
    lin: list[Tensor]


def _distance(network: Network, x: Tensor, y: Tensor) -> Tensor:
    shift, scale = (torch.tensor(values, device=x.device).view(3, 1, 1) for values in (_SHIFT, _SCALE))
    maps = (torch.cat([x, y]).float() / 127.5 - 1 - shift) / scale
    found = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for number, (stage, lin) in enumerate(zip(*network, strict=True)):
        maps = stage(F.max_pool2d(maps, 2) if number else maps)
        a, b = (maps / (maps.square().sum(1, keepdim=True).sqrt() + _EPS)).chunk(2)
        found += torch.einsum("nchw,c->nhw", (a - b).square(), lin).double().mean((1, 2))
    return found


@lru_cache(maxsize=2)
def _network(weights: WeightsFile, path: str, device: torch.device) -> Network:
    return Network(vgg16_stages(weights, device), [own.to(device) for own in _lin()])


def _lin() -> list[Tensor]:
    """The learned weights of the channels of each stage."""
    path, state = shipped_by_torchmetrics("lpips_models", "vgg.pth", "lpips_vgg")
    found = [own.flatten() for _, own in sorted(state.items())]
    if [own.numel() for own in found] != list(CHANNELS):
        raise not_as_shipped(path, "lpips_vgg")
    return found
