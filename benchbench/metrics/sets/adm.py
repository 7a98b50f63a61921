"""What the evaluator of ADM (Dhariwal & Nichol 2021) reports beside FID and sFID, by its own conventions.

Its five numbers are the set `adm` of metrics (`metrics.select`). FID and sFID are `fd` on `inception_v3` and
`inception_v3_spatial`, which differ from it in nothing; these three do differ from their namesakes here:

- The Inception Score is the mean over parts of 5,000 images in the order of the file, nothing shuffled. The last part
  may be short and counts like the others.
- Precision and recall are those of Kynkäänniemi et al. 2019 with k = 3 on the pooled Inception features, between all
  images of either side: 10,000 of a reference batch and 50,000 samples. Recall grows with the number of samples, so
  numbers of sides that are not of these sizes do not compare with published ones; `precision_k3` cuts both to one size.

Departures: the evaluator measures distances in float16 where they fit, and counts images on the boundary of a ball as
inside. Here distances are exact to float64 and boundaries are outside, which changes something only for balls of
radius 0: those of images that a set holds more than three times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from scipy import special
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Family, Metric, Output
from benchbench.metrics.numerics.arguments import check_features, check_whole, finite_result
from benchbench.metrics.numerics.intervals import within
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.prdc import estimates, overlap

PART = 5000
_K = 3
_EVALUATOR = "Dhariwal & Nichol 2021, evaluator.py"


def inception_scores_of_parts(logits: ArrayLike, part: int = PART) -> Tensor:
    """The Inception Scores of so many images after the other (Dhariwal & Nichol 2021, evaluator.py).

    Args:
        logits: Before the softmax, N×K, N ≥ 2, in the order of the file: a tensor or any array of real numbers.
        part: How many images a part has; the last one has what is left.

    Returns:
        One a part, float64 on the CPU, each between 1 and K; the evaluator's number is their mean. That of a single
        image is 1.

    Raises:
        InputError: The logits are no array of real numbers N×K or are probabilities, or a part has no whole number of
            images, 1 or more.
        MetricFailed: There are fewer than two images, or a logit is not finite.
    """
    logits = check_features(logits, "the logits")
    part = check_whole(part, "the number of images of a part", 1)
    scores = [
        torch.ones(1, dtype=torch.float64)
        if len(own) == 1
        else inception_score(own, splits=1, order=torch.arange(len(own))).scores
        for own in logits.split(part)
    ]
    finite_result(float(torch.cat(scores).sum()), "a divergence of these logits")
    return torch.cat(scores)


class ADMInceptionScore(Metric):
    """The Inception Score as ADM's evaluator has it: mean over parts of 5,000 images in their order."""

    family = "is_adm"
    aspect = "quality"
    higher_is_better = True
    scale = "log"  # the exponential of a divergence; its upper end is the number of classes
    ends = (1.0, None)
    needs = frozenset({"logits"})
    needs_reference = False
    extractors = "inception_v3"
    source = _EVALUATOR

    def compute(self, evidence: Evidence) -> Estimate:
        """With Student's t over the parts; no interval for one part."""
        self.check_defined()
        logits = evidence.seen("generated", self.extractor).logits
        if logits is None:
            raise MetricFailed(f"{self.name} needs logits and {self.extractor} has no classifier")
        scores = inception_scores_of_parts(logits)
        value, n, ends = float(scores.mean()), len(scores), (1.0, float(logits.shape[1]))
        if n == 1:
            return within(Estimate(value, ends=ends), ends)
        half = float(special.stdtrit(n - 1, 0.975)) * float(scores.std()) / math.sqrt(n)
        return within(Estimate(value, value - half, value + half, f"95% t over {n} parts", ends), ends)


class ADMPrecisionRecall(Family):
    """Precision and recall as ADM's evaluator has them: k = 3, all images of either side."""

    outputs: ClassVar[Sequence[Output]] = (
        Output(
            "precision_adm",
            "quality",
            True,
            "Share of generated images within the real manifold, k = 3, all images of either side.",
            scale="arcsine",
            ends=(0.0, 1.0),
        ),
        Output(
            "recall_adm",
            "diversity",
            True,
            "Share of real images within the generated manifold, k = 3, all images of either side.",
            scale="arcsine",
            ends=(0.0, 1.0),
        ),
    )
    needs = frozenset({"features"})
    extractors = "inception_v3"
    source = f"Kynkäänniemi et al. 2019, eqs. 1-2; {_EVALUATOR}"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        self.check_defined()
        real, fake = (evidence.features(role, self.extractor) for role in ("reference", "generated"))
        found = estimates(overlap(real, fake, _K, halves=True))
        return {f"{name}_adm": found[name] for name in ("precision", "recall")}
