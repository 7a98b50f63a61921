"""Do two sets of runs differ: tests over seeds, intervals, aggregates over datasets. Pure and seeded.

Pattern: arrays in, numbers out. Differences are always a − b. Seeds are the unit of observation: a paired t
test where both sides ran the same seeds, the exact Mann-Whitney test where they did not, and, where there is
one run each, what the intervals of the two numbers say.

Why the t test: with n seeds a sign-flip or Wilcoxon signed-rank test cannot give a two-sided p below 2^(1-n),
0.25 with 3 seeds and 0.06 with 5, so that it never rejects where benchmarks live. The t test assumes that
differences over seeds are about normal; tests/results/test_statistics.py holds it to its level.

Why Mann-Whitney all the same without pairs: it asks nothing of the two spreads, which differ between models.
The price: the smallest p of n against m seeds is 2 / C(n + m, n) two-sided, which is what we report: 0.1 with
3 against 3, 0.029 with 4, 0.0079 with 5 (0.004 is the one-sided value).

Aggregates over datasets follow Agarwal et al. 2021, "Deep reinforcement learning at the edge of the
statistical precipice". Their optimality gap needs a score that counts as solved, which no distance between
images has; it is left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import stats

from benchbench.core.errors import InputError

Floats = npt.NDArray[np.float64]
# One array a unit (a model on a dataset), (..., seeds), for either side -> (...).
Statistic = Callable[[Sequence[Floats], Sequence[Floats]], Floats]

RESAMPLES = 2_000  # the level of a 95% interval is then off by 0.5% or less
EXACT = 2_500  # pairs of seeds, 50 against 50; beyond that Mann-Whitney's normal limit is as good
MOST_SEEDS = 1_000_000  # beyond that the answer to "how many seeds" is "not by seeds"


@dataclass(frozen=True)
class Difference:
    """a − b with its interval, the two-sided p value of "no difference", and how they were found.

    `low` and `high` are infinite where there are too few seeds to bound the difference at all.
    """

    value: float
    low: float
    high: float
    p: float
    method: str


def difference(a: ArrayLike, b: ArrayLike, paired: bool, confidence: float = 0.95) -> Difference:
    """a − b from one value a seed on either side; `paired` where a[i] and b[i] are of the same seed.

    Paired: the mean difference, Student's interval and test. Where the difference is the same in every seed
    there is no t, and p is that of the sign-flip test, 2^(1-n). Not paired: the Hodges-Lehmann shift (median
    of all a[i] − b[j]), its interval from the exact distribution of U, and the exact Mann-Whitney test, given
    the ties. Interval and test agree: p < 1 − confidence where the interval leaves out 0 (without ties).

    Raises `InputError` for an empty side, a value that is no finite number, or pairs that are fewer than two
    or do not match.
    """
    x, y = _sample(a), _sample(b)
    return _paired_t(x, y, confidence) if paired else _mann_whitney(x, y, confidence)


def difference_from_intervals(
    a: tuple[float, float, float], b: tuple[float, float, float], confidence: float = 0.95
) -> Difference:
    """a − b of two independent numbers (value, low, high), from their own intervals of level `confidence`.

    Square-and-add (Zou & Donner 2008, MOVER): each limit takes the half widths on its side, so that
    asymmetric intervals stay so. p is the normal one for the half width towards 0. It speaks of these two
    trained models and nothing beyond: another seed of either is another model.

    Raises `InputError` for an interval that does not hold its value.
    """
    for value, low, high in (a, b):
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError(f"[{low}, {high}] is no interval around {value}")
    value = a[0] - b[0]
    low = value - math.hypot(a[0] - a[1], b[2] - b[0])
    high = value + math.hypot(a[2] - a[0], b[0] - b[1])
    half = value - low if value > 0 else high - value
    z = 0.0 if value == 0 else abs(value) / half if half > 0 else math.inf
    p = 2 * float(stats.norm.sf(z * stats.norm.ppf((1 + confidence) / 2)))
    return Difference(value, low, high, p, "intervals of one run each")


def holm(p_values: ArrayLike) -> Floats:
    """Holm's (1979) adjusted p values, in the order given: compare them with the level for the whole family.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.atleast_1d(np.asarray(p_values, dtype=float))
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError("p values lie between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def smallest_p(n_a: int, n_b: int) -> float:
    """The smallest two-sided p that the Mann-Whitney test can give with these numbers of seeds."""
    return min(1.0, 2 / math.comb(n_a + n_b, n_a))


def t_power(effect: float, n: int, paired: bool, alpha: float = 0.05) -> float:
    """The odds that a two-sided t test of n seeds a side finds a difference of `effect` standard deviations.

    Of the differences where `paired`, of the values where not. The noncentral t distribution, integrated here
    because SciPy's has no value for large shifts of few degrees of freedom.
    """
    degrees = n - 1 if paired else 2 * n - 2
    if degrees < 1:
        return 0.0
    shift = abs(effect) * math.sqrt(n if paired else n / 2)
    critical = float(stats.t.isf(alpha / 2, degrees))
    # Given the sample variance the statistic is normal: P(Z + shift > c s), integrated over quantiles of s.
    quantiles = (np.arange(512) + 0.5) / 512
    s = np.sqrt(stats.chi2.ppf(quantiles, degrees) / degrees)
    tails = stats.norm.sf(critical * s - shift) + stats.norm.cdf(-critical * s - shift)
    return float(tails.mean())


def seeds_needed(effect: float, paired: bool, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Seeds a side until a difference of `effect` standard deviations is found with odds of `power`.

    Not paired: at least so many that Mann-Whitney can reach `alpha` at all. An infinite effect (seeds without
    spread): so many that the sign-flip test can. None beyond `MOST_SEEDS`.
    """

    high = 2
    while t_power(effect, high, paired, alpha) < power:
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2  # not enough, or 1
    while high - low > 1:
        middle = (low + high) // 2
        enough = t_power(effect, middle, paired, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    least = 2.0 if math.isinf(effect) else 0.0  # 2^(1-n) of the sign-flip test; a t test has no floor
    floors = ((n, least * 2.0**-n if paired else smallest_p(n, n)) for n in itertools.count(1))
    return max(high, next(n for n, p in floors if p <= alpha))


def interquartile_mean(values: ArrayLike, axis: int = -1) -> Floats:
    """The mean of the middle half (Agarwal et al. 2021, section 4.3); ⌊n/4⌋ values go at either end.

    >>> float(interquartile_mean([0, 1, 2, 3, 4, 5, 6, 700]))
    3.5
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=float), axis, -1), axis=-1)
    cut = ordered.shape[-1] // 4
    middle: Floats = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return middle


