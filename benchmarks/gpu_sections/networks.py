"""Every registered extractor on a device: with its own weights where they are at hand, else on seeded random ones."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbench.core.errors import MetricFailed
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import EXTRACTORS
from benchbench.features.extractor import Extractor, load_extractor, traits_of
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.networks.inception_v3 import InceptionV3
from benchbench.models.build import build_model
from gpu_sections.child import SkippedError
from gpu_sections.tools import shared_inception

OWN, RANDOM = "its own weights", "seeded random weights"
LARGE = ("vgg16", "clip_vit_l_14")  # hundreds of millions of weights: not on two cores in a minute


def extractor_on(name: str, device: torch.device, precision: str = "float32") -> tuple[Extractor, str]:
    """The extractor and whose weights it has; `SkippedError` where there is no way to make it without a download."""
    try:
        return load_extractor(name, device, precision), OWN
    except MetricFailed as failure:
        kind = EXTRACTORS.get(name)
        if issubclass(kind, InceptionV3):
            made: Any = kind.from_state_dict(shared_inception().state_dict(), device, precision)
            return made, RANDOM
        if name not in RANDOMLY:
            raise SkippedError("its code and weights are not at hand, and nobody makes it here") from failure
        torch.manual_seed(0)
        return RANDOMLY[name](name, device, precision), RANDOM


def inputs_of(name: str, pictures: Tensor) -> Tensor:
    """Pictures of the size and kind that an extractor can look at."""
    if traits_of(name).kind == "points":
        return _dots(len(pictures))
    return pictures


def _dots(n: int) -> Tensor:
    """One dot on black each, at places of its own, 32×32."""
    grid = torch.arange(32, dtype=torch.float32)
    rows, columns = (10 + 12 * torch.rand(n, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    y, x = ((-((grid - c[:, None]) ** 2) / 4).exp() for c in (rows, columns))
    dots = (255 * y[:, :, None] * x[:, None, :]).to(torch.uint8)
    return dots[:, None].expand(-1, 3, -1, -1).contiguous()


def _frozen(name: str, network: nn.Module, device: torch.device, precision: str) -> Extractor:
    kind = EXTRACTORS.get(name)
    extractor: Any = kind.__new__(kind)
    FrozenExtractor.__init__(extractor, network, device, "random", RANDOM, precision)
    made: Extractor = extractor
    return made


def _vgg16(name: str, device: torch.device, precision: str) -> Extractor:
    import torchvision
    from torch_fidelity import feature_extractor_vgg16 as module

    made = torchvision.models.vgg16()
    with mock.patch.object(module, "torchvision_load_pretrained_vgg16", return_value=made):
        network = module.FeatureExtractorVGG16("vgg16", ["fc2_relu"])
    return _frozen(name, network, device, precision)


def _clip(name: str, device: torch.device, precision: str) -> Extractor:
    """torch-fidelity's network of CLIP's size; its constructor would ask for a file."""
    from torch_fidelity import feature_extractor_clip as module

    dim, layers, width, patch = {"clip_vit_b_32": (512, 12, 768, 32), "clip_vit_l_14": (768, 24, 1024, 14)}[
        name
    ]
    network = module.FeatureExtractorCLIP.__new__(module.FeatureExtractorCLIP)
    nn.Module.__init__(network)
    network.features_list, network.resolution = ["clip"], 224
    network.feature_extractor_internal_dtype = torch.float32
    network.model = module.CLIPVisual(dim, 224, layers, width, patch)
    return _frozen(name, network, device, precision)


def _cnn_cifar10(name: str, device: torch.device, precision: str) -> Extractor:
    """The project's own classifier, untrained, from a file as training leaves it."""
    classifier = build_model("cnn", {"convs": 2}, ImageSpec(32, 32, grey=False, n_classes=10))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file({key: value.contiguous() for key, value in classifier.state_dict().items()}, path)
        with mock.patch.dict(os.environ, {"BENCHBENCH_CNN_CIFAR10_WEIGHTS": str(path)}):
            return load_extractor(name, device, precision)


RANDOMLY: dict[str, Callable[[str, torch.device, str], Extractor]] = {
    "vgg16": _vgg16,
    "clip_vit_b_32": _clip,
    "clip_vit_l_14": _clip,
    "cnn_cifar10": _cnn_cifar10,
}
