"""There and back: what a translation loses, and what it hides.

Zhu et al. 2017 train two translators so that an image translated and translated back is itself again; the
mean absolute error of what came back is the L1 term of their equation 2. Chu, Zhmoginov & Sandler 2017,
"CycleGAN, a master of steganography", found that such a model hides in its translation what it will need on
the way back, in amplitudes that nobody sees. What is hidden there is lost when the translation is stored as
an image, or disturbed a little: the growth of the error shows it.

Pattern: whoever translates gathers one cycle error an image, for each of three ways there and back, under the
names below; the metrics only subtract and average. Errors are of intensities in [0, 1], half of what the
paper has on [-1, 1].

Scope: cycle errors say nothing of the translation itself. A model that changes nothing has none.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.images import quantize, to_signed
from benchbench.core.seeds import ImageRng
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.pairs.paired import MAE, mean_over_images

# Keys of `PairEvidence.values`. On its way back the translation is rounded to 8 bits, is as the model made
# it, or gets noise and is rounded then.
CYCLE = "cycle_mae"
CYCLE_EXACT = "cycle_mae_exact"
CYCLE_NOISE = "cycle_mae_noise"

NOISE = 2.0  # standard deviation in grey levels of 255: no one sees it in a picture


def round_levels(x: Tensor) -> Tensor:
    """Float images in [-1, 1], N×C×H×W with C in {1, 3}, as they are after having been stored in 8 bits: each
    value is the nearest of 256 levels, float32 in [-1, 1]. `InputError` for NaN.
    """
    return to_signed(quantize(x), x.shape[1])


def add_noise(x: Tensor, rng: ImageRng) -> Tensor:
    """`x` (float in [-1, 1], N×C×H×W) with independent Gaussian noise of `NOISE` grey levels, each 2/255 wide on
    this scale; not clamped, not rounded. `rng` has the length N.
    """
    return x + NOISE * 2 / 255 * rng.normal(*x.shape[1:]).to(x)


class CycleMAE(MAE):
    """Mean absolute error of what comes back of an image, through 8-bit images, intensities in [0, 1]."""

    family = CYCLE
    role = "cycle"
    source = "Zhu et al. 2017, eq. 2"


class IdentityMAE(MAE):
    """Mean absolute error between an image of the target domain and its translation, intensities in [0, 1]."""

    family = "identity_mae"
    role = "identity"
    source = "Zhu et al. 2017, section 5.2"


class CycleGrowth(Metric):
    """Mean over images of the cycle error with a disturbance less the cycle error without; may be negative."""

    aspect = "paired"
    unit = "intensity"
    higher_is_better = False
    scale = "linear"  # a difference of two errors, of either sign
    ends = (-1.0, 1.0)
    needs = frozenset({"cycle"})
    needs_reference = False
    uses_extractor = False
    source = "Chu et al. 2017; rounding and noise ours"
    disturbed: ClassVar[str]

    def compute(self, evidence: Evidence) -> Estimate:
        growth = self._errors(evidence, self.disturbed) - self._errors(evidence, CYCLE_EXACT)
        if not len(growth):
            raise MetricFailed("there are no pairs of images")
        return mean_over_images(growth, self.ends)

    def _errors(self, evidence: Evidence, name: str) -> Tensor:
        pairs = evidence.pairs.get("cycle")
        if pairs is None or name not in pairs.values.keys() | pairs.failures.keys():
            raise MetricFailed(f"{self.name} needs a model that translates there and back without rounding")
        return pairs.of(name)


class CycleGrowthRounded(CycleGrowth):
    """How much the cycle error grows when the translation is rounded to 8 bits on its way back."""

    family = "cycle_growth_rounded"
    disturbed = CYCLE


class CycleGrowthNoise(CycleGrowth):
    """How much the cycle error grows when the translation gets noise of 2 grey levels and is rounded then."""

    family = "cycle_growth_noise"
    disturbed = CYCLE_NOISE
