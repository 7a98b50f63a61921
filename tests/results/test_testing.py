"""The engine behind every claim: against SciPy, against closed forms, and by simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from benchbench.core.errors import InputError
from benchbench.core.scales import Range, Scale, from_scale, to_scale
from benchbench.results.claims.numbers import Asked, Number, Unit
from benchbench.results.claims.spread import CAUTION, LEAST, Pool, spreads
from benchbench.results.claims.testing import (
    ONE_RUN,
    Difference,
    counted,
    difference,
    estimated,
    holm,
    over_seeds,
    seeds_interval,
    within_run,
)

Z = float(stats.norm.ppf(0.975))
SHARE: dict[str, Any] = {"scale": "arcsine", "ends": (0.0, 1.0)}
LOG: dict[str, Any] = {"scale": "log", "ends": (0.0, None)}
PLAIN: dict[str, Any] = {"scale": "linear", "ends": (None, None)}


def number(values: Sequence[float], first: int = 0, **facts: Any) -> Number:
    """One value a seed, counted from `first`; a positive distance unless something else is said."""
    by_seed = {seed: float(value) for seed, value in enumerate(values, first)}
    if isinstance(half := facts.pop("half", None), float):
        facts["intervals"] = {seed: (value - half, value + half) for seed, value in by_seed.items()}
    return Number(by_seed, **{**LOG, **facts})


def found(a: Number, b: Number, **how: Any) -> Difference:
    """The difference, which is there."""
    one = difference(a, b, **how)
    assert one is not None
    return one


A, B = [10.0, 11.0, 12.5, 11.5, 10.5], [20.0, 26.5, 22.0, 17.0, 20.5]


# -- two models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(A, B), (A, [*B, 24.0, 19.0]), (A, [x / 2 for x in B])])
def test_two_models_with_five_seeds_are_welchs(a: list[float], b: list[float]) -> None:
    """`scipy.stats.ttest_ind(equal_var=False)` of the logarithms and its interval, moved back from B's geometric
    mean; equal seeds are no pairs. Another road to the same formulas: rounding alone, 1e-9."""
    expected = stats.ttest_ind(np.log(a), np.log(b), equal_var=False)
    one = found(number(a), number(b))
    assert one.p == pytest.approx(expected.pvalue, rel=1e-9)
    here = stats.gmean(b)
    interval = [here * math.exp(end) - here for end in expected.confidence_interval()]
    assert (one.low, one.high) == pytest.approx(interval, rel=1e-9)
    assert one.value == pytest.approx(np.mean(a) - np.mean(b), rel=1e-12)
    assert one.degrees == pytest.approx(expected.df, rel=1e-9)
    assert one.method == f"t test, {len(a)} against {len(b)} seeds"


def test_a_side_may_not_need_the_pool() -> None:
    """With five seeds a side others' spread is not asked: the same answer with and without them."""
    pool = Pool.of([number(A), number(B), *(number([x, 3 * x, 9 * x]) for x in (1, 2, 3))])
    assert found(number(A), number(B), pool=pool) == found(number(A), number(B))