def iqm_difference(a: Sequence[Floats], b: Sequence[Floats]) -> Floats:
    """A `Statistic`: the interquartile mean over units of the mean difference over seeds."""
    return interquartile_mean(
        np.stack([x.mean(axis=-1) - y.mean(axis=-1) for x, y in zip(a, b, strict=True)], -1)
    )


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


def _paired_t(x: Floats, y: Floats, confidence: float) -> Difference:
    if len(x) != len(y):
        raise InputError(f"pairs need as many values on both sides, not {len(x)} and {len(y)}")
    n = len(x)
    if n < 2:
        raise InputError("a paired test needs two seeds or more")
    apart = x - y
    mean, error = float(apart.mean()), float(apart.std(ddof=1)) / math.sqrt(n)
    if np.ptp(apart) == 0:
        p = 1.0 if mean == 0 else 2.0 ** (1 - n)
        half = math.inf if mean != 0 and p > 1 - confidence else 0.0
        return Difference(mean, mean - half, mean + half, p, f"the same difference in all {n} seeds")
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, n - 1))
    return Difference(mean, mean - half, mean + half, p, f"paired t over {n} seeds")


def _mann_whitney(x: Floats, y: Floats, confidence: float) -> Difference:
    n, m = len(x), len(y)
    shifts = np.sort((x[:, None] - y[None, :]).ravel())
    if n * m <= EXACT:
        # Twice the midranks are whole numbers; the first n of them are those of x.
        ranks = np.rint(2 * stats.rankdata(np.concatenate([x, y]))).astype(np.int64)
        sums, odds = _rank_sums(ranks, n)
        centre = n * (n + m + 1)
        p = float(odds[np.abs(sums - centre) >= abs(int(ranks[:n].sum()) - centre)].sum())
        sums, odds = _rank_sums(np.arange(1, n + m + 1), n)
        below = np.cumsum(odds)  # P(U <= u), u = 0 … nm
        k = int((below <= (1 - confidence) / 2).sum())  # so many of the outermost differences are left out
    else:
        p = float(stats.mannwhitneyu(x, y, method="asymptotic").pvalue)
        z = float(stats.norm.ppf((1 + confidence) / 2))
        k = math.floor(n * m / 2 - z * math.sqrt(n * m * (n + m + 1) / 12))
    low, high = (float(shifts[k - 1]), float(shifts[-k])) if k > 0 else (-math.inf, math.inf)
    method = f"Mann-Whitney, {n} against {m} seeds (p is never below {smallest_p(n, m):.2g})"
    return Difference(float(np.median(shifts)), low, high, min(1.0, p), method)


def _rank_sums(ranks: npt.NDArray[np.int64], n: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The sums that n of `ranks` can have, and the odds of each when every choice of n is as likely."""
    ways = np.zeros((n + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    sums = np.flatnonzero(ways[n])
    return sums, ways[n, sums] / ways[n].sum()


def _sample(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise InputError("a side of a comparison needs one finite number a seed")
    return sample
