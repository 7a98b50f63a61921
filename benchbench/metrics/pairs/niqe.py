"""NIQE of Mittal et al. 2013: how far the statistics of an image's patches are from those of pristine photographs. No
right answer is looked at.

    NIQE = √( (ν₁ − ν₂)ᵀ ((Σ₁ + Σ₂)/2)⁺ (ν₁ − ν₂) )

ν and Σ are mean and covariance over patches of 96×96 pixels of 36 numbers: at full and at half size (bicubic, as
MATLAB's `imresize`) the parameters of generalised Gaussians fitted to the luma less its local mean, over its local
deviation plus 1 (window 7×7, σ = 7/6), and to the products of neighbours in four directions. Of the image all whole
patches count; of pristine ones those whose mean local deviation exceeds 0.75 of the sharpest of their image (the
paper's section 2).

Pattern: a number without its pristine model says nothing, so there is none by default. The published model was fitted
to 125 photographs that are no longer all to be had; whoever has its file (`modelparameters.mat` of the authors, or
BasicSR's .npz of it) points `BENCHBENCH_NIQE_MODEL` there, and `fit_pristine` makes another from photographs at hand.
Numbers under two models do not compare.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from scipy.special import gammaln
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike, shape_text
from benchbench.core.colour import grey
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.files import atomic_path
from benchbench.core.numpy_files import read_arrays
from benchbench.core.paths import printable
from benchbench.core.reading import open_regular
from benchbench.data.degrade.resize import imresize
from benchbench.metrics.numerics.arguments import real_numbers
from benchbench.metrics.numerics.linalg import check_covariance
from benchbench.metrics.pairs.checked_pairs import checked_pair
from benchbench.metrics.pairs.paired import PairedMetric

PATCH = 96
NUMBERS = 36
ENV = "BENCHBENCH_NIQE_MODEL"
_SHARP = 0.75
_LEAST = NUMBERS + 1  # patches of which a covariance may have full rank
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
# As MATLAB's and BasicSR's files have them, and ours.
_KEYS = (("mu_prisparam", "cov_prisparam"), ("mu_pris_param", "cov_pris_param"), ("mu", "sigma"))


@dataclass(frozen=True)
class Pristine:
    """What patches of pristine photographs have: mean float64 (36,), covariance float64 (36, 36); any array of real
    numbers is taken for either."""

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        for name in ("mean", "covariance"):
            given = real_numbers(getattr(self, name), f"the {name} of a pristine model")
            object.__setattr__(self, name, given.double())
        shapes = tuple(self.mean.shape), tuple(self.covariance.shape)
        if shapes != ((NUMBERS,), (NUMBERS, NUMBERS)):
            raise InputError(
                f"a pristine model has a mean of {NUMBERS} numbers and a covariance of {NUMBERS}×{NUMBERS}, not "
                f"{shape_text(self.mean)} and {shape_text(self.covariance)}"
            )
        if not all(bool(torch.isfinite(own).all()) for own in (self.mean, self.covariance)):
            raise InputError("a number of a pristine model is not finite; fit it anew")
        try:
            check_covariance(self.covariance, "the covariance of a pristine model")
        except MetricFailed as error:  # distances by it would mean nothing, or be 0 for any image
            raise InputError(f"{error}; give the right file, or fit it anew") from error


def niqe(images: ArrayLike, pristine: Pristine, *, levels: bool = False) -> Tensor:
    """The distance of images from pristine ones (Mittal et al. 2013, eq. 10); smaller is better.

    Args:
        images: A tensor or any array, uint8 N×3×H×W or N×1×H×W that hold two whole patches of 96×96 pixels or more; of
            RGB the luma counts.
        pristine: What they are held against.
        levels: Whether `images` may be grey levels instead, as in `paired.ssim`.

    Returns:
        One value an image, float64 (N,), 0 or more. NaN for an image with fewer than two patches that are not flat.

    Raises:
        InputError: They are no images.
        MetricFailed: They hold fewer than two patches.
    """
    images, _ = checked_pair(images, images, levels=levels)
    height, width = images.shape[2:]
    if (height // PATCH) * (width // PATCH) < 2:
        raise MetricFailed(
            f"NIQE needs images of two whole patches, {PATCH}×{2 * PATCH} pixels, but has {height}×{width}; leave it "
            "out, or give larger images"
        )
    return torch.stack([_distance(grey(image[None]), pristine) for image in images])


def fit_pristine(images: Iterable[ArrayLike]) -> Pristine:
    """The model of photographs that nothing was done to.

    Args:
        images: One after the other, each uint8 1×3×H×W or 1×1×H×W of any size.

    Returns:
        Mean and covariance over their sharp patches.

    Raises:
        InputError: These are no images, or have fewer than 37 sharp patches, of which a covariance has no full rank.
    """
    found = [torch.empty(0, NUMBERS, dtype=torch.float64)]
    for given in images:
        image, _ = checked_pair(given, given)
        if min(image.shape[2:]) < PATCH:
            continue
        for one in image:
            rows, sharpness = _patches(grey(one[None]))
            found.append(rows[sharpness > _SHARP * sharpness.max()].cpu())
    rows = _defined(torch.cat(found))
    if len(rows) < _LEAST:
        raise InputError(
            f"these photographs have {len(rows)} sharp patches of {PATCH}×{PATCH} pixels, and a pristine model needs "
            f"{_LEAST}; give more of them, or larger ones"
        )
    return Pristine(rows.mean(0), rows.T.cov())


def save_pristine(path: Path | str, pristine: Pristine) -> None:
    """Write a model to an .npz file, atomically: `mu` and `sigma`, which `BENCHBENCH_NIQE_MODEL` may name."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, mu=pristine.mean.numpy(), sigma=pristine.covariance.numpy())