def smyth(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """(s0², d0) of Smyth 2004, section 6.2, from logarithms of `groups`, by root finding in place of Newton's steps."""
    variances = np.array([np.var(np.log(group), ddof=1) for group in groups])
    degrees = np.array([len(group) - 1.0 for group in groups])
    variances = np.maximum(variances, LEAST * variances.mean())
    e = np.log(variances) - special.digamma(degrees / 2) + np.log(degrees / 2)
    cautious = e.var(ddof=1) * (1 + CAUTION * math.sqrt(2 / (len(groups) - 1)))
    beyond = cautious - special.polygamma(1, degrees / 2).mean()
    d0 = degrees.sum()
    if beyond > 0:
        root = optimize.brentq(lambda x: special.polygamma(1, x) - beyond, 1e-3, 1e6)
        d0 = min(2 * root, d0)
    return float(np.exp(e.mean() + special.digamma(d0 / 2) - np.log(d0 / 2))), float(d0)


@pytest.mark.parametrize("scatter", [0.0, 0.3, 1.5])
def test_few_seeds_are_pooled_with_four_other_models(scatter: float) -> None:
    """Three seeds a side: each side's variance is Smyth's posterior, (d0 s0² + 2 s²)/(d0 + 2), with d0 + 2 degrees of
    freedom, s0 and d0 from the other four; the error and Welch's degrees follow. scatter: how much those differ.
    1e-6: our trigamma is inverted to 1e-8."""
    rng = np.random.default_rng(0)
    others = [100 * np.exp(0.1 * math.exp(scatter * rng.normal()) * rng.normal(size=3)) for _ in range(4)]
    a, b = A[:3], B[:3]
    pool = Pool.of([number(a), number(b), *map(number, others)])
    one = found(number(a), number(b), pool=pool)
    s0, d0 = smyth(others)
    parts = [(d0 * s0 + 2 * np.var(np.log(side), ddof=1)) / (d0 + 2) / 3 for side in (a, b)]
    assert one.error == pytest.approx(math.sqrt(sum(parts)), rel=1e-6)
    assert one.degrees == pytest.approx(sum(parts) ** 2 / sum(x**2 / (d0 + 2) for x in parts), rel=1e-6)
    shift = np.log(a).mean() - np.log(b).mean()
    assert one.p == pytest.approx(2 * stats.t.sf(abs(shift) / one.error, one.degrees), rel=1e-6)
    assert one.method == "t test, 3 against 3 seeds, spread pooled with 4 models"


def test_models_that_scatter_alike_are_worth_all_their_degrees_and_others_fewer() -> None:
    """Four models of one variance say 8 degrees of freedom, the most they can; four whose variances differ by ten times
    a step say less than the two of a single one."""
    alike = Pool.of([number([x, x * 1.1, x * 1.2]) for x in (1, 2, 3, 4)]).prior("log", (0.0, None))
    apart = Pool.of([number([1, 1 + 10.0**-k, 1 - 10.0**-k]) for k in (1, 2, 3, 4)]).prior("log", (0.0, None))
    assert alike is not None
    assert apart is not None
    assert alike.degrees == 8
    assert apart.degrees < 2


def test_a_run_that_collapsed_is_no_scatter() -> None:
    """Three models; one has a dead seed among its three, which the pool leaves out: its other two runs remain, and
    a model of which one run is left says nothing."""
    dead = number([3.4, 92.0, 3.6], collapsed=(1,))
    gone = number([1.0, 2.0], collapsed=(0,))
    pool = Pool.of([dead, gone, number([2.0, 2.1, 2.2])])
    assert pool.groups == ((2.0, 2.1, 2.2), (3.4, 3.6))


def test_a_pool_needs_two_models_and_leaves_controls_out() -> None:
    """One other model tells nothing of how models differ; a control is no training; the same runs count once."""
    one, two = number([1.0, 1.1, 1.3]), number([2.0, 2.3, 2.1])
    control = number([5.0, 9.0, 7.0], control=True)
    assert Pool.of([one, one, control]).groups == ((1.0, 1.1, 1.3),)
    assert Pool.of([one, control]).prior("log", (0.0, None)) is None
    both = Pool.of([one, two]).prior("log", (0.0, None))
    assert both is not None
    assert both.n_models == 2
    assert Pool.of([one, two]).prior("log", (0.0, None), without=[two.values]) is None
    # A model that stands at 0 has no logarithm, and says nothing there.
    assert Pool.of([one, number([0.0, 1.0])]).prior("log", (0.0, None)) is None


def test_spreads_are_of_one_dataset_question_and_set_of_conditions() -> None:
    """FD on digits at 1,000 images learns from nothing but FD on digits at 1,000 images."""
    fd, made = Asked("generation", "", "fd"), (("n_images", "1000"),)
    own, other = number([1.0, 1.1], conditions=made), number([2.0, 2.1], conditions=made)
    elsewhere = number([3.0, 3.1], conditions=(("n_images", "5000"),))
    vae, gan = Unit("digits", "vae", ""), Unit("digits", "gan", "")
    pools = spreads(
        [
            {
                vae: {fd: [own]},
                gan: {fd: [other, elsewhere]},
                Unit("mnist", "vae", ""): {fd: [number([9.0, 9.9])]},
            }
        ]
    )
    assert pools(vae, fd, own).groups == ((1.0, 1.1), (2.0, 2.1))
    assert pools(vae, Asked("generation", "", "kd"), own).groups == ()


def test_a_side_with_one_run_borrows_the_spread_of_the_other() -> None:
    """By hand: of log values 1, 2, 3 the mean is 2 and s is 1, so that t = (6 − 2)/√(1 + 1/3) = 2√3 with 2 degrees of
    freedom, whose upper tail is 1/2 − t/(2√(2 + t²)) = 1/2 − √(3/14), twice."""
    several, single = number(np.exp([1, 2, 3]).tolist()), number([math.exp(6)], first=7)
    for same_model in (False, True):
        assert found(single, several, same_model=same_model).p == pytest.approx(2 * (0.5 - (3 / 14) ** 0.5))


# -- the floor -------------------------------------------------------------------------------------------------


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95% interval (1927), whose one end is exact where all or none of n have it."""
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return (middle - half if share > 0 else 0.0), (middle + half if share < 1 else 1.0)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.4])
def test_seeds_that_agree_do_not_show_that_there_is_no_noise(share: float) -> None:
    """Three runs at the very same share, three at another: the spread is that within a run. On the arcsine scale half
    of Wilson's interval over Z, and that is near 1/(2√n), the standard error of a share there, also at 0 and 1 (its one
    side there is (asin √(Z²/(n + Z²)))/2 ≈ Z/(2√n); 5% at n = 200)."""
    n, other = 200, 0.5
    a, b = (number([x] * 3, intervals=dict.fromkeys(range(3), wilson(x, n)), **SHARE) for x in (share, other))
    widths = [np.ptp(np.arcsin(np.sqrt(wilson(x, n)))) / 2 / Z for x in (share, other)]
    one = found(a, b)
    assert one.error == pytest.approx(math.sqrt(sum(w**2 for w in widths) / 3), rel=1e-9)
    assert within_run(a, "arcsine") == pytest.approx(1 / (4 * n), rel=0.1)
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.p < 0.05


def test_the_spread_over_seeds_counts_where_it_is_larger() -> None:
    """Intervals of ±0.01 around seeds that differ by ones change nothing; of ±10 they are the spread: with 1.96
    standard errors each, (10/1.96)² a run, by hand."""
    values = [10.0, 11.0, 12.0, 13.0, 14.0]
    other = [20.0, 21.0, 22.0, 23.0, 24.0]
    narrow = found(number(values, half=0.01, **PLAIN), number(other, half=0.01, **PLAIN))
    assert narrow.p == found(number(values, **PLAIN), number(other, **PLAIN)).p
    wide = found(number(values, half=10.0, **PLAIN), number(other, half=10.0, **PLAIN))
    assert wide.error == pytest.approx(10 / Z * math.sqrt(2 / 5), rel=1e-12)


def test_a_zero_among_positive_values_moves_to_the_root() -> None:
    """No logarithm there: the square root, on which the t test is SciPy's."""
    a, b = [0.0, 1.0, 4.0, 2.0, 3.0], [9.0, 16.0, 10.0, 12.0, 11.0]
    one = found(number(a), number(b))
    assert one.scale == "sqrt"
    assert one.p == pytest.approx(stats.ttest_ind(np.sqrt(a), np.sqrt(b), equal_var=False).pvalue, rel=1e-9)
    assert one.low >= -max(b)


