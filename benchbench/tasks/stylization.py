"""The stylization task: every held-out content is shown in every style.

One call is one content in one style, for models that optimise take seconds for each; throughput is measured on these
very calls. What compares distributions sees tiles: two style pictures are none.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchbench.core.busy import Busy
from benchbench.core.device import synchronize
from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Stylizer
from benchbench.core.seeds import ImageRng
from benchbench.metrics.metric import Estimate
from benchbench.tasks.speed import Measurement

TASK = "stylization"
TILE = 2  # tiles have half the sides
TILES = 5  # positions along each side, evenly spaced; neighbours overlap by three quarters


class Stylized(NamedTuple):
    """outputs: uint8 RGB K×N×3×H×W on the CPU, row (k, i) content i in style k. seconds: of each, in that order.
    machine_busy: cores that other programs kept busy meanwhile, the mean."""

    outputs: Tensor
    seconds: list[float]
    machine_busy: float


def stylize(
    model: Stylizer,
    contents: Tensor,
    n_styles: int,
    *,
    seed: int,
    device: torch.device,
    progress: Progress = SILENT,
) -> Stylized:
    """All `contents` (uint8 RGB N×3×H×W) in all styles. The output (k, i) draws from the generator of image k·N + i."""
    outputs, seconds, busy = [], [], Busy()
    with progress.stage("stylizing", n_styles * len(contents), "image") as stage:
        for style in range(n_styles):
            for i in range(len(contents)):
                content = contents[i : i + 1].to(device)
                rng = ImageRng(seed, [style * len(contents) + i], device)
                synchronize(device)
                start = time.perf_counter()
                with torch.inference_mode():
                    made = check_images(model.stylize(content, style, rng), "stylized images")
                synchronize(device)
                seconds.append(time.perf_counter() - start)
                outputs.append(made.cpu())
                stage.advance(1)
    if not outputs:
        raise InputError("stylization needs at least one content and one style")
    others, wall = busy.others()
    return Stylized(torch.cat(outputs).unflatten(0, (n_styles, len(contents))), seconds, others / wall)


def rates(seconds: list[float]) -> list[Measurement]:
    """Images/s and the median latency of single images from the time of each call."""
    each = [1 / own for own in seconds]
    rate = Estimate(statistics.median(each), min(each), max(each), f"range of {len(each)} images")
    return [
        Measurement("sampling_rate", "throughput", "images/s", True, rate, 1),
        Measurement("latency_p50", "throughput", "ms", False, Estimate(1e3 * statistics.median(seconds)), 1),
    ]


def tiles(images: Tensor) -> Tensor:
    """Overlapping squares of half the sides, 25 of each image: uint8 N×3×H×W to 25N×3×H/2×W/2, image by image."""
    sides = [side // TILE for side in images.shape[2:]]
    tops, lefts = (
        np.linspace(0, whole - side, TILES).round().astype(int).tolist()
        for whole, side in zip(images.shape[2:], sides, strict=True)
    )
    cut = [images[..., top : top + sides[0], left : left + sides[1]] for top in tops for left in lefts]
    return torch.stack(cut, 1).flatten(0, 1)