def load_pristine(path: Path | str) -> Pristine:
    """Read a model: ours, the authors' `modelparameters.mat`, or BasicSR's .npz. `InputError` for anything else."""
    arrays = _arrays_of(path)
    for mean, covariance in _KEYS:
        if mean in arrays and covariance in arrays:
            try:
                own = [torch.from_numpy(np.array(arrays[key], np.float64)) for key in (mean, covariance)]
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{mean} and {covariance} in {path} are no numbers; give the right file"
                ) from error
            return Pristine(own[0].flatten(), own[1])
    raise InputError(
        f"{path} holds no pristine model of NIQE: it has neither {' nor '.join(f'{a} and {b}' for a, b in _KEYS)}"
    )


def _arrays_of(path: Path | str) -> dict[str, NDArray[Any]]:
    """What lies in a file of either kind, by name; `InputError` for one that cannot be read."""
    try:
        if not str(path).lower().endswith(".mat"):
            return read_arrays(path)
        with open_regular(path) as file:
            sizes = {name: prod(shape) for name, shape, _ in whosmat(file)}
        known = [key for pair in _KEYS for key in pair if sizes.get(key, NUMBERS**2 + 1) <= NUMBERS**2]
        with open_regular(path) as file:  # nothing else is unpacked, however large it is
            return dict(loadmat(file, variable_names=known))
    except InputError:
        raise
    except Exception as error:  # SciPy's reader fails in many ways
        reason = printable(str(error).strip() or type(error).__name__)
        raise InputError(
            f"cannot read {path}: {reason}; it may be truncated, make or fetch it again"
        ) from error


def _distance(image: Tensor, pristine: Pristine) -> Tensor:
    """Of one image, float64 1×1×H×W: a number, float64 of no axes."""
    rows = _defined(_patches(image)[0])
    if len(rows) < 2:
        return torch.full((), torch.nan, dtype=torch.float64, device=image.device)
    away = rows.mean(0) - pristine.mean.to(image.device)
    pooled = (rows.T.cov() + pristine.covariance.to(image.device)) / 2
    square: Tensor = away @ torch.linalg.pinv(pooled, hermitian=True) @ away
    return square.clamp(min=0).sqrt()


def _defined(rows: Tensor) -> Tensor:
    """The patches all of whose numbers are some: a flat one has no distribution."""
    return rows[torch.isfinite(rows).all(1)]


