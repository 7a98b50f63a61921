"""DISTS of Ding et al. 2020: structure and texture of two images in the features of a VGG16.

    DISTS = Σ α_ij (1 − l(x̃_ij, ỹ_ij)) + β_ij (1 − s(x̃_ij, ỹ_ij)),    l = (2 μₓμᵧ + c) / (μₓ² + μᵧ² + c),
                                                                      s = (2 σₓᵧ + c) / (σₓ² + σᵧ² + c)

over the channels j of the image itself and of five stages i of the network, whose pooling is an L2 average; c =
1e-6. The weights α and β, which sum to 1, are the authors' (MIT licence), as torchmetrics ships them; the VGG16
(ImageNet weights, 553 MB) has to be fetched once. Images go in at their own size, RGB in [0, 1].

Departure: the sum is over 1 − l and 1 − s, which is 0 to the last digit for equal images, where 1 − Σ is not.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike
from benchbench.features.frozen import full_float32
from benchbench.features.networks.torch_fidelity_nets import VGG16
from benchbench.features.networks.vgg import CHANNELS, SMALLEST, normalised, vgg16_stages
from benchbench.features.weights import not_as_shipped, shipped_by_torchmetrics
from benchbench.metrics.pairs.checked_pairs import rgb_pair
from benchbench.metrics.pairs.greys import check_side, of_some
from benchbench.metrics.pairs.paired import PairedMetric

VGG = replace(VGG16.weights, extractor="dists")
_OF_ALL = [3, *CHANNELS]
_C = 1e-6


def dists(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Deep image structure and texture similarity of each pair (Ding et al. 2020, eq. 6), 0 for equal images.

    x, y: uint8 N×3×H×W. Returns float64 (N,). `MetricFailed` for images below 32×32 pixels, and where the VGG16 or the
    authors' weights are not at hand (status "unavailable", with the way to get them).
    """
    x, y = rgb_pair(x, y)
    check_side(x, SMALLEST, "DISTS")
    path, _ = VGG.locate()
    network = _network(str(path), x.device)
    with torch.inference_mode(), full_float32():
        return of_some(network.distance, x, y)


class Network(NamedTuple):
    """The stages of a VGG16, and α and β of the image and of each stage: float64 (channels,) each."""

    stages: list[nn.Sequential]
    alpha: list[Tensor]
    beta: list[Tensor]

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Of uint8 N×3×H×W twice: float64 (N,)."""
        found = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        maps = self.maps(torch.cat([x, y]).float() / 255)
        for own, alpha, beta in zip(maps, self.alpha, self.beta, strict=True):
            a, b = own.double().flatten(2).chunk(2)
            mean_a, mean_b = a.mean(2, keepdim=True), b.mean(2, keepdim=True)
            a, b = a - mean_a, b - mean_b
            light = (2 * mean_a * mean_b + _C) / (mean_a.square() + mean_b.square() + _C)
            structure = (2 * (a * b).mean(2) + _C) / (a.square().mean(2) + b.square().mean(2) + _C)
            found += ((1 - light[..., 0]) * alpha + (1 - structure) * beta).sum(1)
        return found

    def maps(self, images: Tensor) -> list[Tensor]:
        """The image itself, float32 in [0, 1], and what each stage makes of it."""
        found, x = [images], normalised(images)
        for number, stage in enumerate(self.stages):
            x = stage(_pooled(x) if number else x)
            found.append(x)
        return found


def _pooled(x: Tensor) -> Tensor:
    """The root of the mean of squares under a Hann window of 3×3, every other place (Ding et al. 2020, eq. 3)."""
    hann = torch.tensor([0.25, 0.5, 0.25], device=x.device)
    kernel = (hann[:, None] * hann).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


@lru_cache(maxsize=2)
def _network(path: str, device: torch.device) -> Network:
    return Network(vgg16_stages(VGG, device), *_weights(device))


def _weights(device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
    """α and β, scaled so that all of them sum to 1, of the image and of each stage."""
    path, state = shipped_by_torchmetrics("dists_models", "weights.pt", "dists")
    if {name: own.numel() for name, own in state.items()} != dict.fromkeys(("alpha", "beta"), sum(_OF_ALL)):
        raise not_as_shipped(path, "dists")
    alpha, beta = (state[name].double().flatten().to(device) for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return list((alpha / total).split(_OF_ALL)), list((beta / total).split(_OF_ALL))


class DISTS(PairedMetric):
    """Deep image structure and texture similarity (Ding et al. 2020), VGG16."""

    family = "dists"
    smallest = SMALLEST
    higher_is_better = False
    scale = "log"  # a distance
    ends = (0.0, 2.0)  # 1 − l and 1 − s are at most 2, and their weights sum to 1
    source = "Ding et al. 2020, eq. 6"
    per_image = staticmethod(dists)
