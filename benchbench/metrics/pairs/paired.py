"""Numbers on pairs of images: SSIM, MS-SSIM, PSNR, MSE, MAE. One value a pair, then the mean over pairs.

The pure functions take uint8 batches N×3×H×W or N×1×H×W and give float64 (N,) on the same device, so that an
evaluator streams batches through them; no value depends on the batch it came in. `y_channel` and
`crop_border` are the conventions of super-resolution papers; a number made with them has another name: `psnr_y`
and `ssim_y` are metrics of their own, and any paired metric takes a suffix, as in "psnr_y_crop4". So does what a model
made with hints from the truth: "psnr_hints5".

Denoising is scored as the model left it, neither clipped nor rounded: with `levels=True` a side may hold grey levels in
float32 or float64 on the scale 0..255 and beyond. It has to be said, so that floats in [0, 1] never pass for them.

The metrics average values over pairs. PSNR is the mean of per-image PSNRs, as the field reports it, not the
PSNR of the mean MSE, which is lower. The interval is Student's t over images: it speaks of other images from
the same source, not of other training runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from scipy import special
from torch import Tensor

from benchbench.core.arrays import ArrayLike, dtype_text, shape_text
from benchbench.core.errors import InputError, MetricFailed, contained
from benchbench.core.scales import Range
from benchbench.core.shares import spent_on
from benchbench.data.degrade.resize import to_uint8
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import Aspect, Estimate, Metric, Need
from benchbench.metrics.numerics.arguments import check_whole, real_numbers
from benchbench.metrics.numerics.intervals import within
from benchbench.metrics.pairs.checked_pairs import (
    LEVELS,
    MOST,
    check_levels,
    check_one_shape,
    cropped,
    pair_in_channels,
)
from benchbench.metrics.pairs.ssim import MS_SMALLEST, TAPS, ms_ssim_planes, ssim_planes

_VALUES = 2**20  # of images whose squares are counted at once


def ssim(
    x: ArrayLike, y: ArrayLike, *, y_channel: bool = False, crop_border: int = 0, levels: bool = False
) -> Tensor:
    """Structural similarity of pairs of images (Wang et al. 2004, eq. 13; see `metrics.pairs.ssim`).

    Args:
        x: One side, a tensor or any array, uint8 N×3×H×W or N×1×H×W, at least 11×11 pixels.
        y: The other side, of the same shape; row i belongs to row i of `x`.
        y_channel: Compare BT.601 luma only, as super-resolution papers do.
        crop_border: Pixels cut off each side first.
        levels: Either side may hold grey levels instead, float32 or float64 on the scale 0..255, neither clipped nor
            rounded.

    Returns:
        One value a pair, float64 (N,) in [-1, 1]; 1 for equal images.

    Raises:
        InputError: The images cannot be paired, luma is asked of images with one channel, or a level is not finite.
        MetricFailed: They are smaller than 11×11 pixels, or the border leaves none.
    """
    return ssim_planes(*pair_in_channels(x, y, y_channel, crop_border, levels))


def ms_ssim(
    x: ArrayLike, y: ArrayLike, *, y_channel: bool = False, crop_border: int = 0, levels: bool = False
) -> Tensor:
    """Multi-scale SSIM, in [0, 1] (Wang et al. 2003, eq. 7). Arguments as `ssim`; at least 161×161 pixels."""
    return ms_ssim_planes(*pair_in_channels(x, y, y_channel, crop_border, levels))


def mse(
    x: ArrayLike, y: ArrayLike, *, y_channel: bool = False, crop_border: int = 0, levels: bool = False
) -> Tensor:
    """Mean squared error of intensities in [0, 1] (grey level / 255). Arguments and errors as `ssim`."""
    a, b = pair_in_channels(x, y, y_channel, crop_border, levels)
    if a.dtype == b.dtype == torch.uint8:
        return _in_cache(lambda a, b: _sum_of_squares(_distance(a, b)), a, b) / a[0].numel() / 255**2
    return (a.double() - b.double()).square_().mean((1, 2, 3)) / 255**2


def mae(
    x: ArrayLike, y: ArrayLike, *, y_channel: bool = False, crop_border: int = 0, levels: bool = False
) -> Tensor:
    """Mean absolute error of intensities in [0, 1] (grey level / 255). Arguments and errors as `ssim`."""
    a, b = pair_in_channels(x, y, y_channel, crop_border, levels)
    if a.dtype == b.dtype == torch.uint8:
        return _in_cache(lambda a, b: _distance(a, b).sum((1, 2, 3)), a, b).double() / a[0].numel() / 255
    return (a.double() - b.double()).abs_().mean((1, 2, 3)) / 255


def psnr(
    x: ArrayLike, y: ArrayLike, *, y_channel: bool = False, crop_border: int = 0, levels: bool = False
) -> Tensor:
    """Peak signal-to-noise ratio of pairs of images: −10 log10 MSE, peak 255.

    Args:
        x: One side, a tensor or any array, uint8 N×3×H×W or N×1×H×W.
        y: The other side, of the same shape; row i belongs to row i of `x`.
        y_channel: Compare BT.601 luma only, as super-resolution papers do.
        crop_border: Pixels cut off each side first.
        levels: As in `ssim`.

    Returns:
        One value a pair, float64 (N,) in dB; +inf for equal images.

    Raises:
        InputError: The images cannot be paired, luma is asked of images with one channel, or a level is not finite.
        MetricFailed: The border leaves no pixels.
    """
    return -10 * mse(x, y, y_channel=y_channel, crop_border=crop_border, levels=levels).log10()


def _in_cache(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """`function` of a few pairs after the other, so many that what it makes of them stays in a processor's cache."""
    some = max(1, _VALUES // x[0].numel())
    return torch.cat([function(a, b) for a, b in zip(x.split(some), y.split(some), strict=True)])


def _distance(x: Tensor, y: Tensor) -> Tensor:
    """|x − y| of uint8, in uint8."""
    return torch.maximum(x, y).sub_(torch.minimum(x, y))


def _sum_of_squares(levels: Tensor) -> Tensor:
    """Of each image, uint8 N×C×H×W -> float64 (N,), without an error: 256 squares of at most 255 sum to less than 2²⁴,
    up to which float32 counts, and their sums to less than 2⁵³."""
    rows = levels.flatten(1).float().square_()
    whole = rows.shape[1] // 256 * 256
    parts = [rows[:, :whole].unflatten(1, (-1, 256)).sum(2), rows[:, whole:].sum(1, keepdim=True)]
    return torch.cat(parts, 1).sum(1, dtype=torch.float64)


def mean_over_images(values: Tensor, ends: Range) -> Estimate:
    """The mean of one finite value an image with its 95% t interval, cut to the range `ends`; no interval for a single
    image."""
    n = len(values)
    mean = float(values.double().mean())
    if n < 2:
        return within(Estimate(mean), ends)
    half = float(special.stdtrit(n - 1, 0.975)) * float(values.double().std()) / n**0.5
    return within(Estimate(mean, mean - half, mean + half, "95% t over images"), ends)


PerImage = Mapping[str, Callable[..., Tensor]]
"""Metric name to a function of two batches, uint8 or grey levels, that gives one value a pair; a metric in holes reads
these too."""


class PairReader:
    """Scores pairs batch by batch, from whoever has them; what is found of some merges with what is of others
    (`PairEvidence.merge`).

    Args:
        per_image: For each metric, by its name, a function of two batches N×3×H×W, as `update` is given them, that
            gives one value a pair, float (N,): `PairedMetric.of_pairs`, or `HoleMetric.in_holes`.
    """

    def __init__(self, per_image: Mapping[str, Callable[..., Tensor]]) -> None:
        self._per_image = per_image
        self._values: dict[str, list[Tensor]] = {name: [] for name in per_image}
        self._failures: dict[str, MetricFailed] = {}

    def update(self, x: Tensor, y: Tensor, *beside: Tensor) -> None:
        """Compare a batch of pairs. A metric that cannot score such images at all (too small for its window, say)
        leaves its failure instead of values.

        Args:
            x: Outputs, uint8 N×3×H×W; or grey levels as a model left them, float32 or float64 on the scale 0..255,
                neither clipped nor rounded.
            y: What each is held against, of the same shape.
            *beside: What else the functions read of each pair, such as its hole, bool N×1×H×W.

        Raises:
            InputError: The images cannot be paired, or a level is not finite.
        """
        check_one_shape(x, y)
        for images in (x, y):
            if images.dtype not in (torch.uint8, *LEVELS):
                raise InputError(
                    f"paired images must be uint8, or float32 or float64 levels, but are {dtype_text(images)}"
                )
            check_levels(images)
        for name in self._per_image.keys() - self._failures.keys():
            try:
                with spent_on(name), contained(name):  # and whoever changes its input changes no other's
                    values = self._per_image[name](*(given.clone() for given in (x, y, *beside)))
                self._values[name].append(_one_a_pair(values, name, len(x)).clone())
            except MetricFailed as failure:
                self._failures[name] = failure

    def compute(self) -> PairEvidence:
        """What was found.

        Returns:
            The values of all pairs, in their order, float64 on the CPU, and the failures.
        """
        whole = {
            name: torch.cat(parts)
            .double()
            .cpu()  # once, and not a batch: a device is not waited for in between
            if parts
            else torch.empty(0, dtype=torch.float64)
            for name, parts in self._values.items()
            if name not in self._failures
        }
        return PairEvidence(whole, self._failures)


def _one_a_pair(values: object, name: str, n: int) -> Tensor:
    """One real value a pair, float64; `MetricFailed` for anything else."""
    with contained(name):
        found = real_numbers(values, f"the values of {name}")
    if found.shape != (n,):
        raise MetricFailed(f"{name} gave {shape_text(found)} values of {n} pairs; it has to give one a pair")
    return found.double()


class PairedMetric(Metric):
    """Mean over pairs of what `per_image` gave; the evaluator streams the pairs through `of_pairs`.

    A class sets the fields of `Metric` and writes `per_image`.

    Attributes:
        role: Which pairs it is shown: "truth" (an output and its right answer), "cycle", "identity", "style", "hole" or
            "path", as in `metric.Need`.
        why_infinite: What a reader is told where a value is not finite, as the end of a sentence.
        smallest: The side in pixels below which it says nothing of an image.
        reads_levels: Whether `per_image` has the keyword `levels` and takes grey levels that are neither clipped nor
            rounded. A class that writes a `per_image` of its own says so itself; one that does not is shown such
            levels clipped and rounded.

    Args:
        extractor: None: pairs are compared without one.
        crop_border: Pixels cut off each side first; part of the name, "psnr_y_crop4".
        hints: Points of the truth that a model may see; part of the name, "psnr_hints5".
    """

    aspect: ClassVar[Aspect] = "paired"
    role: ClassVar[Need] = "truth"
    needs_reference = False
    uses_extractor = False
    why_infinite: ClassVar[str] = ""
    smallest: ClassVar[int] = 1
    reads_levels: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "per_image" in vars(cls) and "reads_levels" not in vars(cls):
            cls.reads_levels = False  # what its base said was of another function

    def __init__(self, extractor: str | None = None, crop_border: int = 0, hints: int = 0) -> None:
        super().__init__(extractor)
        self.crop_border = check_whole(crop_border, "a border to be cut off", 0, MOST)
        self.hints = check_whole(hints, "the number of hints", 0, MOST)
        # Read by whoever plans; a property here would hide that other metrics declare it on the class.
        self.needs = frozenset({self.role, "hints"} if hints else {self.role})  # type: ignore[misc]

    @property
    def name(self) -> str:
        crop = f"_crop{self.crop_border}" if self.crop_border else ""
        return self.family + crop + (f"_hints{self.hints}" if self.hints else "")

    def too_small(self, height: int, width: int) -> str | None:
        """Whether what its name asks for exceeds images of this size.

        Args:
            height: Of the images, in pixels.
            width: Likewise.

        Returns:
            Why it does, as a sentence; None where it does not.
        """
        if 2 * self.crop_border >= min(height, width):
            return f"{self.name} cuts {self.crop_border} pixels off each side, and these images are {width}×{height}"
        if self.hints > height * width:
            return f"{self.name} shows {self.hints} points, and these images have {height * width}"
        return None

    @staticmethod
    def per_image(x: Tensor, y: Tensor) -> Tensor:
        """What each pair is worth.

        Args:
            x: Outputs, uint8 N×3×H×W.
            y: What each is held against, of the same shape.

        Returns:
            One value a pair, float64 (N,).

        Raises:
            MetricFailed: It cannot score such images at all.
        """
        raise NotImplementedError

    def of_pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """`per_image` of what the crop leaves.

        Args:
            x: As in `per_image`; or grey levels, float32 or float64 on the scale 0..255, which are rounded to 8 bits
                where the metric does not read them (`reads_levels`).
            y: Likewise.

        Returns:
            One value a pair, float64 (N,).

        Raises:
            MetricFailed: The crop leaves no pixels, or as `per_image`.
        """
        x, y = cropped(x, self.crop_border), cropped(y, self.crop_border)
        if not (x.is_floating_point() or y.is_floating_point()):
            return self.per_image(x, y)
        per_image: Callable[..., Tensor] = self.per_image
        if self.reads_levels:
            return per_image(x, y, levels=True)
        return per_image(*(to_uint8(images) if images.is_floating_point() else images for images in (x, y)))

    def compute(self, evidence: Evidence) -> Estimate:
        if self.role not in evidence.pairs:
            raise MetricFailed(f"{self.name} compares pairs of images; this task makes none")
        values = evidence.pairs[self.role].of(self.name)
        if not len(values):
            raise MetricFailed("there are no pairs of images")
        bad = int((~torch.isfinite(values)).sum())
        if bad:
            raise MetricFailed(f"{bad} of {len(values)} pairs have no finite {self.name}{self.why_infinite}")
        self._check_range(float(values.mean()))
        return mean_over_images(values, self.ends)

    def _check_range(self, mean: float) -> None:
        """`MetricFailed` for a mean beyond the ends, which outputs have whose levels are far beyond 0..255: cut to the
        end it would look like the number of another output."""
        low, high = self.ends
        margin = 1e-6  # of rounding
        if (low is not None and mean < low - margin) or (high is not None and mean > high + margin):
            raise MetricFailed(
                f"the mean {self.name} is {mean:.4g}, beyond the range that it has for grey levels in 0..255; "
                "the outputs leave that range by far"
            )


class SSIM(PairedMetric):
    """Structural similarity (Wang et al. 2004), 11×11 Gaussian window."""

    family = "ssim"
    smallest = TAPS
    higher_is_better = True
    scale = "arcsine"  # has two ends
    ends = (-1.0, 1.0)
    source = "Wang et al. 2004, eq. 13"
    per_image = staticmethod(ssim)
    reads_levels = True


class MSSSIM(PairedMetric):
    """Multi-scale structural similarity (Wang et al. 2003), five scales."""

    family = "ms_ssim"
    smallest = MS_SMALLEST
    higher_is_better = True
    scale = "arcsine"  # has two ends
    ends = (-1.0, 1.0)
    source = "Wang et al. 2003, eq. 7"
    per_image = staticmethod(ms_ssim)
    reads_levels = True


class PSNR(PairedMetric):
    """Peak signal-to-noise ratio, mean of per-image values."""

    family = "psnr"
    unit = "dB"
    higher_is_better = True
    scale = "linear"  # decibels are logarithms
    ends = (0.0, None)  # of black against white
    source = "−10 log10 MSE, peak 1"
    per_image = staticmethod(psnr)
    reads_levels = True
    why_infinite = ": their images are equal, so their PSNR is infinite; report mse instead"


class MSE(PairedMetric):
    """Mean squared error, intensities in [0, 1]."""

    family = "mse"
    unit = "intensity²"
    higher_is_better = False
    scale = "log"  # errors scatter in proportion to their size
    ends = (0.0, 1.0)
    source = "mean of (x − y)², intensities in [0, 1]"
    per_image = staticmethod(mse)
    reads_levels = True


class MAE(PairedMetric):
    """Mean absolute error, intensities in [0, 1]."""

    family = "mae"
    unit = "intensity"
    higher_is_better = False
    scale = "log"  # errors scatter in proportion to their size
    ends = (0.0, 1.0)
    source = "mean of |x − y|, intensities in [0, 1]"
    per_image = staticmethod(mae)
    reads_levels = True


class PSNRY(PairedMetric):
    """Peak signal-to-noise ratio of BT.601 luma, as super-resolution papers report it."""

    family = "psnr_y"
    unit = "dB"
    higher_is_better = True
    scale = "linear"  # decibels are logarithms
    ends = (0.0, None)  # of black against white
    source = "−10 log10 MSE of Y in 16..235, peak 255"
    why_infinite = PSNR.why_infinite
    reads_levels = True

    @staticmethod
    def per_image(x: Tensor, y: Tensor, *, levels: bool = False) -> Tensor:
        return psnr(x, y, y_channel=True, levels=levels)


class SSIMY(PairedMetric):
    """Structural similarity (Wang et al. 2004) of BT.601 luma, as super-resolution papers report it."""

    family = "ssim_y"
    smallest = TAPS
    higher_is_better = True
    scale = "arcsine"  # has two ends
    ends = (-1.0, 1.0)
    source = "Wang et al. 2004, eq. 13"
    reads_levels = True

    @staticmethod
    def per_image(x: Tensor, y: Tensor, *, levels: bool = False) -> Tensor:
        return ssim(x, y, y_channel=True, levels=levels)
