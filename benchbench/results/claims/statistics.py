"""Aggregates over datasets with their bootstrap, and the power of a t test. Pure and seeded; arrays in, numbers out.

How two numbers are tested is in `testing`; here is what looks at many pairs at once, and what plans.

The probability of improvement and the stratified bootstrap follow Agarwal et al. 2021, "Deep reinforcement learning at
the edge of the statistical precipice". Their interquartile mean is of normalised scores over all runs and tasks, which
distances between images do not have; ours is the mean of the middle half of differences over datasets, and with
fewer than four of those it is their mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import special  # its `stats` takes half a second to import

from benchbench.core.errors import InputError

Floats = npt.NDArray[np.float64]
# One array a unit (a model on a dataset), (..., seeds), for either side -> (...).
Statistic = Callable[[Sequence[Floats], Sequence[Floats]], Floats]

RESAMPLES = 2_000  # the level of a 95% interval is then off by 0.5% or less
MOST_SEEDS = 1_000_000  # beyond that the answer to "how many seeds" is "not by seeds"


def t_power(effect: float, n: int, paired: bool, alpha: float = 0.05) -> float:
    """The odds that a two-sided t test of n seeds a side finds a difference of `effect` standard deviations.

    Of the differences where `paired`, of the values where not.
    """
    degrees = n - 1 if paired else 2 * n - 2
    return shift_power(effect * math.sqrt(n if paired else n / 2), degrees, alpha)


def shift_power(shift: float, degrees: int, alpha: float = 0.05) -> float:
    """The odds that a two-sided t test at level `alpha` finds what is `shift` standard errors away, whose size is known
    by so many degrees of freedom; 0 with none.

    The noncentral t distribution, integrated here because SciPy's has no value for large shifts of few degrees of
    freedom.
    """
    if degrees < 1:
        return 0.0
    shift = abs(shift)
    critical = -float(special.stdtrit(degrees, alpha / 2))
    # Given the sample variance the statistic is normal: P(Z + shift > c s), integrated over quantiles of s.
    quantiles = (np.arange(512) + 0.5) / 512
    s = np.sqrt(2 * special.gammaincinv(degrees / 2, quantiles) / degrees)  # chi-squared, of a gamma
    tails = special.ndtr(shift - critical * s) + special.ndtr(-critical * s - shift)
    return float(tails.mean())


def seeds_needed(effect: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Seeds a side until a difference of `effect` standard deviations of a run is found with odds of `power` by a
    two-sided t test of two models at level `alpha`. None beyond `MOST_SEEDS`."""
    high = 2
    while t_power(effect, high, paired=False, alpha=alpha) < power:
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2  # not enough, or 1
    while high - low > 1:
        middle = (low + high) // 2
        enough = t_power(effect, middle, paired=False, alpha=alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def wilson_interval(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a share among n, at z standard errors (Wilson 1927); within 0 and 1.

    >>> low, high = wilson_interval(0.5, 96.04, 1.96)
    >>> round(low, 3), round(high, 3)
    (0.402, 0.598)
    """
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def middle_mean(values: ArrayLike, axis: int = -1) -> Floats:
    """The mean of the middle half: ⌊n/4⌋ values go at either end, so that below four nothing goes.

    >>> float(middle_mean([0, 1, 2, 3, 4, 5, 6, 700]))
    3.5
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=float), axis, -1), axis=-1)
    cut = ordered.shape[-1] // 4
    middle: Floats = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return middle


def middle_mean_difference(a: Sequence[Floats], b: Sequence[Floats]) -> Floats:
    """A `Statistic`: the mean of the middle half, over units, of the mean difference over seeds."""
    return middle_mean(np.stack([x.mean(axis=-1) - y.mean(axis=-1) for x, y in zip(a, b, strict=True)], -1))


def probability_of_improvement(a: Sequence[Floats], b: Sequence[Floats]) -> Floats:
    """A `Statistic`: P(a run of a > a run of b), ties half, mean over units (Agarwal et al. 2021, section 4.3).

    Higher is taken to be better: negate both sides where lower is.
    """
    wins = []
    for x, y in zip(a, b, strict=True):
        # One column of y at a time: all pairs at once fill the memory where there are many seeds.
        apart = [np.sign(x - y[..., j : j + 1]).mean(axis=-1) for j in range(y.shape[-1])]
        wins.append(0.5 + 0.5 * np.mean(apart, axis=0))
    mean: Floats = np.stack(wins, -1).mean(axis=-1)
    return mean


def stratified_bootstrap(
    statistic: Statistic,
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    paired: Sequence[bool],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of `statistic` when seeds are drawn anew within each unit (Agarwal et al. 2021).

    a, b: one array of values over seeds a unit; where `paired`, both sides draw the same seeds. Each draw
    first leaves out one seed (bootknife, Hesterberg 2004): a plain bootstrap of n seeds has a variance that
    is (n − 1)/n of what it should be, a third too little with 3. Raises `InputError` for a unit with one seed,
    whose spread nobody knows.
    """
    rng = np.random.default_rng(seed)
    drawn: tuple[list[Floats], list[Floats]] = ([], [])
    for x, y, same in zip(map(_sample, a), map(_sample, b), paired, strict=True):
        if min(len(x), len(y)) < 2:
            raise InputError("a bootstrap over seeds needs two seeds or more of every unit")
        picks = _bootknife(rng, len(x), resamples)
        drawn[0].append(x[picks])
        drawn[1].append(y[picks if same else _bootknife(rng, len(y), resamples)])
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(*drawn), [tail, 1 - tail])
    return float(low), float(high)


def _bootknife(rng: np.random.Generator, n: int, resamples: int) -> npt.NDArray[np.int64]:
    """(resamples, n) indices: one of n left out, n drawn from the others."""
    left_out = rng.integers(0, n, (resamples, 1))
    picks = rng.integers(0, n - 1, (resamples, n))
    return picks + (picks >= left_out)


def _sample(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise InputError("a side of a comparison needs one finite number a seed")
    return sample
