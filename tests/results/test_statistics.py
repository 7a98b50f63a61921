"""Statistics against closed forms, against SciPy, and by simulation: levels are held, intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbench.core.errors import InputError
from benchbench.results.statistics import (
    Floats,
    difference,
    difference_from_intervals,
    holm,
    interquartile_mean,
    iqm_difference,
    probability_of_improvement,
    seeds_needed,
    smallest_p,
    stratified_bootstrap,
    t_power,
)

DRAWS = 1_000
values = st.floats(-100, 100).map(lambda x: round(x, 3))


def within_binomial_error(hits: float, rate: float, draws: int = DRAWS) -> bool:
    """Whether a count can come from `rate`: 3.5 standard deviations, odds of 1 in 2,000 to miss by chance (and the
    draws are seeded, so that a test which passed once passes always)."""
    return bool(abs(hits - rate * draws) <= 3.5 * math.sqrt(draws * rate * (1 - rate)))


# -- differences over seeds ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(values, values), min_size=2, max_size=8))
def test_paired_t_is_scipys(pairs: list[tuple[float, float]]) -> None:
    """`scipy.stats.ttest_rel` and its interval, to rounding (1e-9)."""
    a, b = np.array(pairs).T
    if np.ptp(a - b) < 1e-6:
        return
    ours, theirs = difference(a, b, paired=True), stats.ttest_rel(a, b)
    interval = theirs.confidence_interval()
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (ours.value, ours.low, ours.high) == pytest.approx(((a - b).mean(), *interval), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.lists(values, min_size=2, max_size=14, unique=True), st.integers(1, 13))
def test_mann_whitney_is_scipys(pool: list[float], n: int) -> None:
    """`scipy.stats.mannwhitneyu(method="exact")`, which knows no ties; another recursion than ours (1e-9)."""
    a, b = pool[: min(n, len(pool) - 1)], pool[min(n, len(pool) - 1) :]
    ours = difference(a, b, paired=False)
    assert ours.p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)
    assert ours.low <= ours.value <= ours.high
    if len({round(x - y, 6) for x in a for y in b} & {0.0}) == 0:
        assert (ours.p < 0.05) == (not ours.low <= 0 <= ours.high)


def test_mann_whitney_with_ties_is_the_permutation_test() -> None:
    """SciPy's own enumeration of all 252 splits; midranks, so that the statistic has half steps (1e-12)."""
    a, b = [1.0, 2.0, 2.0, 3.0, 5.0], [2.0, 3.0, 4.0, 5.0, 5.0]
    theirs = stats.mannwhitneyu(a, b, method=stats.PermutationMethod(n_resamples=1000)).pvalue
    assert difference(a, b, paired=False).p == pytest.approx(theirs, rel=1e-12)


def test_many_seeds_take_the_normal_limit() -> None:
    """60 against 60: SciPy's exact p and ours agree to 1%, and the interval has the width that the shift of two
    normal samples has in theory, 2 × 1.96 × √(2/60) / √(3/π), within 20% (one draw)."""
    x, y = np.random.default_rng(0).normal(size=(2, 60))
    found = difference(x + 0.4, y, paired=False)
    assert found.p == pytest.approx(stats.mannwhitneyu(x + 0.4, y, method="exact").pvalue, rel=0.01)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(2 / 60 * math.pi / 3), rel=0.2)


@pytest.mark.parametrize(("n", "p"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252)])
def test_the_smallest_p_of_separated_seeds(n: int, p: float) -> None:
    """Of C(2n, n) splits two are as extreme. With 5 against 5 that is 0.0079 two-sided; 0.004 is one side."""
    found = difference(range(n), range(100, 100 + n), paired=False)
    assert found.p == pytest.approx(p, rel=1e-12)
    assert smallest_p(n, n) == pytest.approx(p, rel=1e-12)
    assert found.value == -100
    assert math.isinf(found.low) == (n == 3)  # no interval of 95% exists below 4 against 4
    assert f"{p:.2g}" in found.method


def test_hodges_lehmann_by_hand() -> None:
    """4 against 4, all 16 differences written down: median of them, and the outermost ones as the interval, for
    P(U <= 0) = 1/70 <= 0.025 < P(U <= 1) = 2/70."""
    found = difference([10, 11, 12, 13], [1, 2, 3, 4], paired=False)
    assert (found.value, found.low, found.high) == (9, 6, 12)


