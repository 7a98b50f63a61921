"""Verdicts: right ones on numbers that are known, and the promised level on models that did not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbench.results.gate import Finding, Report, judge
from benchbench.results.gate_config import Gate, Rule
from benchbench.results.gate_match import Numbers, Pair, Question

SEEDS = {0: "same seeds", 100: "other seeds"}


def pair(
    before: Any,
    after: Any,
    *,
    higher: bool | None = False,
    metric: str = "fd",
    first_seed: int = 0,
    **sides: Any,
) -> Pair:
    """`before` and `after`: one value a seed; those of the candidate count from `first_seed`."""
    intervals = sides.pop("intervals", (None, None))
    baseline, candidate = (
        Numbers(dict(enumerate(map(float, np.atleast_1d(values)), start)), interval)
        for values, start, interval in ((before, 0, intervals[0]), (after, first_seed, intervals[1]))
    )
    aspect = sides.pop("aspect", "quality")
    question = Question("digits", "vae", "", "generation", metric)
    return Pair(question, aspect, "", higher, baseline, candidate, {"n_images": "1000"})


def one(pair: Pair, **rule: Any) -> Finding:
    """The finding for one pair under one rule."""
    (finding,) = judge([pair], Gate(default=Rule(**rule)))
    return finding


@pytest.mark.parametrize(
    ("before", "after", "higher", "rule", "verdict"),
    [
        (10, 10.4, False, {"relative": 0.05}, "ok"),
        (10, 10.6, False, {"relative": 0.05}, "regression"),
        (10, 9.4, True, {"relative": 0.05}, "regression"),
        (10, 1e6, True, {"relative": 0.0}, "ok"),
        (10, 0.1, False, {"relative": 0.0}, "ok"),
        (0.81, 0.80, True, {"absolute": 0.01}, "ok"),  # 0.81 − 0.80 > 0.01 in floating point
        (0.81, 0.7999, True, {"absolute": 0.01}, "regression"),
        (-2, -2.2, True, {"relative": 0.05}, "regression"),  # 5% of the magnitude
        (0, 1e-9, False, {"relative": 0.5}, "regression"),  # nothing is 50% of nothing
        (12.5, 12.5 * (1 + 1e-9), False, {"relative": 0.0}, "ok"),  # rounding
        (100, 100.1, False, {"absolute": 0.0}, "regression"),
        (10, 20, None, {"absolute": 0.0}, "not gated"),
        (10, 20, False, {"ignore": True}, "not gated"),
    ],
)
def test_tolerances(
    before: float, after: float, higher: bool | None, rule: dict[str, Any], verdict: str
) -> None:
    """By hand, on both sides of each tolerance and in both directions."""
    finding = one(pair(before, after, higher=higher), **rule)
    assert (finding.verdict, finding.fails) == (verdict, verdict == "regression")
    assert finding.change == pytest.approx(after - before, abs=1e-12)


def test_the_reason_says_how_much_and_what_was_allowed() -> None:
    """10 to 12.5 is 25%, by hand."""
    assert (
        one(pair(10, 12.5), relative=0.05).reason == "worse by 2.5 (25.00%), more than relative = 0.05 allows"
    )
    assert one(pair(10, 12.5, higher=True), relative=0.05).reason == "better by 2.5 (25.00%)"
    assert one(pair(10, 10), relative=0.05).reason == "unchanged"


RULES = st.one_of(
    st.builds(Rule, absolute=st.floats(0, 10)),
    st.builds(Rule, relative=st.floats(0, 1)),
    st.builds(Rule, worse_with=st.floats(0.6, 0.99)),
)
VALUES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(rule=RULES, before=VALUES, after=VALUES, higher=st.booleans(), same=st.booleans())
def test_improvements_never_fail(
    rule: Rule, before: list[float], after: list[float], higher: bool, same: bool
) -> None:
    """Whatever the rule, the values and the number of seeds: a mean that moved the right way, or not, passes."""
    example = pair(before, after, higher=higher, first_seed=0 if same else 100)
    gain = example.candidate.mean - example.baseline.mean
    finding = judge([example], Gate(default=rule))[0]
    if (gain >= 0) == higher or gain == 0:
        assert not finding.fails


def test_the_same_seeds_are_paired() -> None:
    """scipy's paired t test, one-sided for "greater" since lower is better; the interval is scipy's two-sided one.
    Another road to the same formula, so agreement to 1e-9 is rounding alone."""
    before, after = [10.0, 12.0, 15.0], [11.0, 12.5, 16.2]
    finding = one(pair(before, after), worse_with=0.95)
    expected = stats.ttest_rel(after, before, alternative="greater")
    interval = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (finding.low, finding.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert finding.verdict == "regression"
    assert finding.method == "paired t over 3 seeds"
    assert one(pair(before, after), worse_with=0.99).verdict == "ok"
    assert one(pair(before, after, higher=True), worse_with=0.95).p == pytest.approx(1 - expected.pvalue)


def test_other_seeds_are_two_samples_of_one_variance() -> None:
    """scipy's two-sample t test with equal variances, one-sided, and its interval; rounding alone."""
    before, after = [10.0, 12.0, 11.0, 12.5], [13.0, 14.5, 12.8]
    finding = one(pair(before, after, first_seed=7), worse_with=0.95)
    expected = stats.ttest_ind(after, before, alternative="greater")
    interval = stats.ttest_ind(after, before).confidence_interval(0.95)
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (finding.low, finding.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert finding.verdict == "regression"


def test_one_seed_against_several_is_a_prediction() -> None:
    """By hand: of 1, 2, 3 the mean is 2 and s is 1, so that t = (6 − 2) / sqrt(1 + 1/3) = 2 sqrt(3) with 2 degrees of
    freedom, whose upper tail is 1/2 − t / (2 sqrt(2 + t²)) = 1/2 − sqrt(3/14)."""
    finding = one(pair([1, 2, 3], 6, first_seed=7), worse_with=0.95)
    assert finding.p == pytest.approx(0.5 - (3 / 14) ** 0.5, rel=1e-9)
    assert finding.verdict == "regression"
    assert one(pair([1, 2, 3], 4, first_seed=7), worse_with=0.95).verdict == "ok"


def test_one_seed_each_goes_by_the_intervals_of_the_runs() -> None:
    """Half widths of 3 and 4 give 5 for the difference (square-and-add), so that a change of 5 is just at the edge of
    a two-sided 95% interval: one-sided p = 0.025 by the definition of that interval."""
    found = one(pair(10, 15, intervals=((7, 13), (11, 19))), worse_with=0.95)
    assert found.p == pytest.approx(0.025, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((0, 10))
    assert found.verdict == "regression"
    assert one(pair(10, 15, intervals=((7, 13), (11, 19))), worse_with=0.98).verdict == "ok"


@pytest.mark.parametrize("intervals", [(None, None), ((9, 11), None), (None, (11, 13)), ((11, 12), (11, 13))])
def test_one_seed_without_an_interval_cannot_be_told(intervals: Any) -> None:
    """No interval on a side, or one that does not hold its own value: nothing to test with, and not "ok"."""
    finding = one(pair(10, 12, intervals=intervals), worse_with=0.95)
    assert (finding.verdict, finding.fails, finding.p) == ("cannot tell", False, None)
    assert "run several seeds, or set a tolerance" in finding.reason
    assert one(pair(10, 12, intervals=intervals), relative=0.1).verdict == "regression"


@pytest.mark.parametrize("first_seed", SEEDS, ids=SEEDS.values())
def test_no_spread_over_seeds_cannot_be_told(first_seed: int) -> None:
    """Ten modes in each of three runs, now nine: by permutation the best p is 1/8 paired and 1/20 not, neither of
    them below 0.04, and a t test without spread would say 0. The right direction is simply fine."""
    finding = one(pair([10, 10, 10], [9, 9, 9], higher=True, first_seed=first_seed), worse_with=0.96)
    assert finding.verdict == "cannot tell"
    assert finding.p == pytest.approx(1 / 20 if first_seed else 1 / 8)
    better = pair([9, 9, 9], [10, 10, 10], higher=True, first_seed=first_seed)
    assert one(better, worse_with=0.96).verdict == "ok"


def test_rounding_is_no_regression() -> None:
    """Every seed moves by one part in 10⁸ the same way, nearly without spread: significant to a t test (t is over
    100 here) and meaningless."""
    before = np.array([10.0, 12.0, 15.0])
    after = before * (1 + 1e-8)
    assert stats.ttest_rel(after, before, alternative="greater").pvalue < 0.01
    finding = one(pair(before, after), worse_with=0.95)
    assert (finding.verdict, finding.p, finding.reason) == ("ok", 1.0, "unchanged, p = 1")


def test_tests_are_corrected_together_and_tolerances_are_not_counted() -> None:
    """Holm by hand: the smallest of three p values counts three times, the next twice (at least as much as the one
    before); the metric with a tolerance and the one that is ignored are no tests."""
    gate = Gate(metric={"tolerated": Rule(relative=10), "ignored": Rule(ignore=True)})
    before = [10.0, 12.0, 15.0]
    shifts = {"a": [1.0, 0.5, 1.2], "b": [1.0, 0.4, 1.0], "c": [1.0, -1.0, 1.0]}
    pairs = [pair(before, np.add(before, shift), metric=name) for name, shift in shifts.items()]
    pairs += [pair(before, [11, 13, 16.5], metric=name) for name in ("tolerated", "ignored")]
    raw = [stats.ttest_1samp(shift, 0, alternative="greater").pvalue for shift in shifts.values()]
    assert raw == sorted(raw)
    found = judge(pairs, gate)
    expected = [3 * raw[0], max(3 * raw[0], 2 * raw[1]), max(3 * raw[0], 2 * raw[1], raw[2])]
    assert [finding.p for finding in found[:3]] == pytest.approx(expected, rel=1e-6)
    assert [finding.p for finding in found[3:]] == [None, None]


DRAWS, METRICS = 1000, 3


@pytest.mark.parametrize(
    ("n_before", "n_after", "first_seed"), [(3, 3, 0), (3, 3, 100), (4, 1, 100), (2, 5, 100)]
)
def test_an_unchanged_model_raises_no_alarm_at_the_stated_confidence(
    n_before: int, n_after: int, first_seed: int
) -> None:
    """1,000 checks of a model against itself: three independent metrics, normal over seeds, lower or higher better.

    The t tests are exact here, so Holm over three gives 1 − (1 − 0.05/3)³ = 0.049 for any alarm. The count is held to
    the middle 99.9% of Binomial(1000, 0.049) on both sides: above, the gate cries wolf; below, it is asleep.
    """
    rng = np.random.default_rng(0)
    gate, alarms = Gate(), 0
    for _ in range(DRAWS):
        pairs = [
            pair(
                rng.normal(size=n_before), rng.normal(size=n_after), higher=bool(k % 2), first_seed=first_seed
            )
            for k in range(METRICS)
        ]
        alarms += any(finding.fails for finding in judge(pairs, gate))
    low, high = stats.binom.ppf([0.0005, 0.9995], DRAWS, 1 - (1 - 0.05 / METRICS) ** METRICS)
    assert low <= alarms <= high


@pytest.mark.parametrize("first_seed", SEEDS, ids=SEEDS.values())
def test_a_much_worse_model_is_caught(first_seed: int) -> None:
    """Three seeds a side, one of three metrics worse by 10 standard deviations. At the level of 0.05/3 that Holm asks
    of the smallest p, the noncentral t distribution (scipy.stats.nct) gives a power of 0.9929 for the same seeds (2
    degrees of freedom; drawn independently here) and over 0.9999 for others (4). The count of 200 is held above the
    lower 0.0005 quantile of the binomial distribution for 0.9929."""
    rng = np.random.default_rng(0)
    caught = 0
    for _ in range(200):
        shifts = [10.0, *[0.0] * (METRICS - 1)]
        pairs = [
            pair(rng.normal(size=3), rng.normal(shift, size=3), metric=f"m{k}", first_seed=first_seed)
            for k, shift in enumerate(shifts)
        ]
        caught += judge(pairs, Gate())[0].fails
    assert caught >= stats.binom.ppf(0.0005, 200, 0.9929)


def finding(verdict: Any, aspect: str = "quality", fails: bool = False) -> Finding:
    return Finding("digits", "vae", "", "generation", "fd", aspect, verdict, fails, "why")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 3),
        ([finding("ok")], 0),
        ([finding("regression", fails=True)], 1),
        ([finding("ok"), finding("missing", fails=True)], 1),
        ([finding("ok"), finding("missing")], 0),
        ([finding("missing", fails=True)], 3),
        ([finding("not run", aspect="", fails=True)], 3),
        ([finding("cannot tell")], 3),
        ([finding("not gated")], 3),
        ([finding("ok", "cost"), finding("not comparable")], 3),
        ([finding("regression", "cost", fails=True), finding("cannot tell")], 3),
        ([finding("ok", "cost"), finding("not gated")], 0),
        ([finding("ok", "throughput"), finding("not run", aspect="")], 0),
        ([finding("regression", fails=True), finding("failed", fails=True)], 4),
        ([finding("failed", fails=True)], 4),
    ],
)
def test_exit_codes(findings: list[Finding], code: int) -> None:
    """The table and the order of docs/check.md: 4, then 3, then 1."""
    report = Report(findings, [])
    assert report.exit_code == code
    assert report.as_dict()["exit_code"] == code
    assert report.headline.startswith("passed") == (code == 0)
    assert report.headline.startswith("nothing comparable") == (code == 3)
