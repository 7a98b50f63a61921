"""Feature likelihood divergence: how likely does a model's sample make real images that no model saw?

Jiralerspong et al. 2023, "Feature likelihood divergence: evaluating the generalization of generative models using
samples". Around each generated image, in features, lies a Gaussian of its own width; the widths make the training
images likeliest. What that density says of held-out images asks for three things at once: a sample that is broken or
one-sided leaves real images far from all centres, and a copy of a training image gets a Gaussian so narrow that it says
nothing of others.

    FLD = 100/D · (mean over held-out images of −log p, less the same around training images)
    gap = 100/D · (mean over training images of −log p, less that over held-out images)

What is subtracted is the density around as many training images as were generated, at most half of them, fitted to the
others. Features are standardised by the held-out images' means and standard deviations first. FLD is about 0 for fresh
real images and larger for worse; the gap is about 0 too, and far below for copies.

Pattern: the widths are fitted by expectation maximisation on the nearest centres alone (`numerics.centred_mixture`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import MetricFailed
from benchbench.core.seeds import permutation
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Family, Output
from benchbench.metrics.numerics.arguments import check_features, check_three, finite_result, near_one
from benchbench.metrics.numerics.centred_mixture import NARROWEST, fit
from benchbench.metrics.numerics.intervals import normal_estimate
from benchbench.metrics.numerics.neighbours import mean_row, shared_rows
from benchbench.metrics.numerics.one_image import one_image
from benchbench.metrics.numerics.products import float64_rows
from benchbench.metrics.sets.memorization import check_held_out

GROUPS = 20
_ROUNDING = {torch.float32: 2.0**-20, torch.float64: 2.0**-47}
"""Of its mean: a feature that varies by less does not vary."""
_LEAST = 4  # training images, of which either half has two


@dataclass(frozen=True)
class Likelihoods:
    """Of images under the density around m generated ones, as what `groups` of these add to it (`log_parts`): held_out,
    float64 H×groups, and train, N×groups. baseline: float64 (H,), the log density of held-out images around real ones.
    sizes: float64 (groups,), of how many generated images each is. dim: features that vary."""

    held_out: Tensor
    train: Tensor
    baseline: Tensor
    sizes: Tensor
    dim: int

    def fld(self) -> Estimate:
        """The divergence with its interval."""
        own = self.held_out.logsumexp(1)
        return self._estimate(self.baseline - own, self.baseline.mean() - self._without(self.held_out))

    def gap(self) -> Estimate:
        """Divergence of training less that of held-out images, with its interval; training images are held fixed."""
        own = self.held_out.logsumexp(1) - self.train.logsumexp(1).mean()
        return self._estimate(own, self._without(self.held_out) - self._without(self.train))

    def _estimate(self, each: Tensor, without: Tensor) -> Estimate:
        """The mean of `each` (H,); `without`: the same without each group of generated images, (groups,)."""
        value = float(each.mean())
        groups, n = len(without), len(each)
        error = float(each.var()) / n + (groups - 1) / groups * float(
            (without - without.mean()).square().sum()
        )
        per_dim = 100 / self.dim
        finite_result(value, "the likelihood")
        return normal_estimate(
            per_dim * value, per_dim * math.sqrt(error), "normal over held-out and generated images"
        )

    def _without(self, parts: Tensor) -> Tensor:
        """Mean log density without each group in turn, its widths kept, (groups,)."""
        groups = len(self.sizes)
        left = [
            parts[:, torch.arange(groups, device=parts.device) != g].logsumexp(1).mean()
            for g in range(groups)
        ]
        return torch.stack(left) - (1 - self.sizes / self.sizes.sum()).log()


def likelihoods(train: ArrayLike, held_out: ArrayLike, fake: ArrayLike) -> Likelihoods:
    """Fit the density around features of generated images, M×D, to those of training images, N×D, and read it there and
    at held-out ones, H×D. Arguments and errors as of `feature_likelihood_divergence`."""
    fake, train, held_out = check_three(fake, train, held_out)
    check_features(train, "the training features", _LEAST)
    unit = near_one(train, held_out)[2]
    train, held_out, fake = one_image(*(own / unit for own in (train, held_out, fake)))
    train, held_out, fake = _standardised(train, _not_among(held_out, fake), fake)
    mixture, near = fit(fake, train)
    if bool((mixture.variances <= NARROWEST).all()):
        raise MetricFailed(
            "every generated image is a copy of a training image and every training image has one: the density around "
            "them knows no other image, and the divergence is infinite"
        )
    groups = min(GROUPS, len(fake))
    sizes = torch.bincount(torch.arange(len(fake), device=fake.device) % groups).double()
    order = torch.from_numpy(permutation(0, len(train))).to(train.device)
    as_many = min(len(fake), len(train) // 2)
    real, _ = fit(train[order[:as_many]], train[order[as_many:]])
    if bool((real.variances <= NARROWEST).all()):
        raise MetricFailed(
            "the training images are copies of each other, and no density around them can be fitted"
        )
    baseline = real.log_parts(held_out, 1)[:, 0]
    return Likelihoods(
        mixture.log_parts(held_out, groups), mixture.near_parts(near, groups), baseline, sizes, train.shape[1]
    )


def _not_among(held_out: Tensor, fake: Tensor) -> Tensor:
    """The held-out images that are not generated ones too, as those of the control `real` are: at distance 0 of itself
    an image tells nothing of the density around it."""
    rest = held_out[~shared_rows(held_out, fake)[0]]
    if len(rest) < 2:
        raise MetricFailed("all but one of the held-out images are among the generated ones; generate fewer")
    return rest


def _standardised(train: Tensor, held_out: Tensor, fake: Tensor) -> Iterator[Tensor]:
    """All three with mean 0 and variance 1 of each feature among held-out images, float32; without features that do not
    vary there."""
    centre = mean_row(held_out)
    total = torch.zeros_like(centre)
    for _, exact in float64_rows(held_out):
        total += (exact - centre).square().sum(0)
    spread = (total / (len(held_out) - 1)).sqrt()
    varies = spread > _ROUNDING[held_out.dtype] * centre.abs()
    if not varies.any():
        raise MetricFailed("all held-out images have the same features, beside which nothing is likely")
    for side in (train, held_out, fake):
        rows = torch.cat([((exact - centre) / spread)[:, varies].float() for _, exact in float64_rows(side)])
        yield rows


def feature_likelihood_divergence(train: ArrayLike, held_out: ArrayLike, fake: ArrayLike) -> float:
    """FLD (Jiralerspong et al. 2023).

    Args:
        train: Features of the images that the model learned from, N×D, N ≥ 4: a tensor or any array of real numbers.
        held_out: Features of real images that it did not see, H×D, H ≥ 2.
        fake: Features of generated images, M×D, M ≥ 2.

    Returns:
        About 0 for fresh real images, larger for worse ones, in hundredths of a nat per dimension. Beyond half as many
        images as there are for training it falls with M: only equal numbers of images compare.

    Raises:
        InputError: A side is no array of real numbers, or the lengths of the feature vectors differ.
        MetricFailed: A side has too few images or holds a value that is not finite, held-out images are all alike or
            all among the generated ones, or the generated images are the training images, where it is infinite.
    """
    return likelihoods(train, held_out, fake).fld().value


def generalization_gap(train: ArrayLike, held_out: ArrayLike, fake: ArrayLike) -> float:
    """FLD of training images less FLD of held-out ones: about 0 is ideal, far below 0 is copying.

    Args:
        train: As in `feature_likelihood_divergence`.
        held_out: As there.
        fake: As there.

    Returns:
        In hundredths of a nat per dimension.

    Raises:
        InputError: As there.
        MetricFailed: As there.
    """
    return likelihoods(train, held_out, fake).gap().value


class FeatureLikelihood(Family):
    """How likely a model's sample makes real images that it did not see."""

    outputs: ClassVar[Sequence[Output]] = (
        Output(
            "fld",
            "quality",
            False,
            "How unlikely a sample makes real images that its model did not see: quality, diversity and novelty.",
        ),
        Output(
            "fld_gap",
            "memorization",
            None,
            "FLD of training images less that of held-out ones: 0 is ideal, far below 0 copying.",
        ),
    )
    needs = frozenset({"features"})
    needs_held_out = True
    not_on = frozenset({"points"})
    source = "Jiralerspong et al. 2023"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        self.check_defined()
        check_held_out(evidence, self.extractor)
        roles = ("reference", "held_out", "generated")
        found = likelihoods(*(evidence.features(role, self.extractor) for role in roles))
        return {"fld": found.fld(), "fld_gap": found.gap()}