def _patches(image: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of each whole patch, P×36, and how sharp it is, (P,); image: float64 1×1×H×W."""
    height, width = (side // PATCH * PATCH for side in image.shape[2:])
    image = image[..., :height, :width]
    normal, deviation = _normalised(image)
    half = _normalised(imresize(image, height // 2, width // 2))[0]
    rows = [_numbers(_cut(normal, PATCH)), _numbers(_cut(half, PATCH // 2))]
    return torch.cat(rows, 1), _cut(deviation, PATCH).mean((1, 2))


def _cut(plane: Tensor, side: int) -> Tensor:
    """1×1×H×W to P×side×side, row by row."""
    return plane[0, 0].unfold(0, side, side).unfold(1, side, side).flatten(0, 1)


def _normalised(image: Tensor) -> tuple[Tensor, Tensor]:
    """The image less its local mean, over its local deviation plus 1 (eqs. 1-3), and that deviation. Beyond the border
    its last pixels are repeated."""
    window = _window(image.device)
    padded = F.pad(image, (3, 3, 3, 3), mode="replicate")
    mean, square = (F.conv2d(levels, window) for levels in (padded, padded.square()))
    deviation = (square - mean.square()).abs().sqrt()
    return (image - mean) / (deviation + 1), deviation


@lru_cache(maxsize=4)
def _window(device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # it is kept
        offset = torch.arange(-3, 4, dtype=torch.float64, device=device)
        line = torch.exp(-offset.square() / (2 * (7 / 6) ** 2))
        return (line[:, None] * line / line.sum() ** 2).view(1, 1, 7, 7)


def _numbers(patches: Tensor) -> Tensor:
    """The 18 numbers of each patch, P×18: shape and width of its values, and of products of neighbours in each of four
    directions shape, mean, and widths below and above 0 (section 2.3)."""
    shape, left, right = _fit(patches)
    found = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _fit(patches * patches.roll(shift, (1, 2)))
        mean = (right - left) * _gamma(2 / shape, 1 / shape)
        found += [shape, mean, left, right]
    return torch.stack(found, 1)


def _fit(patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The asymmetric generalised Gaussian of each patch, by its moments (Lasmar et al. 2009): shape, and the widths β
    below and above 0. Not a number where nothing is below or nothing above."""
    values = patches.flatten(1)
    squares = values.square()
    left, right = (
        ((squares * side).sum(1) / side.sum(1)).sqrt()
        for side in ((values < 0).double(), (values > 0).double())
    )
    ratio = left / right
    moment = values.abs().mean(1).square() / squares.mean(1)
    moment = moment * (ratio**3 + 1) * (ratio + 1) / (ratio.square() + 1).square()
    shapes, ratios = _table(values.device)
    place = torch.searchsorted(ratios, moment).clamp(1, len(ratios) - 1)
    nearer = (moment - ratios[place - 1]) <= (ratios[place] - moment)
    shape = torch.where(moment.isnan(), moment, shapes[place - nearer.long()])
    width = _gamma(1 / shape, 3 / shape).sqrt()
    return shape, left * width, right * width


@lru_cache(maxsize=4)
def _table(device: torch.device) -> tuple[Tensor, Tensor]:
    """The shapes that are tried, 0.2 to 10 in steps of a thousandth, and of each Γ(2/a)² / (Γ(1/a) Γ(3/a)), which grows
    with it."""
    with torch.inference_mode(False):  # they are kept
        shapes = np.arange(200, 10_001) / 1000
        ratios = np.exp(2 * gammaln(2 / shapes) - gammaln(1 / shapes) - gammaln(3 / shapes))
        return torch.from_numpy(shapes).to(device), torch.from_numpy(ratios).to(device)


def _gamma(a: Tensor, b: Tensor) -> Tensor:
    """Γ(a) / Γ(b)."""
    return (a.lgamma() - b.lgamma()).exp()


def given_pristine() -> Pristine:
    """The model that `BENCHBENCH_NIQE_MODEL` names; `MetricFailed(status="unavailable")` where there is none."""
    path = os.environ.get(ENV)
    if not path:
        raise MetricFailed(
            f"niqe needs the model of pristine photographs: point {ENV} to the authors' modelparameters.mat, or fit "
            "one with benchbench.metrics.pairs.niqe.fit_pristine",
            status="unavailable",
        )
    try:
        return load_pristine(path)
    except InputError as error:
        raise MetricFailed(f"{ENV}: {error}", status="unavailable") from error


class NIQE(PairedMetric):
    """Natural image quality evaluator (Mittal et al. 2013) of the outputs' luma; right answers are not looked at."""

    family = "niqe"
    smallest = PATCH
    higher_is_better = False
    scale = "log"  # a distance
    ends = (0.0, None)
    source = "Mittal et al. 2013, eq. 10"
    why_infinite = ": they have fewer than two patches that are not flat; leave these out"
    reads_levels = True

    @staticmethod
    def per_image(x: Tensor, y: Tensor, *, levels: bool = False) -> Tensor:
        return niqe(x, given_pristine(), levels=levels)
