"""LPIPS, the distance of Zhang et al. 2018 between two images in the features of an AlexNet.

The network and the learned weights of its layers are torchmetrics'; the AlexNet itself (ImageNet weights, 244 MB)
has to be fetched once. Images go in as they are, at least 32×32, scaled to [-1, 1].
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from benchbench.core.arrays import ArrayLike, default_float32
from benchbench.core.errors import MetricFailed
from benchbench.core.images import to_signed
from benchbench.features.frozen import full_float32
from benchbench.features.weights import WeightsFile
from benchbench.metrics.pairs.checked_pairs import rgb_pair
from benchbench.metrics.pairs.paired import PairedMetric

ALEXNET = WeightsFile(
    extractor="lpips",
    file="alexnet-owt-7be5be79.pth",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be79",
    env="BENCHBENCH_LPIPS_WEIGHTS",
    megabytes=244,
)
SMALLEST = 32  # below, AlexNet's last pooling has nothing left to pool


def lpips(x: ArrayLike, y: ArrayLike) -> Tensor:
    """Learned perceptual distance of each pair, 0 for equal images (Zhang et al. 2018, eq. 1, "lin", AlexNet).

    x, y: uint8 N×3×H×W. Returns float64 (N,). `MetricFailed` for images that are too small, and where the
    AlexNet weights are not at hand (status "unavailable", with the way to get them).
    """
    x, y = rgb_pair(x, y)
    if min(x.shape[2:]) < SMALLEST:
        raise MetricFailed(
            f"LPIPS needs images of at least {SMALLEST}×{SMALLEST} but has {x.shape[2]}×{x.shape[3]}"
        )
    path, _ = ALEXNET.locate()
    network = _network(str(path), str(x.device))
    with torch.inference_mode(), full_float32():
        distances: Tensor = network(to_signed(x), to_signed(y))
    return distances.flatten().double()


@lru_cache(maxsize=2)
def _network(path: str, device: str) -> nn.Module:
    # torchmetrics' public class can only fetch the backbone itself; its network takes one that is at hand.
    from torchmetrics.functional.image.lpips import _LPIPS

    backbone, _, _ = ALEXNET.read()
    with default_float32():
        network = _LPIPS(net="alex", pnet_rand=True)
    own = network.net.state_dict()  # "slice2.3.weight" is torchvision's "features.3.weight"
    network.net.load_state_dict({key: backbone["features." + key.split(".", 1)[1]] for key in own})
    return network.requires_grad_(False).eval().to(device)


class LPIPS(PairedMetric):
    """Learned perceptual image patch similarity (Zhang et al. 2018), AlexNet."""

    family = "lpips"
    smallest = SMALLEST
    higher_is_better = False
    scale = "log"  # a distance
    ends = (0.0, None)
    source = "Zhang et al. 2018, eq. 1"
    per_image = staticmethod(lpips)