# -- controls and single runs ----------------------------------------------------------------------------------


def test_a_control_is_as_sure_as_one_of_its_runs() -> None:
    """`real` hands out the same images under every seed: three of its runs, or thirty, are one. By hand on the log
    scale: its half width over Z, beside the variance of five seeds over five; Welch's degrees with one part known."""
    trained = number(B)
    real = [
        number([12.6] * n, control=True, intervals=dict.fromkeys(range(n), (11.5, 13.8))) for n in (1, 3, 30)
    ]
    error = math.hypot(math.log(13.8 / 11.5) / 2 / Z, np.std(np.log(B), ddof=1) / math.sqrt(5))
    for control in real:
        one = found(control, trained)
        assert one.error == pytest.approx(error, rel=1e-9)
        part = np.var(np.log(B), ddof=1) / 5
        assert one.degrees == pytest.approx(4 * (error**2 / part) ** 2, rel=1e-9)
        assert one.p == found(trained, control).p


def test_two_controls_go_by_their_intervals() -> None:
    """`real` at a precision of 0.90 and `noise` at 0, three equal runs each: decided, by the normal distribution on the
    scale; without any interval what they say is certain, and without any difference it is none."""
    real = number([0.9] * 3, control=True, intervals=dict.fromkeys(range(3), wilson(0.9, 500)), **SHARE)
    noise = number([0.0] * 3, control=True, intervals=dict.fromkeys(range(3), wilson(0.0, 500)), **SHARE)
    one = found(real, noise)
    widths = [np.ptp(np.arcsin(np.sqrt(wilson(x, 500)))) / 2 / Z for x in (0.9, 0.0)]
    assert one.p == pytest.approx(
        2 * stats.norm.sf(math.asin(math.sqrt(0.9)) / math.hypot(*widths)), rel=1e-9
    )
    assert one.p < 1e-6
    bare = number([0.9] * 3, control=True, **SHARE)
    assert found(bare, number([0.0] * 3, control=True, **SHARE)).p == 0
    assert found(bare, number([0.9] * 3, first=5, control=True, **SHARE)).p == 1


