"""Means of values that come in groups whose members are dependent, such as images of one prompt, with their intervals.

The variance is that of a ratio of sums over groups (Cochran 1977, Sampling Techniques, section 2.11); where groups are
equally large it is that of the mean of their means.
"""

from __future__ import annotations

import math

from scipy import special
from torch import Tensor

from benchbench.core.scales import Range
from benchbench.metrics.metric import Estimate
from benchbench.metrics.numerics.intervals import wilson_interval, within


def mean_over_groups(values: Tensor, groups: Tensor, ends: Range, what: str) -> Estimate:
    """The mean of all values with its 95% t interval, cut to `ends`; none for a single group.

    values: real (N,). groups: the number of each one's, int64 (N,). what: groups are, for the name of the interval.
    """
    mean, error, counts = _of_groups(values, groups)
    if error is None:
        return within(Estimate(mean), ends)
    half = float(special.stdtrit(len(counts) - 1, 0.975)) * error
    return within(Estimate(mean, mean - half, mean + half, f"95% t over {what}"), ends)


def share_over_groups(hits: Tensor, groups: Tensor, what: str) -> Estimate:
    """The mean of values in [0, 1], with Wilson's interval at as many trials as their variance makes them worth (Franco
    et al. 2019, "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys"); none for a
    single group. Arguments as in `mean_over_groups`.

    At least as many as if all of a group were alike (Kish 1965), at most all. So it has a width where nothing hits,
    which a t interval has not."""
    share, error, counts = _of_groups(hits, groups)
    if error is None:
        return Estimate(share)
    least, most = float(counts.sum() ** 2 / counts.square().sum()), float(counts.sum())
    worth = share * (1 - share) / error**2 if error else least
    n = min(max(worth, least), most)
    return Estimate(share, *wilson_interval(share * n, n), f"95% Wilson over {what}")


def _of_groups(values: Tensor, groups: Tensor) -> tuple[float, float | None, Tensor]:
    """The mean, its standard error where there are several groups, and how large each is."""
    _, number, counts = groups.unique(return_inverse=True, return_counts=True)
    values, n, several = values.double(), len(values), len(counts)
    mean = float(values.mean())
    if several < 2:
        return mean, None, counts
    off = values.new_zeros(several).index_add_(0, number, values - mean)
    return mean, math.sqrt(float(off.square().sum()) * several / (several - 1)) / n, counts
