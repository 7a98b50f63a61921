"""The Inception Score: confident and varied predictions.

    IS = exp( E_x KL( p(y|x) ‖ p(y) ) ),    1 ≤ IS ≤ number of classes

Salimans et al. 2016, "Improved Techniques for Training GANs", section 4. It reads a classifier's logits,
never pooled features, and knows no reference.

Bias. p(y) is the mean over the images at hand, so fewer images give a lower score, and n images never more
than n. The field reports the mean over 10 splits; that is the headline, because published numbers are that.
Beside it stands the score of all images in one split, which Barratt & Sharma 2018, "A Note on the Inception
Score", recommend: less biased and free of the order of the images.

Trade-offs: splitting needs a shuffle. Images sorted by class would leave one class a split and a score near
1. The shuffle is seeded, so the headline is a function of the seed and of the order of the images, which for
generated ones is that of their indices.

Scope: log-softmax in float64, so confident logits underflow to 0 · −∞ nowhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from scipy import special
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Family, Output
from benchbench.metrics.numerics.arguments import (
    check_features,
    check_labels,
    check_seed,
    check_whole,
    finite_result,
)
from benchbench.metrics.numerics.intervals import positive_estimate, within

SPLITS = 10


@dataclass(frozen=True)
class Score:
    """An Inception Score.

    Attributes:
        scores: One a split, float64 (splits,) on the CPU, each between 1 and the number of classes.
        standard_error: Of their mean.
    """

    scores: Tensor
    standard_error: float

    @property
    def value(self) -> float:
        """The mean over splits."""
        return float(self.scores.mean())


def inception_score(
    logits: ArrayLike, splits: int = SPLITS, seed: int = 0, order: ArrayLike | None = None
) -> Score:
    """IS of a classifier's logits (Salimans et al. 2016, section 4).

    Rows are shuffled and cut where torch-fidelity cuts: split i is i·N//splits … (i + 1)·N//splits. Standard error:
    with several splits their spread over √splits (they are disjoint, hence independent given the model); with one the
    infinitesimal jackknife, IS · std(KLᵢ)/√N: the score's influence function is IS · (KLᵢ − mean KL), since the
    derivative through p(y) is Σ p(y) − 1 = 0.

    Args:
        logits: Before the softmax, N×K, N ≥ 2 · splits: a tensor or any array of real numbers. Of probabilities give
            the logarithms.
        splits: Into how many parts the images are cut, 10 in the field; 1 is less biased (Barratt & Sharma 2018).
        seed: Of the shuffle.
        order: The rows in the order in which they are cut, int64 (N,), in place of a shuffle.

    Returns:
        The scores of all splits; their mean is `value`.

    Raises:
        InputError: The logits are no array of real numbers N×K or are probabilities, `splits` is below 1, or `order` is
            no order of the rows.
        MetricFailed: There are too few rows for so many splits, or a logit is not finite.
    """
    splits, seed = check_whole(splits, "the number of splits", 1), check_seed(seed)
    logits = check_features(logits, "the logits")
    _refuse_probabilities(logits)
    n = len(logits)
    if n < 2 * splits:
        raise MetricFailed(f"an Inception Score over {splits} splits needs {2 * splits} images but has {n}")
    if order is None:
        order = torch.from_numpy(permutation(seed, n))
    else:
        order = check_labels(order, "the places in an order")
        if not torch.equal(order.sort().values.cpu(), torch.arange(n)):
            raise InputError(f"an order of {n} rows names each of 0 to {n - 1} once; this one does not")
    log_p = logits[order.to(logits.device)].to(torch.float64).log_softmax(dim=1)
    divergences = [_divergences(log_p[i * n // splits : (i + 1) * n // splits]) for i in range(splits)]
    scores = torch.stack([kl.mean().exp() for kl in divergences]).cpu()
    finite_result(float(scores.sum()), "a divergence of these logits")
    if splits == 1:
        return Score(scores, float(scores[0] * divergences[0].std()) / math.sqrt(n))
    return Score(scores, float(scores.std()) / math.sqrt(splits))


def _refuse_probabilities(logits: Tensor) -> None:
    """`InputError` for what went through a softmax already, which a second one would flatten: numbers from 0 to 1 that
    sum to 1 in every row."""
    if logits.shape[1] < 2 or bool((logits < 0).any()) or bool((logits > 1).any()):
        return
    if bool(((logits.sum(1, dtype=torch.float64) - 1).abs() < 1e-4).all()):
        raise InputError(
            "these are probabilities, which sum to 1 in every row; give logits, their logarithms"
        )


def _divergences(log_p: Tensor) -> Tensor:
    """KL(p(y|x) ‖ p(y)) in nats of each row, p(y) the mean over these rows."""
    p = log_p.exp()
    # A class that underflowed to 0 in every row has p(y) = 0; each of its terms is 0 · log(0/0) → 0.
    log_marginal = p.mean(dim=0).clamp(min=torch.finfo(torch.float64).tiny).log()
    return (p * (log_p - log_marginal)).sum(dim=1)


class InceptionScore(Family):
    """How confident and how varied a classifier's predictions on generated images are."""

    outputs = (
        Output(
            "is",
            "quality",
            True,
            "How confident and how varied a classifier's predictions on generated images are.",
            scale="log",  # the exponential of a divergence; its upper end is the number of classes
            ends=(1.0, None),
        ),
        Output(
            "is_one_split",
            "quality",
            True,
            "The Inception Score of all images at once, less biased and free of their order.",
            scale="log",
            ends=(1.0, None),
            source="Barratt & Sharma 2018",
            beside="is",
        ),
    )
    # A blank image has logits of −1e6 there, all alike after the softmax: noise would be as confident as a dot.
    not_on = frozenset({"rejects"})
    # A network that was trained on other classes than the images show says little.
    standard_on = frozenset({"classes"})
    needs = frozenset({"logits"})
    needs_reference = False
    source = "Salimans et al. 2016, section 4; one split: Barratt & Sharma 2018"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        """Mean over 10 splits with Student's t over them, and the one-split score."""
        self.check_defined()
        logits = evidence.seen("generated", self.extractor).logits
        if logits is None:
            raise MetricFailed(f"{self.name} needs logits and {self.extractor} has no classifier")
        split = inception_score(logits)
        whole = inception_score(logits, splits=1)
        ends = (1.0, float(logits.shape[1]))
        half = float(special.stdtrit(SPLITS - 1, 0.975)) * split.standard_error
        interval = f"95% t over {SPLITS} splits"
        estimates = {
            "is": Estimate(split.value, split.value - half, split.value + half, interval, ends),
            "is_one_split": replace(positive_estimate(whole.value, whole.standard_error, "delta"), ends=ends),
        }
        return {name: within(estimate, ends) for name, estimate in estimates.items()}
