"""What of the source is left in an output, and what varies between several outputs of one source.

Both are cosine distances between features, 1 − cos of the angle, in [0, 2]. They are computed as half the squared
distance of the unit vectors, ½‖x/‖x‖ − y/‖y‖‖², which is the same: it is never negative, exactly 0 for equal
features, and keeps its digits for small angles.

Scope: features are what a network makes of an image. One trained on photographs sees a line drawing and its
coloured picture as different things; differences between models on one dataset mean more than the values.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import check_directions, check_pair, real_numbers
from benchbench.metrics.numerics.linalg import unit_rows
from benchbench.metrics.pairs.paired import mean_over_images

# The same image in another batch has float32 features that differ by 1e-6 of their length: no distance, and one that
# a gate must not call a change.
ROUNDING = 1e-10


def cosine_distance(x: ArrayLike, y: ArrayLike) -> Tensor:
    """1 − cos between row i of `x` and row i of `y`, features N×D: float64 (N,) in [0, 2], 0 for the same
    direction.

    `MetricFailed` for no rows, a value that is not finite, or a row of zeros, which has no direction;
    `InputError` for shapes that do not match.
    """
    x, y = check_pair(x, y, 1)
    if len(x) != len(y):
        raise InputError(f"features can only be compared row by row; these are {len(x)} and {len(y)} rows")
    for features in (x, y):
        check_directions(features)
    return (unit_rows(x) - unit_rows(y)).square().sum(1) / 2


def input_diversity(variants: ArrayLike) -> Tensor:
    """Mean cosine distance over the pairs among the k outputs of each input: features N×k×D -> float64 (N,).

    Zhu et al. 2017 (BicycleGAN) have LPIPS in the place of the cosine distance. `MetricFailed`
    for less than two outputs of an input, and as `cosine_distance`.
    """
    variants = real_numbers(variants, "variants")
    if variants.ndim != 3:
        raise InputError(f"variants must have shape N×k×D but have {'×'.join(map(str, variants.shape))}")
    if variants.shape[1] < 2:
        raise MetricFailed(
            f"diversity needs at least two outputs of each input; there is {variants.shape[1]}"
        )
    pairs = list(combinations(variants.unbind(1), 2))
    return torch.stack([cosine_distance(x, y) for x, y in pairs]).mean(0)


class ContentDistance(Metric):
    """How far an output's features are from those of what it was made from, as a cosine distance."""

    family = "content_distance"
    aspect = "quality"
    higher_is_better = False
    scale = "log"  # a distance
    ends = (0.0, 2.0)
    needs = frozenset({"features", "sources"})
    needs_reference = False
    source = "ours; Gatys et al. 2016, eq. 1, compares maps of features, which keep places"

    def compute(self, evidence: Evidence) -> Estimate:
        if not evidence.sets.get("sources"):
            raise MetricFailed(
                f"{self.name} compares outputs with what they were made from; this task has none"
            )
        sides = (evidence.features(role, self.extractor) for role in ("generated", "sources"))
        distances = cosine_distance(*sides)
        return mean_over_images(distances.where(distances > ROUNDING, torch.zeros_like(distances)), self.ends)


class InputDiversity(Metric):
    """How much several outputs of one input differ, as the mean cosine distance of their features."""

    family = "input_diversity"
    aspect = "diversity"
    higher_is_better = True
    scale = "sqrt"  # a mean squared distance, and 0 of every model that draws nothing
    ends = (0.0, 2.0)
    needs = frozenset({"variants"})
    needs_reference = False
    source = "Zhu et al. 2017 (BicycleGAN), diversity; with features of an extractor instead of LPIPS"

    def compute(self, evidence: Evidence) -> Estimate:
        if not evidence.sets.get("variants"):
            raise MetricFailed(
                f"{self.name} compares several outputs of one input; this task makes one of each"
            )
        return mean_over_images(input_diversity(evidence.features("variants", self.extractor)), self.ends)
