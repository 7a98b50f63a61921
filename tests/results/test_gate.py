"""Verdicts: right ones on numbers that are known, and the promised level on models that did not change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbench.results.claims.findings import Finding, Report
from benchbench.results.claims.gate import judge
from benchbench.results.claims.gate_config import Gate, Rule, load_gate
from benchbench.results.claims.gate_match import Matched, Pair, Question
from benchbench.results.claims.numbers import Number, Numbers

SEEDS = {0: "same seeds", 100: "other seeds"}
ALPHA = Rule(worse_with=0.95)


def pair(
    before: Any,
    after: Any,
    *,
    higher: bool | None = False,
    metric: str = "kd",
    first_seed: int = 0,
    model: str = "vae",
    **facts: Any,
) -> Pair:
    """`before` and `after`: one value a seed; those of the candidate count from `first_seed`."""
    halves = facts.pop("halves", (None, None))
    facts = {"aspect": "quality", "higher_is_better": higher, "conditions": (("n_images", "1000"),)} | facts
    baseline, candidate = (
        Number(
            by_seed := dict(enumerate(map(float, np.atleast_1d(values)), start)),
            {} if half is None else {seed: (x - half, x + half) for seed, x in by_seed.items()},
            **facts,
        )
        for values, start, half in ((before, 0, halves[0]), (after, first_seed, halves[1]))
    )
    return Pair(Question("digits", model, "", "generation", "", metric), baseline, candidate)


def judged(pairs: Sequence[Pair], gate: Gate, *others: Pair) -> list[Finding]:
    """The findings of `pairs`. others: pairs whose numbers are at hand, to say how seeds scatter."""
    sides: tuple[Numbers, Numbers] = ({}, {})
    for one in (*pairs, *others):
        for side, number in zip(sides, (one.baseline, one.candidate), strict=True):
            side.setdefault(one.question.unit, {}).setdefault(one.question.asked, []).append(number)
    return judge(Matched(list(pairs), [], list(sides)), gate)


def one(pair: Pair, *others: Pair, **rule: Any) -> Finding:
    """The finding for one pair under one rule."""
    (finding,) = judged([pair], Gate(default=Rule(**rule)), *others)
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
        (10, 10.2, False, {"within": 0.02}, "ok"),  # a band: 2% and no more, either way
        (10, 10.21, False, {"within": 0.02}, "regression"),
        (10, 9.79, False, {"within": 0.02}, "regression"),  # suspiciously better
        (-10, -9.79, True, {"within": 0.02}, "regression"),
        (10, 24.0, False, {"between": [23.01, 23.95]}, "regression"),
        (10, 23.0, False, {"between": [23.01, 23.95]}, "regression"),
        (10, 23.5, False, {"between": [23.01, 23.95]}, "ok"),  # however far from the baseline
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
    st.builds(Rule, relative=st.floats(0, 1), worse_with=st.floats(0.6, 0.99)),
)
VALUES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(RULES, VALUES, VALUES, st.booleans(), st.booleans(), st.booleans())
def test_improvements_never_fail(
    rule: Rule, before: list[float], after: list[float], higher: bool, same: bool, headline: bool
) -> None:
    """Whatever the rule but a band, the values and the number of seeds: a mean that moved the right way, or not at
    all, passes."""
    example = pair(before, after, higher=higher, first_seed=0 if same else 100, headline=headline)
    gain = example.candidate.mean - example.baseline.mean
    (finding,) = judged([example], Gate(default=rule, headline=rule))
    if (gain >= 0) == higher or gain == 0:
        assert not finding.fails


def test_seeds_that_go_together_are_paired() -> None:
    """scipy's paired t test, one-sided for "greater" since lower is better; the interval is scipy's two-sided one.
    Another road to the same formula, so agreement to 1e-9 is rounding alone."""
    before, after = [10.0, 12.0, 15.0, 19.0, 24.0], [10.5, 12.4, 15.6, 19.5, 24.3]
    finding = one(pair(before, after), worse_with=0.95)
    expected = stats.ttest_rel(after, before, alternative="greater")
    interval = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (finding.low, finding.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert finding.verdict == "regression"
    assert finding.method is not None
    assert finding.method.startswith("paired t over 5 seeds")
    better = one(pair(before, after, higher=True), worse_with=0.95)
    assert (better.verdict, better.p) == ("ok", pytest.approx(1 - expected.pvalue))


@pytest.mark.parametrize("first_seed", [0, 7])
def test_seeds_that_do_not_are_two_samples_of_one_variance(first_seed: int) -> None:
    """scipy's two-sample t test with equal variances, one-sided, and its interval; equal seeds that do not go
    together (14.5, 12.8 and 13 under 10, 12 and 11) are no pairs. Rounding alone."""
    before, after = [10.0, 12.0, 11.0], [14.5, 12.8, 13.0]
    finding = one(pair(before, after, first_seed=first_seed), worse_with=0.95)
    expected = stats.ttest_ind(after, before, alternative="greater")
    interval = stats.ttest_ind(after, before).confidence_interval(0.95)
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (finding.low, finding.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert finding.verdict == "regression"
    # What it would have seen: by the noncentral t, in 80% of checks, at the same one-sided 5%.
    degrees, error = 4, (interval.high - interval.low) / 2 / stats.t.ppf(0.975, 4)
    assert finding.smallest is not None
    assert stats.nct.sf(stats.t.isf(0.05, degrees), degrees, finding.smallest / error) == pytest.approx(
        0.8, abs=1e-3
    )


def test_one_seed_against_several_is_a_prediction() -> None:
    """By hand: of 1, 2, 3 the mean is 2 and s is 1, so that t = (6 − 2) / sqrt(1 + 1/3) = 2 sqrt(3) with 2 degrees of
    freedom, whose upper tail is 1/2 − t / (2 sqrt(2 + t²)) = 1/2 − sqrt(3/14)."""
    finding = one(pair([1, 2, 3], 6, first_seed=7), worse_with=0.95)
    assert finding.p == pytest.approx(0.5 - (3 / 14) ** 0.5, rel=1e-9)
    assert finding.verdict == "regression"
    assert one(pair([1, 2, 3], 4, first_seed=7), worse_with=0.95).verdict == "ok"


@pytest.mark.parametrize("halves", [(None, None), (3, 4)])
def test_one_seed_each_says_nothing_of_other_seeds(halves: Any) -> None:
    """Half widths of 3 and 4 say how sure each run is of its own images; another seed of either is another model.
    Without anything that knows how seeds scatter there is no verdict, and not "ok"; a tolerance needs none."""
    finding = one(pair(10, 15, halves=halves), worse_with=0.95)
    assert (finding.verdict, finding.fails, finding.p) == ("cannot tell", False, None)
    assert "run several, or set a tolerance" in finding.reason
    assert one(pair(10, 15, halves=halves), relative=0.1).verdict == "regression"


def test_one_seed_each_is_tested_with_the_spread_of_other_models() -> None:
    """Two other models with three seeds each, standard deviations of 1: their mean variance is 1, worth all their 4
    degrees of freedom, so that a change of 6 is found and one of 2 is not."""
    others = [pair([1, 2, 3], [1, 2, 3], model="gan"), pair([11, 12, 13], [11, 12, 13], model="cgan")]
    for after, verdict in ((16, "regression"), (12, "ok")):
        finding = one(pair(10, after), *others, worse_with=0.95)
        assert finding.verdict == verdict
        assert finding.p == pytest.approx(stats.t.sf((after - 10) / np.sqrt(2), 4), rel=1e-6)
        assert "pooled with 2 models" in str(finding.method)


def test_a_headline_works_with_one_seed_a_side() -> None:
    """Nobody knows how seeds scatter: 15% is assumed, as the gate states. By hand on the log scale: the error is
    √2 log 1.15, so that at 97% a change has to exceed 1.88 of those, 45%; beyond 15% and within that it is "cannot
    tell", which asks for seeds, and within 15% it is fine."""
    log = {"scale": "log", "ends": (0.0, None), "headline": True}
    edge = 100 * np.exp(stats.norm.ppf(0.97) * np.sqrt(2) * np.log(1.15))
    assert edge == pytest.approx(145.05, abs=0.1)
    found = {
        after: judged([pair(100, after, **log)], Gate())[0]
        for after in (50.0, 114.0, 116.0, edge - 0.1, edge + 0.1, 400.0)
    }
    assert [f.verdict for f in found.values()] == [
        "ok", "ok", "cannot tell", "cannot tell", "regression", "regression",
    ]  # fmt: skip
    assert all("taken to be 15%" in str(f.method) for f in found.values())
    assert "another seed may do that" in found[116.0].reason
    # 80% at 97%: (1.88 + 0.84) errors.
    seen = 100 * np.exp((stats.norm.ppf(0.97) + stats.norm.ppf(0.8)) * np.sqrt(2) * np.log(1.15)) - 100
    assert found[400.0].smallest == pytest.approx(seen, rel=1e-9)


