"""How well images show their captions, as numbers of a record: R-precision and the rank of the own caption."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.metrics.metric import Estimate
from benchbench.metrics.pairs.captions import over_prompts
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
        R-precision, and the mean and the median rank among all M captions.
    """
    similar = similarities(images, captions)
    ranks, most = retrieval_ranks(similar, own), float(len(captions))
    try:
        hits: Estimate | None = over_prompts(r_precision(similar, own, SEED), prompts, (0.0, 1.0))
        reason = None
    except MetricFailed as failure:
        hits, reason = None, failure.reason
    means = over_prompts(ranks, prompts, (1.0, most))
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
