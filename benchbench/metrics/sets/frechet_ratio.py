"""The Fréchet distance in units of what fresh real images have: one scale for every network.

    FD ratio = FD(generated, reference) / FD(held-out, reference),

with as many generated as held-out images, for FD of finite samples is too large and by the more the fewer there are.
Real images that no model saw have 1 by construction, whatever the network, its number of dimensions and the number of
images; FD itself has no such mark.

In the spirit of Yang et al. 2026, "Representation Fréchet Loss for Visual Generation" (arXiv:2604.28190), whose FDr is
the FD of generated images to training images over that of the validation set to them, and FDr^k its mean over k
representations. Theirs compares all validation images with as many generated ones as there are; here the counts are
equal.

An FD can be trained on, and then says nothing. A mean over networks of other kinds is harder to train on, and the ratio
on a network that was not trained on gives it away.

Interval: log FD₁ − log FD₂ by the delta method (`frechet.frechet_influence`), with what the shared reference adds to
both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import MetricFailed
from benchbench.core.seeds import permutation
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric, name_over
from benchbench.metrics.numerics.arguments import check_three, finite_result, near_one
from benchbench.metrics.numerics.gaussians import Fitted
from benchbench.metrics.numerics.intervals import positive_estimate
from benchbench.metrics.sets.frechet import fitted_distance, fitted_influence
from benchbench.metrics.sets.memorization import check_held_out

_ROUNDING = 1e-9
"""Of both traces: as far as the trace of a root may be off (`linalg.trace_sqrt_product`). Different images of one
Gaussian in D dimensions lie (D/8)(1/n + 1/N) of both traces apart, far more for any number that a machine holds."""


def fd_ratio(fake: ArrayLike, reference: ArrayLike, held_out: ArrayLike) -> float:
    """FD of generated images to the reference over that of as many held-out real images (in the spirit of FDr).

    Args:
        fake: Features of generated images, M×D, M ≥ 2: a tensor or any array of real numbers.
        reference: Features of the reference, N×D, N ≥ 2.
        held_out: Features of real images that no model saw, H×D, H ≥ 2. Of the larger of these and `fake` as many are
            taken as the smaller has, by a fixed choice.

    Returns:
        The ratio, 0 and more: about 1 for fresh real images, 0 for copies of the reference.

    Raises:
        InputError: A side is no array of real numbers N×D, or the lengths of the feature vectors differ.
        MetricFailed: A side has fewer than 2 images, holds a value that is not finite, or the held-out images are the
            reference.
    """
    return _Ratio.of(*_equal(fake, reference, held_out)).value()


@dataclass(frozen=True)
class _Ratio:
    """The three sides, and the two distances from the reference."""

    fake: Fitted
    reference: Fitted
    held_out: Fitted
    above: float
    below: float

    @classmethod
    def of(cls, fake: Fitted, reference: Fitted, held_out: Fitted) -> _Ratio:
        above, below = (_distance(side, reference) for side in (fake, held_out))
        return cls(fake, reference, held_out, above, below)

    @property
    def deficient(self) -> bool:
        """Whether a side has a singular covariance."""
        return any(side.deficient for side in (self.fake, self.reference, self.held_out))

    def value(self) -> float:
        if self.below == 0:
            raise MetricFailed(
                "the held-out images are at distance 0 from the reference; they have to be others"
            )
        return finite_result(self.above / self.below, "the ratio of distances")

    def shares(self) -> list[Tensor]:
        """What each image adds to the logarithm of the ratio: of the generated, the held-out and the reference images,
        float64, each of mean 0."""
        own, of_reference = [], []
        for side, distance in ((self.fake, self.above), (self.held_out, self.below)):
            if distance == 0:
                raise MetricFailed("a distance of 0 has no logarithm")
            mine, theirs = fitted_influence(side, self.reference)
            assert theirs is not None  # the reference is features
            own.append(mine / distance)
            of_reference.append(theirs / distance)
        return [own[0], -own[1], of_reference[0] - of_reference[1]]

    def standard_error(self) -> float:
        """Of the logarithm."""
        return _error(self.shares())


def _distance(side: Fitted, reference: Fitted) -> float:
    """Their Fréchet distance; 0 where it is rounding, as of the same images in another order."""
    distance = finite_result(fitted_distance(side, reference), "the Fréchet distance")
    return distance if distance > _ROUNDING * (side.spread + reference.spread) else 0.0


def _error(shares: Iterable[Tensor]) -> float:
    """The standard error of a number of which each image of some sets adds these shares."""
    variance = sum(float(one.var()) / len(one) for one in shares)
    return finite_result(math.sqrt(variance), "the standard error of the ratio")


def _equal(fake: ArrayLike, reference: ArrayLike, held_out: ArrayLike) -> tuple[Fitted, Fitted, Fitted]:
    """The three in one dtype and unit, and as many generated as held-out images."""
    fake, reference, held_out = check_three(fake, reference, held_out)
    n = min(len(fake), len(held_out))
    fake, held_out = (
        side if len(side) == n else side[torch.from_numpy(permutation(0, len(side))[:n]).to(side.device)]
        for side in (fake, held_out)
    )
    both, reference, _ = near_one(torch.cat([fake, held_out]), reference)
    return Fitted(both[:n]), Fitted(reference), Fitted(both[n:])


def fd_ratio_standard_error(fake: ArrayLike, reference: ArrayLike, held_out: ArrayLike) -> float:
    """Standard error of the logarithm of `fd_ratio`: each image adds its influence on one distance over that distance,
    an image of the reference the difference of two such shares.
    """
    return _Ratio.of(*_equal(fake, reference, held_out)).standard_error()


class FrechetRatio(Metric):
    """The Fréchet distance over that of as many held-out real images: 1 for fresh real ones, on every network."""

    family = "fd_ratio"
    aspect = "quality"
    higher_is_better = False
    scale = "log"  # a ratio
    ends = (0.0, None)
    needs = frozenset({"features"})
    needs_held_out = True
    source = "in the spirit of FDr, Yang et al. 2026"

    def compute(self, evidence: Evidence) -> Estimate:
        assert self.extractor is not None
        return _mean_of([_seen(evidence, self.extractor)])


class FrechetRatioMean(Metric):
    """The mean of `fd_ratio` over the networks that were asked for: who trained on one of them is given away by others.

    Its name has their number and all of them, `fd_ratio_mean_2_cnn_digits_and_efficientnet_lite0`, since means over
    other networks do not compare. `fd_ratio` on each stands beside it.

    Args:
        extractor: None: it reads several.
        networks: The names of those that it reads, two or more.
    """

    family = "fd_ratio_mean"
    aspect = "quality"
    higher_is_better = False
    scale = "log"
    ends = (0.0, None)
    needs = frozenset({"features"})
    needs_held_out = True
    part = "fd_ratio"
    source = "in the spirit of FDr^k, Yang et al. 2026"

    def __init__(self, extractor: str | None = None, networks: Sequence[str] = ()) -> None:
        super().__init__(extractor)
        self._networks = tuple(sorted(networks))

    @classmethod
    def over(cls, networks: Sequence[str]) -> FrechetRatioMean:
        return cls(networks=networks)

    @property
    def name(self) -> str:
        return name_over(self.family, self._networks)

    @property
    def readers(self) -> tuple[str, ...]:
        return self._networks

    def compute(self, evidence: Evidence) -> Estimate:
        if len(self._networks) < 2:
            raise MetricFailed(f"{self.family} needs two or more networks to be named")
        return _mean_of([_seen(evidence, network) for network in self._networks])


@dataclass(frozen=True)
class _Seen:
    """The ratio on what one network saw, and all that a mean over networks reads of it.

    shares: what each image adds to the ratio itself, as `_Ratio.shares`; None of a ratio of 0.
    """

    value: float
    shares: list[Tensor] | None
    deficient: bool

    @classmethod
    def of(cls, ratio: _Ratio) -> _Seen:
        value = ratio.value()
        shares = [value * own for own in ratio.shares()] if value else None
        return cls(value, shares, ratio.deficient)


def _seen(evidence: Evidence, network: str) -> _Seen:
    """The ratio on what one network saw, computed once for its own row and for that of a mean."""
    check_held_out(evidence, network)
    roles = ("generated", "reference", "held_out")
    return evidence.once(
        ("fd_ratio", network),
        lambda: _Seen.of(_Ratio.of(*_equal(*(evidence.features(role, network) for role in roles)))),
    )


def _mean_of(ratios: Sequence[_Seen]) -> Estimate:
    """The mean of ratios of the same images on several networks, with an interval that knows that they are the same:
    what an image adds is the mean of what it adds on each."""
    value = finite_result(sum(ratio.value for ratio in ratios) / len(ratios), "the mean of ratios")
    if value == 0:
        return Estimate(value)
    parts = [ratio.shares for ratio in ratios if ratio.shares is not None]
    error = _error(torch.stack(sides).sum(0) / len(ratios) for sides in zip(*parts, strict=True))
    deficient = any(ratio.deficient for ratio in ratios)
    return positive_estimate(value, error, "delta, rank-deficient (N <= D)" if deficient else "delta")