def test_equal_differences_have_no_t() -> None:
    """Without spread the sign-flip test remains: p = 2 / 2^n, and no bound while that exceeds 0.05."""
    three = difference([2, 3, 4], [1, 2, 3], paired=True)
    assert (three.value, three.low, three.high, three.p) == (1, -math.inf, math.inf, 0.25)
    six = difference(np.arange(6) + 1, np.arange(6), paired=True)
    assert (six.low, six.high, six.p) == (1, 1, 2 / 64)
    same = difference([2, 3], [2, 3], paired=True)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("a", "b", "paired", "sentence"),
    [
        ([], [1.0], False, "one finite number a seed"),
        ([math.nan], [1.0], False, "one finite number a seed"),
        ([[1.0]], [1.0], False, "one finite number a seed"),
        ([1.0], [2.0], True, "two seeds or more"),
        ([1.0, 2.0], [2.0], True, "as many values on both sides, not 2 and 1"),
    ],
)
def test_impossible_samples_are_named(a: list[float], b: list[float], paired: bool, sentence: str) -> None:
    """One sentence each."""
    with pytest.raises(InputError, match=sentence):
        difference(a, b, paired)


# -- one run each ----------------------------------------------------------------------------------------------


def test_symmetric_intervals_give_the_normal_test() -> None:
    """Half widths 3 and 4: the difference has 5, and a z of 1.96 × 5 / 5 at a distance of 5, so p = 0.05."""
    found = difference_from_intervals((15, 12, 18), (10, 6, 14))
    assert (found.value, found.low, found.high) == pytest.approx((5, 0, 10), abs=1e-12)
    assert found.p == pytest.approx(0.05, rel=1e-12)


def test_asymmetric_intervals_stay_so() -> None:
    """Zou & Donner's formula by hand: 5 − √(1² + 4²), 5 + √(2² + 1²). Swapping the sides mirrors everything."""
    found = difference_from_intervals((15, 14, 17), (10, 9, 14))
    assert (found.low, found.high) == pytest.approx((5 - math.sqrt(17), 5 + math.sqrt(5)))
    mirrored = difference_from_intervals((10, 9, 14), (15, 14, 17))
    assert (mirrored.value, mirrored.low, mirrored.high) == pytest.approx((-5, -found.high, -found.low))
    assert mirrored.p == pytest.approx(found.p)


def test_intervals_without_width() -> None:
    """Equal is equal, and different is different."""
    assert difference_from_intervals((1, 1, 1), (1, 1, 1)).p == 1
    assert difference_from_intervals((2, 2, 2), (1, 1, 1)).p == 0


def test_an_interval_beside_its_value_is_refused() -> None:
    """It would make a negative half width."""
    with pytest.raises(InputError, match=r"\[2, 3\] is no interval around 1"):
        difference_from_intervals((1, 2, 3), (1, 0, 2))


# -- families and power ----------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    """Sorted 0.005, 0.01, 0.03, 0.04 by 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 raised to 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([]).tolist() == []
    with pytest.raises(InputError, match="between 0 and 1"):
        holm([math.nan])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_rejects_what_stepping_down_rejects(p: list[float]) -> None:
    """The textbook procedure: compare the k-th smallest of m with 0.05 / (m − k + 1), stop at the first failure."""
    rejected = [False] * len(p)
    for k, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - k) > 0.05:
            break
        rejected[i] = True
    assert (holm(p) <= 0.05).tolist() == rejected


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
    assert [seeds_needed(d, paired=False) for d in (1.0, 0.8, 0.5)] == [17, 26, 64]


def test_seeds_needed_at_the_ends() -> None:
    """One fewer is not enough; ranks need 4 a side to reach 0.05; seeds without spread need 2^(1-n) <= 0.05."""
    n = seeds_needed(1.2, paired=True, alpha=0.01)
    assert n is not None
    assert t_power(1.2, n, True, 0.01) >= 0.8 > t_power(1.2, n - 1, True, 0.01)
    assert seeds_needed(50, paired=False) == 4
    assert seeds_needed(math.inf, paired=True) == 6
    assert seeds_needed(0, paired=True) is None


# -- aggregates ------------------------------------------------------------------------------------------------


def test_interquartile_mean_closed_forms() -> None:
    """Of 0..7 it is the mean of 2..5; of anything it is `scipy.stats.trim_mean(x, 0.25)`."""
    assert float(interquartile_mean(range(8))) == 3.5
    for n in range(1, 12):
        x = np.random.default_rng(n).normal(size=(3, n))
        np.testing.assert_allclose(interquartile_mean(x), stats.trim_mean(x, 0.25, axis=1), rtol=1e-12)


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
    first = stratified_bootstrap(iqm_difference, a, b, [True] * 3)
    assert first == stratified_bootstrap(iqm_difference, a, b, [True] * 3)
    assert first != stratified_bootstrap(iqm_difference, a, b, [True] * 3, seed=1)
    with pytest.raises(InputError, match="two seeds or more of every unit"):
        stratified_bootstrap(iqm_difference, [[1.0]], [[1.0, 2.0]], [False])


def test_pairs_draw_the_same_seeds() -> None:
    """a = b + 1 in every seed: in pairs the difference is 1 in every draw, and apart it is not."""
    b = np.random.default_rng(0).normal(size=(4, 5))
    assert stratified_bootstrap(iqm_difference, b + 1, b, [True] * 4) == pytest.approx((1, 1))
    low, high = stratified_bootstrap(iqm_difference, b + 1, b, [False] * 4)
    assert high - low > 0.1


