"""How well images show their captions, as numbers of a record: R-precision and the rank of the own caption."""

from __future__ import annotations

import math

import torch
from scipy.stats import t as student_t
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.scales import Range
from benchbench.metrics.metric import Estimate
from benchbench.metrics.numerics.intervals import wilson_interval, within
from benchbench.metrics.sets.retrieval import r_precision, retrieval_ranks, similarities
from benchbench.tasks.speed import Measurement

R_PRECISION, MEAN_RANK, MEDIAN_RANK = "r_precision", "retrieval_rank_mean", "retrieval_rank_median"
SEED = 0  # of which captions stand beside an image's own: the same ones for every model


def alignment(images: Tensor, captions: Tensor, own: Tensor, prompts: Tensor) -> list[Measurement]:
    """The numbers of images that were read by a matcher.

    Args:
        images: Rows of length 1, float32 (N, D).
        captions: Likewise of all different captions, (M, D).
        own: The number of each image's caption, int64 (N,).
        prompts: Which images were made of one prompt have one number, int64 (N,): their mean is one value of the
            interval, for they are no independent ones.

    Returns:
        R-precision, and the mean and the median rank among all M captions; failed ones where a row is not finite.
    """
    if not (images.isfinite().all() and captions.isfinite().all()):
        return unavailable(
            MetricFailed("the matcher gives images or captions no finite codes, so none is nearest")
        )
    similar = similarities(images, captions)
    ranks, most = retrieval_ranks(similar, own), float(len(captions))
    try:
        hits: Estimate | None = share_over_prompts(r_precision(similar, own, SEED), prompts)
        reason = None
    except MetricFailed as failure:
        hits, reason = None, failure.reason
    means = mean_over_prompts(ranks, prompts, (1.0, most))
    median = Estimate(float(torch.quantile(ranks, 0.5)))  # over images: the prompts of an interval have none
    n = len(images)
    return [_hits(hits, n, reason), _rank(MEAN_RANK, means, n), _rank(MEDIAN_RANK, median, n)]


def unavailable(failure: MetricFailed) -> list[Measurement]:
    """The same numbers where there is no matcher."""
    why = failure.reason
    return [_hits(None, None, why), *(_rank(name, None, None, why) for name in (MEAN_RANK, MEDIAN_RANK))]


def _hits(found: Estimate | None, n: int | None, reason: str | None) -> Measurement:
    return Measurement(R_PRECISION, "quality", "", True, found, n, "arcsine", (0.0, 1.0), reason=reason)


def _rank(name: str, found: Estimate | None, n: int | None, reason: str | None = None) -> Measurement:
    return Measurement(name, "quality", "", False, found, n, "log", (1.0, None), reason=reason)


def mean_over_prompts(values: Tensor, prompts: Tensor, ends: Range) -> Estimate:
    """The mean over images with its 95% t interval, cut to `ends`, images of one prompt being dependent; none for a
    single prompt.

    The variance is that of a ratio of sums over prompts (Cochran 1977, Sampling Techniques, section 2.11); where
    prompts have equally many images the interval is that of the means of each."""
    mean, error, counts = _of_prompts(values, prompts)
    if error is None:
        return within(Estimate(mean), ends)
    half = float(student_t.ppf(0.975, len(counts) - 1)) * error
    return within(Estimate(mean, mean - half, mean + half, "95% t over prompts"), ends)


def share_over_prompts(hits: Tensor, prompts: Tensor) -> Estimate:
    """The mean of values in [0, 1] over images, with Wilson's interval at as many images as their variance makes them
    worth (Franco et al. 2019, "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys");
    none for a single prompt.

    At least as many as if images of one prompt were all alike (Kish 1965), at most all. So it has a width where no
    image hits, which a t interval has not."""
    share, error, counts = _of_prompts(hits, prompts)
    if error is None:
        return Estimate(share)
    least, most = float(counts.sum() ** 2 / counts.square().sum()), float(counts.sum())
    worth = share * (1 - share) / error**2 if error else least
    n = min(max(worth, least), most)
    return Estimate(share, *wilson_interval(share * n, n), "95% Wilson over prompts")


def _of_prompts(values: Tensor, prompts: Tensor) -> tuple[float, float | None, Tensor]:
    """The mean over images, its standard error where there are several prompts, and how many images each has."""
    _, number, counts = prompts.unique(return_inverse=True, return_counts=True)
    values, n, several = values.double(), len(values), len(counts)
    mean = float(values.mean())
    if several < 2:
        return mean, None, counts
    off = torch.zeros(several, dtype=torch.float64).index_add_(0, number, values - mean)
    return mean, math.sqrt(float(off.square().sum()) * several / (several - 1)) / n, counts
