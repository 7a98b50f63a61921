"""Which of the precisions that networks can score in is the fastest on the machine at hand.

A format pays where the processor computes in it. One that it only emulates, as most do with float16, can be many times
slower than float32. So a product and a convolution, which is what networks are made of, are timed in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from benchbench.core.precision import PRECISIONS
from benchbench.features.frozen import full_float32
from benchbench.tasks.profiling.clock import repeated
from benchbench.tasks.profiling.roofline import DTYPES

BUDGET = 0.15
"""Seconds for each of the two in each precision, where a call is short enough: about a second for all."""
PAYS = 1.2
"""Times as fast as float32, from which a precision pays: numbers move with it, for which a tenth is no price."""
_SIDES = {"cpu": 512, "cuda": 4096}
_IMAGES = {"cpu": 4, "cuda": 128}
_CHANNELS, _PLACES = 96, 35  # of Inception-v3's middle layers


@dataclass(frozen=True)
class Rates:
    """Operations a second.

    Attributes:
        product: Of a product of two square matrices.
        convolution: Of a 3×3 convolution of 96 channels to 96 on 35×35 places, channels last.
    """

    product: float
    convolution: float


def precision_rates(device: torch.device, budget: float = BUDGET) -> dict[str, Rates]:
    """How fast a device is in each precision; the best of as many calls as there is time for.

    Args:
        device: Where.
        budget: Seconds for each measurement, where a call is short enough.

    Returns:
        The rates by `core.precision.PRECISIONS`. A format that the device does not have at all is absent.
    """
    found = {}
    for name in PRECISIONS:
        try:
            found[name] = _rates(DTYPES[name], device, budget)
        except RuntimeError:  # torch has no kernel for it there
            continue
    return found


def _rates(dtype: torch.dtype, device: torch.device, budget: float) -> Rates:
    side, images = (sizes.get(device.type, sizes["cuda"]) for sizes in (_SIDES, _IMAGES))
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    x = torch.randn(images, _CHANNELS, _PLACES, _PLACES, device=device)
    weight = torch.randn(_CHANNELS, _CHANNELS, 3, 3, device=device)
    x, weight = (own.to(dtype).contiguous(memory_format=torch.channels_last) for own in (x, weight))
    with torch.inference_mode(), full_float32():
        product, convolution = (
            min(repeated(work, 10_000, device, budget=budget, fewest=1))
            for work in (lambda: a @ b, lambda: F.conv2d(x, weight, padding=1))
        )
    flops = 2 * 9 * images * (_CHANNELS * _PLACES) ** 2
    return Rates(2 * side**3 / product, flops / convolution)


def in_words(rates: Mapping[str, Rates]) -> dict[str, str]:
    """What is said of each precision, and of all. rates: as of `precision_rates`."""
    plain = rates["float32"]
    said, paying = {}, []
    for name, own in rates.items():
        said[name] = (
            f"matrix product {own.product / 1e9:,.0f} GFLOP/s, convolution {own.convolution / 1e9:,.0f} GFLOP/s"
        )
        if name != "float32":
            product, convolution = own.product / plain.product, own.convolution / plain.convolution
            said[name] += f": {product:.2g} and {convolution:.2g} times as fast as float32"
            if convolution >= PAYS:  # which nearly all of the time of most networks goes to
                paying.append((convolution, name))
    if paying:
        best = max(paying)[1]
        said["what pays"] = (
            f"{best}: --precision {best} of run, evaluate and stats scores in it. It is never chosen by itself, since "
            "numbers move with it and do not compare with those in float32"
        )
    else:
        said["what pays"] = "float32, which is the default"
    return said