# -- simulation ------------------------------------------------------------------------------------------------


def draws(n: int, shift: float, *, seed: int, shared: float = 0.0) -> tuple[Floats, Floats]:
    """(DRAWS, n) normal values of either side; a is `shift` higher, and `shared` is what a seed does to both."""
    rng = np.random.default_rng(seed)
    common = shared * rng.normal(size=(DRAWS, n))
    return rng.normal(size=(DRAWS, n)) + common + shift, rng.normal(size=(DRAWS, n)) + common


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_paired_test_holds_its_level_and_covers(n: int) -> None:
    """Normal values that share a part: a true difference of 0 is rejected in 5% of 1,000 draws, and an interval
    covers a true difference of 1 in 95%, each within binomial error."""
    null = [difference(a, b, paired=True) for a, b in zip(*draws(n, 0, seed=n, shared=2), strict=True)]
    assert within_binomial_error(sum(found.p <= 0.05 for found in null), 0.05)
    shifted = [difference(a, b, paired=True) for a, b in zip(*draws(n, 1, seed=n + 9, shared=2), strict=True)]
    assert within_binomial_error(sum(found.low <= 1 <= found.high for found in shifted), 0.95)


@pytest.mark.parametrize(("n", "level"), [(3, 0.0), (4, 2 / 70), (5, 8 / 252)])
def test_the_unpaired_test_holds_its_level_and_covers(n: int, level: float) -> None:
    """Exact: of the C(2n, n) equally likely splits those with p <= 0.05 are 0 of 20, 2 of 70 and 8 of 252 (U <= 2
    has 1 + 1 + 2 splits), and the interval covers in all others. Any continuous distribution will do: exponential."""
    rng = np.random.default_rng(n)
    a, b = rng.exponential(size=(2, DRAWS, n))
    found = [difference(x + 1, y, paired=False) for x, y in zip(a, b, strict=True)]
    assert within_binomial_error(sum(one.low <= 1 <= one.high for one in found), 1 - level)
    null = [difference(x, y, paired=False).p for x, y in zip(a, b, strict=True)]
    assert within_binomial_error(sum(p <= 0.05 for p in null), level)


def test_the_test_from_intervals_holds_its_level_and_covers() -> None:
    """Two normal numbers with standard errors 1 and 2, each with its exact interval: 5% and 95% of 1,000 draws."""
    half, noise = stats.norm.ppf(0.975), np.random.default_rng(0).normal(size=(DRAWS, 2)) * [1, 2]
    found = [
        difference_from_intervals((x, x - half, x + half), (y, y - 2 * half, y + 2 * half)) for x, y in noise
    ]
    assert within_binomial_error(sum(one.p <= 0.05 for one in found), 0.05)
    assert within_binomial_error(sum(one.low <= 0 <= one.high for one in found), 0.95)


def test_holm_holds_the_level_of_the_family() -> None:
    """Ten true nulls, independent: at least one false rejection in 1 − (1 − 0.005)^10 = 4.9% of 1,000 families."""
    p = np.random.default_rng(3).uniform(size=(DRAWS, 10))
    assert within_binomial_error(sum((holm(family) <= 0.05).any() for family in p), 1 - 0.995**10)


def test_the_power_is_what_is_promised() -> None:
    """The seeds that `seeds_needed` asks for find the difference in 80% of 1,000 draws, or a little more as seeds
    are whole: the exact power at that number, within binomial error."""
    n = seeds_needed(1.0, paired=True)
    assert n is not None
    a, b = draws(n, math.sqrt(2), seed=5)  # differences have a standard deviation of √2
    hits = sum(difference(x, y, paired=True).p <= 0.05 for x, y in zip(a, b, strict=True))
    assert within_binomial_error(hits, t_power(1.0, n, True))


@pytest.mark.parametrize("paired", [True, False])
def test_the_stratified_bootstrap_covers(paired: bool) -> None:
    """Six units of three seeds: 95% intervals of both aggregates cover the truth in 95% of 1,000 draws, within
    binomial error. Truth: the shift, and P(N(1/2, 1) > N(0, 1)) = Φ(1/√8). (Leaving out the bootknife, the interval
    of the mean difference in pairs covers 87%.)"""
    rng = np.random.default_rng(11)
    truth = {iqm_difference: 0.5, probability_of_improvement: float(stats.norm.cdf(0.5 / math.sqrt(2)))}
    hits = dict.fromkeys(truth, 0)
    for draw in range(DRAWS):
        a, b = rng.normal(size=(2, 6, 3))
        for statistic, true in truth.items():
            low, high = stratified_bootstrap(statistic, a + 0.5, b, [paired] * 6, resamples=300, seed=draw)
            hits[statistic] += low <= true <= high
    assert all(within_binomial_error(count, 0.95) for count in hits.values()), hits