def test_a_headline_has_to_exceed_tolerance_and_noise() -> None:
    """Five seeds with a spread of 0.1%: 5% worse is 50 standard errors and allowed; 20% worse is not."""
    base = 100 * np.exp(0.001 * np.array([-1, 1, 0, 1, -1]))
    log = {"scale": "log", "ends": (0.0, None), "headline": True, "first_seed": 9}
    (allowed,) = judged([pair(base, base[::-1] * 1.05, **log)], Gate())
    (failed,) = judged([pair(base, base[::-1] * 1.2, **log)], Gate())
    assert (allowed.verdict, failed.verdict) == ("ok", "regression")
    assert allowed.smallest == pytest.approx(0.15 * base.mean(), rel=1e-6)
    assert failed.reason.startswith("worse by 20 (20.00%) and more than relative = 0.15 allows: p = ")


@pytest.mark.parametrize("first_seed", SEEDS, ids=SEEDS.values())
def test_no_spread_over_seeds_is_evidence_by_its_orders(first_seed: int) -> None:
    """Ten modes in each of three runs, now nine, and no run states any noise: by permutation the one-sided p is
    1/20 and never less, so that nothing is found at 96% and it is found at 95%. The right direction is simply
    fine."""
    example = pair([10, 10, 10], [9, 9, 9], higher=True, first_seed=first_seed)
    finding = one(example, worse_with=0.96)
    assert (finding.verdict, finding.p, finding.smallest) == ("cannot tell", pytest.approx(1 / 20), None)
    assert one(example, worse_with=0.95).verdict == "regression"
    better = pair([9, 9, 9], [10, 10, 10], higher=True, first_seed=first_seed)
    assert one(better, worse_with=0.96).verdict == "ok"