def test_a_control_without_an_interval_scatters_as_its_seeds() -> None:
    """`noise` redraws its images, and states no interval: the variance of its runs with their degrees of freedom, not
    divided by their number. Welch's formula by hand."""
    control = [5.0, 6.0, 5.5]
    one = found(number(A), number(control, control=True))
    parts = [np.var(np.log(A), ddof=1) / 5, np.var(np.log(control), ddof=1)]
    assert one.error == pytest.approx(math.sqrt(sum(parts)), rel=1e-9)
    assert one.degrees == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 2), rel=1e-9)


def test_one_run_each_speaks_of_images() -> None:
    """The z test of two samples: half widths of 3 and 4 give 5 for the difference, so that 5 apart is p = 0.05."""
    one = found(number([15], half=3.0, **PLAIN), number([10], first=3, half=4.0, **PLAIN))
    assert (one.kind, one.degrees) == ("images", math.inf)
    assert (one.low, one.high) == pytest.approx((0, 10), abs=1e-9)
    assert one.p == pytest.approx(0.05, rel=1e-9)
    assert not one.within(1e9)  # of other seeds nothing is known
    # The same on the scale of a distance, by hand.
    x, y = (number([v], intervals={0: (v / 1.2, v * 1.2)}) for v in (15.0, 10.0))
    z = math.log(1.5) / (math.log(1.2) / Z * math.sqrt(2))
    assert found(x, y).p == pytest.approx(2 * stats.norm.sf(z), rel=1e-9)


@pytest.mark.parametrize("same_model", [True, False])
def test_one_run_without_an_interval_says_nothing(same_model: bool) -> None:
    """Far apart, close, or equal: nothing tells how sure that is. A re-run of one model with equal numbers is equal."""
    for b in (99.0, 12.5):
        assert difference(number([12.6]), number([b]), same_model=same_model) is None
    again = difference(number([12.5]), number([12.5]), same_model=same_model)
    assert (again is not None) == same_model
    assert again is None or (again.kind, again.within(0.0)) == ("equal", True)


def test_one_run_before_and_after_by_the_spread_of_other_models() -> None:
    """Two other models tell how seeds scatter: a change of one run a side is tested with their mean variance, which is
    worth what Smyth's prior is, and 3 degrees of freedom at least."""
    others = [[100.0, 120.0, 110.0], [50.0, 61.0, 55.0]]
    pool = Pool.of(map(number, others))
    one = found(number([15.0]), number([10.0]), same_model=True, pool=pool)
    _, d0 = smyth(others)
    mean = np.mean([np.var(np.log(values), ddof=1) for values in others])
    assert (one.kind, one.degrees) == ("seeds", pytest.approx(max(d0, ONE_RUN), rel=1e-6))
    assert one.p == pytest.approx(2 * stats.t.sf(math.log(1.5) / math.sqrt(2 * mean), one.degrees), rel=1e-6)


@pytest.mark.parametrize(
    ("b", "scale", "ends", "spread"),
    [
        (10.0, "log", (0.0, None), math.log(1.15)),
        (0.5, "arcsine", (0.0, 1.0), math.asin(math.sqrt(0.575)) - math.asin(math.sqrt(0.5))),
        # 15% more than 0.95 is no share: 15% less.
        (0.95, "arcsine", (0.0, 1.0), math.asin(math.sqrt(0.95)) - math.asin(math.sqrt(0.8075))),
        # The other side is 0, so that there is no logarithm.
        (4.0, "log", (0.0, None), 2 * math.sqrt(1.15) - 2),
    ],
)
def test_an_assumed_spread(b: float, scale: Scale, ends: Range, spread: float) -> None:
    """15% of B's value, on the scale, by hand, for either side: the error is √2 times that."""
    a = 0.0 if b == 4.0 else b * 0.9
    one = found(
        number([a], scale=scale, ends=ends),
        number([b], scale=scale, ends=ends),
        same_model=True,
        pool=Pool((), 0.15),
    )
    assert one.error == pytest.approx(math.sqrt(2) * spread, rel=1e-9)
    assert one.method.endswith("taken to be 15%")


