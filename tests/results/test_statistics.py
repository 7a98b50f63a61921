"""Aggregates and power against closed forms, against SciPy, and by simulation: what is promised holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchbench.core.errors import InputError
from benchbench.results.claims.statistics import (
    middle_mean,
    middle_mean_difference,
    probability_of_improvement,
    seeds_needed,
    shift_power,
    stratified_bootstrap,
    t_power,
    wilson_interval,
)

DRAWS = 1_000


def within_binomial_error(hits: float, rate: float, draws: int = DRAWS) -> bool:
    """Whether a count can come from `rate`: 3.5 standard deviations, odds of 1 in 2,000 to miss by chance (and the
    draws are seeded, so that a test which passed once passes always)."""
    return bool(abs(hits - rate * draws) <= 3.5 * math.sqrt(draws * rate * (1 - rate)))


# -- power -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("effect", "n"), [(0.5, 3), (1.0, 5), (2.0, 3), (1.0, 17)])
def test_power_is_that_of_the_noncentral_t(effect: float, n: int, paired: bool) -> None:
    """`scipy.stats.nct`, where it converges. 1e-4: our integral has 512 quantiles."""
    degrees, shift = (n - 1, effect * n**0.5) if paired else (2 * n - 2, effect * (n / 2) ** 0.5)
    critical = stats.t.isf(0.025, degrees)
    expected = stats.nct.sf(critical, degrees, shift) + stats.nct.cdf(-critical, degrees, shift)
    assert t_power(effect, n, paired) == pytest.approx(expected, abs=1e-4)


def test_seeds_needed_against_cohens_tables() -> None:
    """Cohen 1988, table 2.4.1, two-sided 0.05, power 0.8: n = 17 at d = 1, 26 at 0.8, 64 at 0.5."""
    assert [seeds_needed(d) for d in (1.0, 0.8, 0.5)] == [17, 26, 64]


def test_seeds_needed_at_the_ends() -> None:
    """One fewer is not enough; two a side are the fewest that have a spread; no effect is not found by seeds."""
    n = seeds_needed(1.2, alpha=0.01)
    assert n is not None
    assert t_power(1.2, n, False, 0.01) >= 0.8 > t_power(1.2, n - 1, False, 0.01)
    assert (seeds_needed(50), t_power(50, 1, False), t_power(50, 1, True)) == (2, 0, 0)
    assert seeds_needed(0) is None


def test_the_power_is_what_is_promised() -> None:
    """SciPy's t test finds the difference in the promised share of 1,000 draws, at the seeds that are asked for and at
    one fewer: within binomial error."""
    n = seeds_needed(1.0)
    assert n is not None
    x, y = np.random.default_rng(5).normal(size=(2, DRAWS, n))
    for k in (n, n - 1):
        hits = int((stats.ttest_ind(x[:, :k] + 1, y[:, :k], axis=1).pvalue <= 0.05).sum())
        assert within_binomial_error(hits, t_power(1.0, k, False))


# -- aggregates ------------------------------------------------------------------------------------------------


def test_middle_mean_closed_forms() -> None:
    """Of 0..7 it is the mean of 2..5, below four the mean; of anything it is `scipy.stats.trim_mean(x, 0.25)`."""
    assert float(middle_mean(range(8))) == 3.5
    assert float(middle_mean([1, 2, 30])) == 11
    for n in range(1, 12):
        x = np.random.default_rng(n).normal(size=(3, n))
        np.testing.assert_allclose(middle_mean(x), stats.trim_mean(x, 0.25, axis=1), rtol=1e-12)


def test_probability_of_improvement_closed_forms() -> None:
    """Separated is 1 or 0, the same twice is 1/2, units are averaged; U / nm of `scipy.stats.mannwhitneyu`."""
    low, high = np.arange(3.0), np.arange(3.0) + 10
    assert float(probability_of_improvement([high], [low])) == 1
    assert float(probability_of_improvement([high, low, low], [low, high, low])) == 0.5
    a, b = [1.0, 4.0, 4.0], [2.0, 4.0]
    expected = stats.mannwhitneyu(a, b).statistic / 6
    assert float(probability_of_improvement([np.array(a)], [np.array(b)])) == pytest.approx(expected)


def test_the_bootstrap_is_seeded_and_needs_seeds() -> None:
    """The same bytes twice; another seed moves the limits a little; one seed in a unit has no spread."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 5))
    first = stratified_bootstrap(middle_mean_difference, a, b, [True] * 3)
    assert first == stratified_bootstrap(middle_mean_difference, a, b, [True] * 3)
    assert first != stratified_bootstrap(middle_mean_difference, a, b, [True] * 3, seed=1)
    with pytest.raises(InputError, match="two seeds or more of every unit"):
        stratified_bootstrap(middle_mean_difference, [[1.0]], [[1.0, 2.0]], [False])


def test_pairs_draw_the_same_seeds() -> None:
    """a = b + 1 in every seed: in pairs the difference is 1 in every draw, and apart it is not."""
    b = np.random.default_rng(0).normal(size=(4, 5))
    assert stratified_bootstrap(middle_mean_difference, b + 1, b, [True] * 4) == pytest.approx((1, 1))
    low, high = stratified_bootstrap(middle_mean_difference, b + 1, b, [False] * 4)
    assert high - low > 0.1


# -- simulation ------------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("paired", [True, False])
def test_the_stratified_bootstrap_covers(paired: bool) -> None:
    """Six units of three seeds: 95% intervals of both aggregates cover the truth in 95% of 1,000 draws, within
    binomial error. Truth: the shift, and P(N(1/2, 1) > N(0, 1)) = Φ(1/√8). (Leaving out the bootknife, the interval
    of the mean difference in pairs covers 87%.)"""
    rng = np.random.default_rng(11)
    truth = {
        middle_mean_difference: 0.5,
        probability_of_improvement: float(stats.norm.cdf(0.5 / math.sqrt(2))),
    }
    hits = dict.fromkeys(truth, 0)
    for draw in range(DRAWS):
        a, b = rng.normal(size=(2, 6, 3))
        for statistic, true in truth.items():
            low, high = stratified_bootstrap(statistic, a + 0.5, b, [paired] * 6, resamples=300, seed=draw)
            hits[statistic] += low <= true <= high
    assert all(within_binomial_error(count, 0.95) for count in hits.values()), hits


@pytest.mark.parametrize("degrees", [3, 12, 200])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 15])
def test_power_of_a_shift_is_the_noncentral_t(degrees: int, alpha: float) -> None:
    """SciPy's, where it has a value: both tails beyond the critical one. The integral over 512 quantiles is within
    1e-3."""
    critical = stats.t.isf(alpha / 2, degrees)
    expected = stats.nct.sf(critical, degrees, 2.5) + stats.nct.cdf(-critical, degrees, 2.5)
    assert shift_power(-2.5, degrees, alpha) == pytest.approx(expected, abs=1e-3)
    assert shift_power(2.5, 0, alpha) == 0.0


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (500, 1000)])
def test_wilson(hits: int, n: int) -> None:
    """SciPy's own, from `binomtest`, at 95%."""
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    ours = wilson_interval(hits / n, n, float(stats.norm.isf(0.025)))
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)