def test_rounding_is_no_regression() -> None:
    """Every seed moves by one part in 10⁸ the same way, nearly without spread: significant to a t test (t is over
    100 here) and meaningless."""
    before = np.array([10.0, 12.0, 15.0])
    after = before * (1 + 1e-8)
    assert stats.ttest_rel(after, before, alternative="greater").pvalue < 0.01
    finding = one(pair(before, after), worse_with=0.95)
    assert (finding.verdict, finding.p, finding.reason) == ("ok", 1.0, "unchanged")


BEFORE = np.array([10.0, 12.0, 11.0])


def raised(by: float, metric: str, **facts: Any) -> Pair:
    """Other seeds, the same values and `by` more."""
    return pair(BEFORE, BEFORE + by, metric=metric, first_seed=50, **facts)


def p_of(by: float) -> float:
    """One-sided, not corrected."""
    return float(stats.ttest_ind(BEFORE + by, BEFORE, alternative="greater").pvalue)


def test_headlines_take_half_of_the_level_and_the_rest_is_holms() -> None:
    """By hand. One model moved: p of its headline counts twice, and twice again as the worst run is asked beside the
    mean; of its three other metrics the smallest counts 2 × 3
    times, the next 2 × 2 (at least as much as the one before). What has a tolerance alone, what is ignored, a doublet
    and a model that did not move at all are no tests of theirs."""
    gate = Gate(
        headline=ALPHA, default=ALPHA, metric={"tolerated": Rule(relative=10), "ignored": Rule(ignore=True)}
    )
    shifts = {"fd": 2.0, "a": 3.0, "b": 2.5, "c": 0.5, "tolerated": 9.0, "ignored": 9.0, "fd_infinity_x": 9.0}
    pairs = [
        raised(by, metric, headline=metric == "fd", gated=metric != "fd_infinity_x")
        for metric, by in shifts.items()
    ]
    still = pair(BEFORE, BEFORE, model="still", metric="a")
    found = {f.metric: f.p for f in judged([*pairs, still], gate) if f.model == "vae"}
    a, b, c = (p_of(shifts[name]) for name in "abc")
    assert found == {
        "fd": pytest.approx(4 * p_of(2.0)),
        "a": pytest.approx(6 * a),
        "b": pytest.approx(max(6 * a, 4 * b)),
        "c": pytest.approx(min(1.0, max(6 * a, 4 * b, 2 * c))),
        "tolerated": None,
        "ignored": None,
        "fd_infinity_x": None,
    }