# -- one model before and after --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 5, 8])
def test_other_seeds_before_and_after_are_students(n: int) -> None:
    """One model has one spread: `scipy.stats.ttest_ind` with equal variances, 2n − 2 degrees of freedom (not
    Satterthwaite's of two estimates, which were one and counted twice)."""
    x, y = np.exp(np.random.default_rng(n).normal(3, 0.1, size=(2, n)))
    one = found(number(x.tolist()), number(y.tolist(), first=50), same_model=True)
    expected = stats.ttest_ind(np.log(x), np.log(y))
    assert one.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert one.degrees == pytest.approx(2 * n - 2, rel=1e-12)
    assert f"{n} against {n} seeds" in one.method


def test_seeds_are_paired_only_where_they_go_together() -> None:
    """The seed decides nearly everything: `scipy.stats.ttest_rel` of the logarithms. The same values under shuffled
    seeds are not correlated, and no pairs; neither are two models, however they correlate."""
    before = np.array([10.0, 14.0, 19.0, 12.0, 16.0])
    after = before * [1.05, 1.06, 1.05, 1.04, 1.06]
    a, b = number(after.tolist()), number(before.tolist())
    one = found(a, b, same_model=True)
    expected = stats.ttest_rel(np.log(after), np.log(before))
    assert one.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert one.method.startswith("paired t over 5 seeds")
    here = stats.gmean(before)
    interval = [here * math.exp(end) - here for end in expected.confidence_interval()]
    assert (one.low, one.high) == pytest.approx(interval, rel=1e-9)
    shuffled = number(after[[2, 0, 4, 3, 1]].tolist())
    assert found(shuffled, b, same_model=True).p == pytest.approx(
        stats.ttest_ind(np.log(after), np.log(before)).pvalue, rel=1e-9
    )
    assert found(a, b).method == "t test, 5 against 5 seeds"
    # Other seeds, the same values: nothing pairs them.
    assert "paired" not in found(a, number(before.tolist(), first=7), same_model=True).method


