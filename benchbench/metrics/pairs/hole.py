"""Numbers inside the holes that a model has filled (Pathak et al. 2016, Liu et al. 2018).

Of a whole image the plain names speak (`psnr`, `ssim`, …). Where nine pixels of ten were given to the model, they speak
mostly of those; the numbers here are of the pixels alone that it had to make up.

PSNR and MAE are means over the missing pixels and their channels. SSIM is a mean over missing pixels, too: each counts
the 11×11 window that is centred on it, and near the border, where no such window lies within the image, the nearest one
that does. So every hole has a number, however close to the border. Windows that only touch the hole do not count: most
of what they see was given. Those that count see up to five pixels of what surrounds the hole, so they see whether the
filling joins it.

Pattern: whoever inpaints gives the reader of pairs the holes beside the two images (`PairReader.update`) and its
functions are `HoleMetric.in_holes`; what is found is the evidence of the role "hole".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike, dtype_text, shape_text, tensor_of
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.scales import Range
from benchbench.metrics.metric import Metric, Need
from benchbench.metrics.pairs.checked_pairs import checked_pair
from benchbench.metrics.pairs.paired import PSNR, PairedMetric
from benchbench.metrics.pairs.ssim import TAPS, ssim_map

NO_HOLES = "this is of the holes of images that a model has filled; see benchbench run --task inpaint"


def psnr_hole(outputs: ArrayLike, originals: ArrayLike, holes: ArrayLike) -> Tensor:
    """Peak signal-to-noise ratio of the missing pixels: −10 log10 of their mean squared error, peak 255.

    Args:
        outputs: What a model made, whole images, uint8 N×3×H×W or N×1×H×W.
        originals: What each was, of the same shape.
        holes: bool N×1×H×W, True where the model was not shown the pixel; at least one such pixel an image.

    Returns:
        One value a pair, float64 (N,) in dB; +inf where all missing pixels are right.

    Raises:
        InputError: The images cannot be paired, or the holes are none of these images.
    """
    x, y, missing = _checked(outputs, originals, holes)
    return -10 * (_mean_in((x - y).square_(), missing) / 255**2).log10()


def mae_hole(outputs: ArrayLike, originals: ArrayLike, holes: ArrayLike) -> Tensor:
    """Mean absolute error of the missing pixels, intensities in [0, 1]. Arguments and errors as `psnr_hole`."""
    x, y, missing = _checked(outputs, originals, holes)
    return _mean_in((x - y).abs_(), missing) / 255


def ssim_hole(outputs: ArrayLike, originals: ArrayLike, holes: ArrayLike) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13) at the missing pixels: the mean over them of the window centred
    on each, or the nearest within the image; in [-1, 1].

    Arguments and errors as `psnr_hole`; `MetricFailed` for images smaller than 11×11 pixels.
    """
    x, y, missing = _checked(outputs, originals, holes)
    similarity = F.pad(ssim_map(x, y), (TAPS // 2,) * 4, mode="replicate")
    return _mean_in(similarity, missing)


def _checked(outputs: ArrayLike, originals: ArrayLike, holes: ArrayLike) -> tuple[Tensor, Tensor, Tensor]:
    """Both sides in float64, and the holes."""
    x, y = checked_pair(outputs, originals)
    missing = tensor_of(holes, "holes")
    n, _, height, width = x.shape
    if missing.dtype != torch.bool or missing.shape != (n, 1, height, width):
        raise InputError(
            f"holes must be bool {n}×1×{height}×{width}, one plane an image and True where a pixel is missing, "
            f"but are {dtype_text(missing)} {shape_text(missing)}"
        )
    if missing.device != x.device:
        raise InputError(
            f"holes lie on {missing.device} and the images on {x.device}; bring them to one device"
        )
    if whole := int((~missing.flatten(1).any(1)).sum()):
        raise InputError(f"{whole} of {n} images have no hole, so there is nothing in it to compare")
    return x.double(), y.double(), missing


def _mean_in(values: Tensor, missing: Tensor) -> Tensor:
    """Mean over the missing pixels and over channels: N×C×H×W -> (N,)."""
    weights = missing.double()
    return (values.mean(1, keepdim=True) * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))


def beside_holes(metrics: Iterable[Metric]) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """What a reader of outputs, originals and their holes computes of each pair.

    Args:
        metrics: Of which those on an output and its right answer, or on their holes, are taken.

    Returns:
        By the name of a metric its function of the three; one on whole images leaves the holes aside.
    """
    found: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {}
    for metric in metrics:
        if isinstance(metric, HoleMetric):
            found[metric.name] = metric.in_holes
        elif isinstance(metric, PairedMetric) and metric.needs == {"truth"}:
            found[metric.name] = _whole(metric.of_pairs)
    return found


def _whole(of_pairs: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda x, y, holes: of_pairs(x, y)


class HoleMetric(PairedMetric):
    """Mean over images of a number in their holes.

    Attributes:
        in_holes: The function of outputs, originals and holes.
    """

    role: ClassVar[Need] = "hole"

    @staticmethod
    def in_holes(outputs: Tensor, originals: Tensor, holes: Tensor) -> Tensor:
        raise NotImplementedError

    @staticmethod
    def per_image(x: Tensor, y: Tensor) -> Tensor:
        """Of a pair without its hole there is no such number: `MetricFailed`."""
        raise MetricFailed(NO_HOLES)


class PSNRHole(HoleMetric):
    """Peak signal-to-noise ratio of the missing pixels, mean of per-image values."""

    family = "psnr_hole"
    unit = "dB"
    higher_is_better = True
    scale = "linear"  # decibels are logarithms
    ends: ClassVar[Range] = PSNR.ends
    source = "−10 log10 MSE of the missing pixels, peak 1; Pathak et al. 2016, table 1"
    why_infinite = (
        ": their holes are filled without an error, so their PSNR is infinite; report mae_hole instead"
    )
    in_holes = staticmethod(psnr_hole)


class MAEHole(HoleMetric):
    """Mean absolute error of the missing pixels, intensities in [0, 1]."""

    family = "mae_hole"
    unit = "intensity"
    higher_is_better = False
    scale = "log"  # errors scatter in proportion to their size
    ends = (0.0, 1.0)
    source = "mean of |x − y| over the missing pixels; Pathak et al. 2016, table 1"
    in_holes = staticmethod(mae_hole)


class SSIMHole(HoleMetric):
    """Structural similarity (Wang et al. 2004) at the missing pixels."""

    family = "ssim_hole"
    higher_is_better = True
    scale = "arcsine"  # has two ends
    ends = (-1.0, 1.0)
    source = "Wang et al. 2004, eq. 13; over windows centred on missing pixels"
    in_holes = staticmethod(ssim_hole)