def test_a_seed_that_died_is_not_hidden_by_the_spread_it_makes() -> None:
    """Two runs a little better and one nine times as bad: t of the means is below 1, and no seed of the baseline
    explains the third. By hand on the log scale, with the baseline's spread alone (nothing else knows any), 2
    degrees of freedom, three runs to choose from and two questions. Nine times as good is no such finding."""
    log = {"scale": "log", "ends": (0.0, None), "headline": True}
    before, after = [10.0, 10.2, 9.9], [9.0, 9.1, 90.0]
    (finding,) = judged([pair(before, after, **log)], Gate(headline=Rule(relative=0.15, worse_with=0.95)))
    moved = np.log(before)
    t = (np.log(90) - moved.mean()) / (moved.std(ddof=1) * np.sqrt(1 + 1 / 3))
    assert finding.p == pytest.approx(2 * 3 * stats.t.sf(t, 2), rel=1e-6)
    assert (finding.verdict, finding.fails) == ("regression", True)
    assert "seed 2 is worse than any seed of the baseline explains" in finding.reason
    (other,) = judged([pair(before, [9.0, 9.1, 1.0], **log)], Gate())
    assert not other.fails


def test_models_that_moved_share_the_level() -> None:
    """One metric a model, no headline: with two models that moved each p counts twice, with a third that did not,
    too."""
    gate = Gate(default=ALPHA)
    pairs = [
        raised(3.0, "a", model="one"),
        raised(2.0, "a", model="two"),
        pair(BEFORE, BEFORE, model="three"),
    ]
    found = {f.model: f.p for f in judged(pairs, gate)}
    # The pool knows two other models, whose runs are those of this one and 2 more: alike, and worth all they say.
    alone = {f.model: f.p for one in pairs for f in judged([one], gate, *(p for p in pairs if p is not one))}
    assert found["one"] == pytest.approx(2 * (alone["one"] or 0))
    assert found["two"] == pytest.approx(2 * (alone["two"] or 0))
    assert found["three"] == 1


def test_a_doublet_is_gated_where_the_gate_names_it() -> None:
    """`fd_infinity` restates `fd`, and no section gates it; a rule of its own does."""
    example = raised(9.0, "fd_infinity_x", gated=False)
    (finding,) = judged([example], Gate(default=ALPHA))
    assert (finding.verdict, finding.reason) == ("not gated", "restates the number beside it")
    (named,) = judged([example], Gate(metric={"fd_infinity*": Rule(relative=0.1)}))
    assert named.verdict == "regression"


def test_what_people_said_is_not_gated() -> None:
    """Its intervals do not say how surely two systems are told apart; the study does."""
    (finding,) = judged([raised(9.0, "human_strength_study_1a2b3c4d", aspect="human")], Gate(default=ALPHA))
    assert (finding.verdict, finding.reason) == (
        "not gated",
        "people said it, and their study tells systems apart",
    )


def test_a_collapse_of_a_share_is_caught_with_three_seeds() -> None:
    """Precision 0.39 in three seeds, and 0 in all three of the branch: no spread of its own, but Wilson's intervals
    of 500 images (0.349 to 0.433, and 0 to 0.0076) say what there is. It fails beside seven other metrics that
    stand still."""
    share = {"scale": "arcsine", "ends": (0.0, 1.0)}
    question = Question("digits", "vae", "", "generation", "", "precision")
    sides = [
        Number(
            dict(enumerate(values)),
            dict(enumerate([bounds] * 3)),
            aspect="quality",
            higher_is_better=True,
            **share,
        )
        for values, bounds in (([0.39, 0.40, 0.38], (0.349, 0.433)), ([0.0, 0.0, 0.0], (0.0, 0.0076)))
    ]
    bounds = {0: (0.349, 0.433), 1: (0.359, 0.443), 2: (0.34, 0.423)}
    before = Number(sides[0].by_seed, bounds, aspect="quality", higher_is_better=True, **share)
    others = [raised(0.0, f"m{k}") for k in range(7)]
    found = judged([Pair(question, before, sides[1]), *others], load_gate())
    assert (found[0].verdict, {f.verdict for f in found[1:]}) == ("regression", {"ok"})


def test_no_room_for_a_worsening_is_said() -> None:
    """Precision 0.0005 and 0.03 under two seeds: with so wide a spread even 0 would not have failed, so that a
    lower number is no "ok"."""
    share = {"scale": "arcsine", "ends": (0.0, 1.0), "higher": True}
    finding = one(pair([0.0005, 0.03], [0.0001, 0.02], first_seed=9, **share), worse_with=0.95)
    assert (finding.verdict, finding.smallest) == ("cannot tell", None)
    assert finding.reason.endswith("nothing worse is possible that this many seeds would show")


def test_every_ok_says_what_it_would_have_seen() -> None:
    """A tolerance its own width; a test its detectable change, of the baseline's size."""
    assert one(pair(10, 10.2), relative=0.05).smallest == pytest.approx(0.5, rel=1e-6)
    assert one(pair(10, 10.2), within=0.05).smallest == pytest.approx(0.5, rel=1e-6)
    tested = one(raised(0.3, "a"), worse_with=0.95)
    assert tested.verdict == "ok"
    assert tested.smallest is not None
    assert tested.reason.endswith(f"; would have seen {tested.smallest / 11:.0%}")