def test_a_seed_effect_that_does_not_help_is_left_alone() -> None:
    """Seeds go together, but the differences scatter more than the pool says of the values: the pool is the better
    answer. By hand: b = 10 a on the log scale, so that a − b has nine tenths of b's spread."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    pool = Pool.of([number(np.exp([5, 5 + d, 5 - d]).tolist()) for d in (1e-3, 1.1e-3, 0.9e-3, 1e-3)])
    one = found(number(np.exp(x / 10).tolist()), number(np.exp(x).tolist()), same_model=True, pool=pool)
    assert "paired" not in one.method


@pytest.mark.parametrize("first", [0, 9], ids=["same seeds", "other seeds"])
def test_equal_in_every_seed_is_evidence(first: int) -> None:
    """Two models with ten modes in every one of five runs, and no noise stated: of C(10, 5) = 252 orders none is less
    alike; nothing says that they differ, and five a side would have shown any difference (2/252). Three a side would
    not (2/20), and claim nothing. One model again under the same seeds is the same runs, whose number is certain."""
    ten = number([10.0] * 5, **PLAIN)
    one = found(ten, number([10.0] * 5, first, **PLAIN))
    assert (one.p, one.kind, one.value) == (1, "equal", 0)
    assert one.within(0.1)
    assert one.detectable(0.025, True) == 0
    assert one.detectable(0.001, True) is None
    three = found(number([10.0] * 3, **PLAIN), number([10.0] * 3, first, **PLAIN))
    assert (three.p, three.kind) == (1, "equal")
    assert three.detectable(0.025, True) is None
    assert not three.within(0.1)
    if not first:
        again = found(ten, ten, same_model=True)
        assert (again.p, again.low, again.high, again.kind) == (1, 0, 0, "equal")
        assert again.within(0.0)


def test_equal_in_every_seed_is_bounded_by_the_noise() -> None:
    """Two models at a precision of 0 in three runs of 500 images: no difference, and not more than noise allows. The
    upper bound is that of the t test by hand; the width within which they are equal too."""
    zero = number([0.0] * 3, intervals=dict.fromkeys(range(3), wilson(0.0, 500)), **SHARE)
    one = found(zero, zero)
    error = math.asin(math.sqrt(wilson(0.0, 500)[1])) / 2 / Z * math.sqrt(2 / 3)
    assert (one.p, one.kind, one.error) == (1, "equal", pytest.approx(error, rel=1e-9))
    assert one.high == pytest.approx(math.sin(stats.t.ppf(0.975, one.degrees) * error) ** 2, rel=1e-9)
    edge = math.sin(stats.t.ppf(0.95, one.degrees) * error) ** 2
    assert one.within(edge * 1.001)
    assert not one.within(edge * 0.999)


def test_all_runs_of_a_side_agree() -> None:
    """Ten modes in each of three runs and nine in each of three others, no noise stated: by permutation p is 2/20 and
    no interval of 95% exists; with five a side it is 2/252."""
    three = found(number([10.0] * 3, **PLAIN), number([9.0] * 3, 3, **PLAIN), same_model=True)
    assert (three.p, three.low, three.high) == (pytest.approx(0.1), -math.inf, math.inf)
    assert not three.within(5.0)
    assert three.detectable(0.05, False) == 0
    assert three.detectable(0.025, False) is None
    five = found(number([10.0] * 5, **PLAIN), number([9.0] * 5, **PLAIN))
    assert (five.p, five.low, five.high) == (pytest.approx(2 / 252), 1, 1)


def test_rounding_is_no_difference() -> None:
    """Every seed moved by 1e-8 of its value, as another library may: the paired t test alone would find that."""
    moved = [x * (1 + 1e-8) for x in A]
    assert stats.ttest_rel(A, moved).pvalue < 0.01
    for same_model in (True, False):
        one = found(number(A), number(moved), same_model=same_model)
        assert (one.p, one.kind) == (1, "equal")


def test_numbers_that_are_none_are_refused() -> None:
    """A programming error upstream must not become a verdict."""
    with pytest.raises(InputError, match="finite numbers"):
        difference(number([math.nan]), number([1.0]))


def test_what_is_counted_is_exact() -> None:
    """Parameters: equal, up to rounding, or not."""
    assert counted(number([100]), number([100.00000001])).p == 1
    assert (counted(number([100]), number([120])).p, counted(number([100]), number([120])).value) == (0, -20)


# -- bounds, power, equivalence --------------------------------------------------------------------------------

KINDS: list[tuple[Scale, Range]] = [
    ("linear", (None, None)),
    ("linear", (0.0, 10.0)),
    ("log", (0.0, None)),
    ("log", (1.0, None)),
    ("sqrt", (None, None)),
    ("sqrt", (0.0, None)),
    ("arcsine", (0.0, 1.0)),
    ("arcsine", (-1.0, 1.0)),
]


@st.composite
def sides(draw: st.DrawFn) -> tuple[Number, Number]:
    """Two numbers of one metric: any scale, one to six seeds, at the ends of the range too, with or without intervals,
    trained or control."""
    scale, ends = draw(st.sampled_from(KINDS))
    low, high = (-50.0 if ends[0] is None else ends[0]), (50.0 if ends[1] is None else ends[1])
    value = st.one_of(st.floats(low, high), st.sampled_from([low, high]))

    def side() -> Number:
        values = draw(st.lists(value, min_size=1, max_size=6))
        halves = draw(st.one_of(st.none(), st.floats(0, 1)))
        first = draw(st.sampled_from([0, 0, 10]))
        intervals = {}
        if halves is not None:
            share = halves * (high - low)
            intervals = {
                seed: (max(low, x - share), min(high, x + share)) for seed, x in enumerate(values, first)
            }
        return number(values, first, scale=scale, ends=ends, intervals=intervals, control=draw(st.booleans()))

    return side(), side()


@pytest.mark.costly
@settings(deadline=None, max_examples=300)
@given(sides(), st.booleans(), st.sampled_from([None, 0.15]))
def test_bounds_are_possible_and_hold_the_value(
    pair: tuple[Number, Number], same_model: bool, assumed: float | None
) -> None:
    """Of every pair of numbers: p is one, the bounds hold the value, no bound says that A lies outside the metric's
    range, infinite ones only where too few runs agree, and what could be seen is a possible change of B. 1e-9:
    there and back."""
    a, b = pair
    pool = Pool.of([a, b], assumed)
    one = difference(a, b, same_model=same_model, pool=pool)
    if one is None:
        return
    assert 0 <= one.p <= 1
    assert one.low <= one.value <= one.high
    least, most = a.ends
    if one.least <= 0.05:
        edge = 1e-9 * max(1.0, *map(abs, (*a.values, *b.values)))
        if least is not None:
            assert one.low >= min(least, a.mean) - max(b.values) - edge
        if most is not None:
            assert one.high <= max(most, a.mean) - min(b.values) + edge
    here = float(from_scale(one.base, one.scale, one.ends))
    for higher in (True, False):
        seen = one.detectable(0.025, higher)
        if seen is None:
            continue
        assert seen >= 0
        moved = here + seen if higher else here - seen
        assert least is None or moved >= least - 1e-9 * max(1.0, abs(here))
        assert most is None or moved <= most + 1e-9
    other = difference(b, a, same_model=same_model, pool=Pool.of([a, b]))
    if assumed is None:  # which is a share of B
        assert other is not None
        assert other.p == pytest.approx(one.p, rel=1e-6, abs=1e-12)
        assert other.value == -one.value
        assert one.one_sided(True) == pytest.approx(other.one_sided(False), rel=1e-6, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(sides(), st.floats(1e-3, 5.0))
def test_within_is_two_one_sided_tests(pair: tuple[Number, Number], margin: float) -> None:
    """Schuirmann 1987 by p values: "A is at least B + margin" and "at most B − margin" are both rejected at 5%, each
    by the same t statistic. A margin beyond the range of the metric is never reached: there is nothing to reject."""
    a, b = pair
    one = difference(a, b)
    assume(one is not None and one.error > 0 and one.kind != "images")
    assert one is not None
    here = float(from_scale(one.base, one.scale, one.ends))
    rejected = []
    for end, sign in ((one.ends[0], -1), (one.ends[1], 1)):
        bound = here + sign * margin
        beyond = end is not None and (bound - end) * sign >= 0
        at = math.nan if beyond else float(to_scale(bound, one.scale, one.ends)) - one.base
        p = 0.0 if beyond else stats.t.cdf(sign * (one.shift - at) / one.error, one.degrees)
        rejected.append(p < 0.05)
        assume(abs(p - 0.05) > 1e-6)
    assert one.within(margin) == all(rejected)


@pytest.mark.parametrize("degrees", [0.5, 1, 2, 4, 8, 20.5, 1e6, math.inf])
@pytest.mark.parametrize("level", [0.025, 0.005, 0.0005])
def test_the_detectable_difference_has_the_power_that_is_said(degrees: float, level: float) -> None:
    """At that shift the odds are 80%. Given the sample variance s² the statistic is normal: P(Z + shift > c s), summed
    over 20,000 quantiles of s from the χ² distribution. 2e-3 is what that sum is off by in its last quantiles."""
    one = Difference(0, 0, 0, 1, "", error=1e-3, degrees=degrees, base=50.0)
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    s = np.ones(1) if math.isinf(degrees) else np.sqrt(stats.chi2.ppf(quantiles, degrees) / degrees)
    critical = stats.norm.isf(level) if math.isinf(degrees) else stats.t.isf(level, degrees)
    for higher in (True, False):
        seen = one.detectable(level, higher)
        assert seen is not None
        assert stats.norm.sf(critical * s - seen / 1e-3).mean() == pytest.approx(0.8, abs=2e-3)


def test_what_is_detectable_is_detected() -> None:
    """1,500 pairs of five seeds with a log spread of 0.1, A higher by what an error of 0.1 √(2/5) with 8 degrees of
    freedom could see at 2.5%: found in 80% of them, to 3 binomial standard errors."""
    error = 0.1 * math.sqrt(2 / 5)
    seen = Difference(0, 0, 0, 1, "", error=error, degrees=8, scale="log").detectable(0.025, True)
    assert seen is not None
    x, y = np.exp(0.1 * np.random.default_rng(0).normal(size=(2, 1500, 5)))
    p = [
        found(number(a), number(b, 50), same_model=True).one_sided(True)
        for a, b in zip((x * (1 + seen)).tolist(), y.tolist(), strict=True)
    ]
    assert np.mean(np.array(p) <= 0.025) == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / 1500))


def test_no_room_for_a_change() -> None:
    """A precision of 0.99 that is known to ±0.05 cannot rise detectably, nor can an inception score of 1.05 fall so."""
    share = found(number([0.98], half=0.05, **SHARE), number([0.985], half=0.05, **SHARE))
    assert share.detectable(0.025, True) is None
    assert share.detectable(0.025, False) is not None
    score = found(
        number([1.06], half=0.3, scale="log", ends=(1.0, None)),
        number([1.05], half=0.3, scale="log", ends=(1.0, None)),
    )
    assert score.detectable(0.025, False) is None
    assert score.detectable(0.025, True) is not None


# -- families and intervals ------------------------------------------------------------------------------------


def test_a_difference_with_its_error() -> None:
    """The t test by hand: 1.2 with an error of 0.5 and 9 degrees has p = 2 P(t > 2.4) = 0.0399 and the bounds
    1.2 ± 2.2622 × 0.5; it speaks of images, and so shows no equivalence."""
    found = estimated(1.2, 0.5, 9, "by hand")
    assert found.p == pytest.approx(2 * stats.t.sf(2.4, 9))
    assert (found.low, found.high) == pytest.approx((1.2 - 2.2621572 * 0.5, 1.2 + 2.2621572 * 0.5))
    assert found.kind == "images"
    assert not found.within(100.0)
    found_with = stats.nct.sf(stats.t.isf(0.025, 9), 9, (found.detectable(0.025, higher=True) or 0) / 0.5)
    assert found_with == pytest.approx(0.8, abs=1e-6)
    assert (estimated(0.0, 0.5, 9, "").p, estimated(0.0, 0.0, 9, "").p, estimated(1.0, 0.0, 9, "").p) == (
        1,
        1,
        0,
    )


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


def test_holm_holds_the_level_of_the_family() -> None:
    """Ten true nulls, independent: at least one false rejection in 1 − (1 − 0.005)^10 = 4.9% of 1,000 families, to 3.5
    binomial standard errors."""
    p = np.random.default_rng(3).uniform(size=(1000, 10))
    rate = 1 - 0.995**10
    hits = sum((holm(family) <= 0.05).any() for family in p)
    assert abs(hits - 1000 * rate) <= 3.5 * math.sqrt(1000 * rate * (1 - rate))


def test_the_interval_over_seeds_is_students_on_the_scale() -> None:
    """`scipy.stats.t.interval` around the logarithm of the mean, moved back; NaN where one seed tells no spread."""
    low, high = seeds_interval([20.0, 20.0], [0.04, 0.04], [4, 1], "log", (0.0, None))
    expected = stats.t.interval(0.95, 3, math.log(20), 0.2 / 2)
    assert (low[0], high[0]) == pytest.approx(np.exp(expected), rel=1e-12)
    assert np.isnan([low[1], high[1]]).all()


def test_the_interval_of_a_number() -> None:
    """Over seeds Student's; of one run, and of a control, that run's own; of nothing none."""
    low, high, said = over_seeds(number(A)) or (0, 0, "")
    half = stats.t.ppf(0.975, 4) * np.std(np.log(A), ddof=1) / math.sqrt(5)
    assert (low, high) == pytest.approx((np.mean(A) * math.exp(-half), np.mean(A) * math.exp(half)), rel=1e-9)
    assert said == "t over 5 seeds"
    assert over_seeds(number([12.0], half=1.0)) == (11.0, 13.0, "of a run")
    control = number([12.0, 12.5], control=True, intervals={0: (11.0, 13.0), 1: (11.5, 13.5)})
    assert over_seeds(control) == (11.0, 13.5, "of a run")
    assert over_seeds(number([12.0])) is None
    assert over_seeds(number([])) is None


# -- level -----------------------------------------------------------------------------------------------------

DRAWS = 1_500


def rejected(rng: np.random.Generator, n: int, others: int, first: int, same_model: bool) -> float:
    """How often a difference is found at 5% between two sets of runs of equal models, of 1,500."""
    hits = 0
    for a, b, *rest in np.exp(0.1 * rng.normal(size=(DRAWS, 2 + others, n))).tolist():
        x, y = number(a), number(b, first)
        pool = Pool.of([x, y, *map(number, rest)])
        hits += found(x, y, same_model=same_model, pool=pool).p <= 0.05
    return hits / DRAWS


@pytest.mark.costly
@pytest.mark.parametrize(
    ("n", "others", "first", "same_model"),
    [(3, 4, 0, False), (5, 0, 0, False), (3, 0, 100, True), (3, 4, 100, True), (3, 0, 0, True)],
    ids=[
        "two models, pooled",
        "two models, Welch",
        "before and after",
        "before and after, pooled",
        "same seeds",
    ],
)
def test_nothing_is_found_between_equals(n: int, others: int, first: int, same_model: bool) -> None:
    """Log values of one normal distribution: at most 5% are found, and 3 binomial standard errors (1.7 points) for the
    luck of the draw. Where seeds are the same, those that seem to go together are paired at most once in 100 pairs,
    which may add a third of a point."""
    share = rejected(np.random.default_rng(n + others), n, others, first, same_model)
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS) + (0.004 if first == 0 and same_model else 0)