def test_a_rate_on_a_busy_machine_fails_nothing() -> None:
    """Others took half of the machine on either side: half the rate is no verdict; a fifth is borne."""
    rate = {"metric": "sampling_rate", "aspect": "throughput", "higher": True}
    for busy, verdict in ((0.5, "cannot tell"), (0.2, "regression"), (None, "regression")):
        (finding,) = judged([pair(100, 50, busy=busy, **rate)], Gate())
        assert (finding.verdict, finding.fails) == (verdict, verdict == "regression")
    assert "took 50%" in judged([pair(100, 50, busy=0.5, **rate)], Gate())[0].reason


DRAWS, METRICS = 600, 3


@pytest.mark.costly
@pytest.mark.parametrize(
    ("n_before", "n_after", "first_seed"), [(3, 3, 0), (3, 3, 100), (4, 1, 100), (2, 5, 100)]
)
def test_an_unchanged_model_raises_no_alarm_at_the_stated_confidence(
    n_before: int, n_after: int, first_seed: int
) -> None:
    """600 checks of a model against itself: three independent metrics, normal over seeds, lower or higher better.

    Under other seeds the t tests are exact, and Holm over three gives 1 − (1 − 0.05/3)³ = 0.049 for any alarm. The
    count is held to the middle 99.9% of Binomial(600, 0.049) on both sides: above, the gate cries wolf; below, it is
    asleep. Equal seeds are paired where they happen to go together, at a level of 1%, which may add a point.
    """
    rng = np.random.default_rng(0)
    gate, alarms = Gate(default=ALPHA), 0
    for _ in range(DRAWS):
        pairs = [
            pair(
                rng.normal(size=n_before),
                rng.normal(size=n_after),
                higher=bool(k % 2),
                first_seed=first_seed,
                metric=f"m{k}",
            )
            for k in range(METRICS)
        ]
        alarms += any(finding.fails for finding in judged(pairs, gate))
    rate = 1 - (1 - 0.05 / METRICS) ** METRICS
    low, high = (
        stats.binom.ppf(0.0005, DRAWS, rate),
        stats.binom.ppf(0.9995, DRAWS, rate + 0.01 * (first_seed == 0)),
    )
    assert low <= alarms <= high


def test_a_much_worse_model_is_caught() -> None:
    """Three seeds a side, one of three metrics worse by 10 standard deviations. At the level of 0.05/3 that Holm asks
    of the smallest p, the noncentral t distribution (scipy.stats.nct) with 4 degrees of freedom gives a power over
    0.9999. All of 150 are caught."""
    rng = np.random.default_rng(0)
    assert stats.nct.sf(stats.t.isf(0.05 / 3, 4), 4, 10 / np.sqrt(2 / 3)) > 0.9999
    caught = 0
    for _ in range(150):
        shifts = [10.0, *[0.0] * (METRICS - 1)]
        pairs = [
            pair(rng.normal(size=3), rng.normal(shift, size=3), metric=f"m{k}", first_seed=100)
            for k, shift in enumerate(shifts)
        ]
        caught += judged(pairs, Gate(default=ALPHA))[0].fails
    assert caught == 150


def finding(verdict: Any, aspect: str = "quality", fails: bool = False, headline: bool = False) -> Finding:
    return Finding(
        "digits", "vae", "", "generation", "", "fd", aspect, verdict, fails, "why", headline=headline
    )


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


def test_the_report_as_json() -> None:
    """Schema 2: what docs/check.md lists, with the headline and the smallest change of each finding; JSON holds
    it."""
    findings = [finding("ok"), finding("regression", fails=True, headline=True)]
    told = Report(findings, ["a note"]).as_dict()
    assert told["schema_version"] == 2
    assert (told["compared"], told["counts"], told["notes"]) == (2, {"ok": 1, "regression": 1}, ["a note"])
    assert [(f["headline"], f["smallest"]) for f in told["findings"]] == [(False, None), (True, None)]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_headline_is_named_first() -> None:
    """Of five that fail three are named, the one by which models are ranked before the others."""
    findings = [finding("regression", fails=True) for _ in range(4)]
    findings.append(
        Finding("digits", "vae", "", "generation", "", "lead", "quality", "regression", True, "why", True)
    )
    assert Report(findings, []).headline == (
        "5 compared, 5 worse than the gate allows: lead of vae on digits (why), fd of vae on digits (why), "
        "fd of vae on digits (why) and 2 more"
    )
