"""The sanity suite of Räisä et al. 2025: its sets, its criteria, its expectations, and whom it asks."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchbench.core import registry
from benchbench.core.errors import InputError
from benchbench.metrics.audit.claims import audited
from benchbench.metrics.audit.criteria import Bell, Criterion, Curve, Falls, Level, LowOrHigh, Near, Rises
from benchbench.metrics.audit.distributions import ball, cube, mixture, normal, pareto, sphere, torus
from benchbench.metrics.audit.disturbances import judged_images
from benchbench.metrics.audit.expectations import EXPECTATIONS
from benchbench.metrics.audit.experiments import EXPERIMENTS
from benchbench.metrics.audit.suite import (
    SMALL,
    SPACE,
    Extent,
    asked,
    drawn,
    evidence_of,
    judged,
    measured,
    thinned,
)
from benchbench.metrics.checked import check_declared
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.select import select_metrics
from benchbench.metrics.sets.prdc import prdc
from benchbench.metrics.sets.vendi import vendi_score

AUTHORS = Path(__file__).parents[2] / "docs" / "audit_authors.csv"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_points_are_where_they_belong() -> None:
    """By definition: radii of a sphere are 1, those of a ball at most its radius, and half of its points lie within
    radius·2^(−1/3); a torus's points lie within 0.1 of the ring of radius 1; a cube's within it. The median of a Pareto
    distribution of exponent a is 2^(1/a). Shares of 4,000 points within 4 standard deviations (0.03)."""
    n = 4000
    assert np.linalg.norm(sphere(rng(), n, 5, 2.0), axis=1) == pytest.approx(2.0)
    radii = np.linalg.norm(ball(rng(), n, 3, 0.8), axis=1)
    assert radii.max() <= 0.8
    assert abs(np.mean(radii < 0.8 * 2 ** (-1 / 3)) - 0.5) < 0.03
    x, y, z = torus(rng(), n).T
    assert np.hypot(np.hypot(x, y) - 1, z).max() <= 0.1 + 1e-12
    assert abs(np.mean(np.hypot(np.hypot(x, y) - 1, z) < 0.1 / np.sqrt(2)) - 0.5) < 0.03
    inside = cube(rng(), n, 4, 0.3)
    assert inside.min() >= 0.3
    assert inside.max() < 1.3
    tail = pareto(rng(), n, 1.01)
    assert tail.min() >= 1
    assert abs(np.mean(tail < 2 ** (1 / 1.01)) - 0.5) < 0.03


def test_moments_of_gaussians_and_mixtures() -> None:
    """Means and deviations as asked for; 1:3 of two modes 10 apart. 4,000 points: 4 standard errors of a mean are
    0.063·σ."""
    points = normal(rng(), 4000, 2, 3.0, 0.5)
    assert points.mean(0) == pytest.approx([3.0, 3.0], abs=0.032)
    assert points.std(0) == pytest.approx([0.5, 0.5], rel=0.06)
    modes = mixture(rng(), 4000, np.array([[0.0], [10.0]]), 0.1, np.array([1.0, 3.0]))
    assert abs(np.mean(modes > 5) - 0.75) < 0.03


@pytest.mark.parametrize(("name", "case"), [(n, c) for n, own in EXPERIMENTS.items() for c in own.cases])
def test_every_case_makes_both_sides(name: str, case: str) -> None:
    """At the first and the last value: finite, of one number of axes, the same from the same seed and others from
    another; real ones stay over the values of a case unless the experiment draws them anew."""
    own = EXPERIMENTS[name]
    extent = Extent(points=20, repeats=1)
    last = len(own.cases[case].values) - 1
    sets = [drawn(name, case, place, own.cases[case].values[place], 0, extent) for place in (0, last)]
    for real, generated in sets:
        assert np.isfinite(real).all()
        assert np.isfinite(generated).all()
        assert real.shape[1] == generated.shape[1]
    again = drawn(name, case, 0, own.cases[case].values[0], 0, extent)
    assert all(np.array_equal(*both) for both in zip(sets[0], again, strict=True))
    other = drawn(name, case, 0, own.cases[case].values[0], 1, extent)
    assert not any(np.array_equal(*both) for both in zip(sets[0], other, strict=True))
    assert np.array_equal(sets[0][0], sets[1][0]) == (not own.real_anew)
    assert sorted(own.cases[case].values) == list(own.cases[case].values)


def test_sizes_follow_the_parameter() -> None:
    """The paper's 100 to 10,000 points, and one outlier more on the side that has it."""
    extent = Extent(repeats=1)
    both = drawn("uniform-hypercube-varying-size", "1", 0, 0.1, 0, extent)
    alone = drawn("uniform-hypercube-varying-syn-size", "1", 19, 10.0, 0, extent)
    outlier = drawn("gaussian-mean-difference-with-outlier", "syn_outlier 8", 0, -3.0, 0, extent)
    assert [len(own) for own in (*both, *alone, *outlier)] == [100, 100, 1000, 10_000, 1000, 1001]
    assert (outlier[1][-1] == 3).all()


def test_cubes_share_a_fifth() -> None:
    """(1 − start)^dim = 0.2: so many of the generated points lie in the real cube. 10,000 points, 4 deviations."""
    for dim in ("1", "8", "64"):
        _, generated = drawn("uniform-hypercube-varying-syn-size", dim, 19, 10.0, 0, Extent())
        assert abs(np.mean((generated < 1).all(1)) - 0.2) < 0.016


def curve(*y: float) -> Curve:
    """Over 0, 1, 2, …"""
    return Curve(np.arange(len(y), dtype=float), np.array(y))


@pytest.mark.parametrize(
    ("criterion", "values", "verdict"),
    [
        (Near("last", 1), (0, 0, 0.95), "pass"),
        (Near("last", 1), (1, 1, 0.949), "fail"),
        (Near(1.0, 0), (1, -0.05, 1), "pass"),
        (Bell(2.0), (0, 0.1, 0.9, 0.5, 0.2), "pass"),
        (Bell(2.0), (0, 0.1, 0.9, 1.1, 0.2), "fail"),  # the top is elsewhere
        (Bell(2.0), (0.8, 0.1, 0.9, 0.5, 0.2), "fail"),  # no rise
        (Bell(2.0), (0.5, 0.1, 0.9, 0.5, 0.4), "fail"),  # both ends lie above the smallest
        (Bell(2.0), (0.5, 0.5, 0.9, 0.5, 0.0), "pass"),  # one end may
        (Falls(), (1, 0.9, 0.79), "pass"),
        (Falls(), (1, 0.9, 0.81), "fail"),
        (Falls(), (1, 1.2, 0.2), "fail"),
        (Falls(), (1, 0.0, 0.2), "fail"),
        (Falls(0.5), (1, 0.95, 0.95, 0.2), "fail"),  # of two in the middle the earlier, 0.95
        (Falls(0.5), (1, 0.85, 0.95, 0.2), "pass"),
        (Falls(0.95), (*[1.0] * 47, 0.5, 0.5, 0), "pass"),  # the 48th of 50
        (Falls(0.95), (*[1.0] * 48, 0.5, 0), "fail"),
        (Rises(), (0.1, 0, 0.9), "pass"),
        (Rises(), (0.1, 0, 0.25), "fail"),
        (Level(), (1, 0.96, 1), "pass"),
        (Level(), (1, 0.94, 1), "fail"),
        (Level(second_half=True), (0, 0.5, 0.9, 0.94), "pass"),
        (LowOrHigh(low=Near("last", 0), high=Near("last", 1)), (0.5, 1), "high"),
        (LowOrHigh(low=Near("last", 0), high=Near("last", 1)), (0.5, 0.02), "low"),
        (LowOrHigh(low=Near("last", 0), high=Near("last", 1)), (0.5, 0.5), "fail"),
        (Level(), (1, np.nan, 1), "no number"),
        (Near("last", 1), (np.nan, 1.0), "pass"),  # it asks of nothing else
        (LowOrHigh(low=Near("last", 0), high=Near("last", 1)), (0.5, np.nan), "no number"),
    ],
)
def test_criteria_by_hand(criterion: Criterion, values: tuple[float, ...], verdict: str) -> None:
    """The definitions and tolerances of the authors' sanity_check_criteria.py, read; values on both sides of each."""
    assert criterion.judge(curve(*values)).verdict == verdict
    assert criterion.words()


def test_checks_are_the_authors() -> None:
    """Every check that the authors published a verdict of is one of ours in the same case and of the same kind of
    metric, and the other way round."""
    theirs = pd.read_csv(AUTHORS, keep_default_na=False)
    claims = {own.family: own.output.claims for own in audited(list(theirs.metric.unique()))}
    found = {
        (name, case, row.check, metric)
        for name, own in EXPERIMENTS.items()
        for case in own.cases
        for metric, claim in claims.items()
        if claim
        for row in EXPECTATIONS
        if row.is_of(name, case, claim)
    }
    assert found == set(theirs[["experiment", "case", "check", "metric"]].itertuples(index=False, name=None))


def test_fewer_values_keep_what_checks_ask_for() -> None:
    """Ends and, of an odd number, the middle, where bells have their top."""
    for own in EXPERIMENTS.values():
        for case in own.cases.values():
            kept = [value for _, value in thinned(case.values, SMALL.values)]
            assert len(kept) == min(SMALL.values, len(case.values))
            assert (kept[0], kept[-1]) == (case.values[0], case.values[-1])
            assert all(case.values[place] == value for place, value in thinned(case.values, SMALL.values))
            if len(case.values) % 2:
                assert case.values[len(case.values) // 2] in kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": 19},
        {"points": 10**6},
        {"repeats": 0},
        {"values": 10},
        {"values": 53},
        {"seed": -1},
        {"points": True},
    ],
)
def test_extents_have_bounds(wrong: dict[str, int]) -> None:
    """One sentence that names the number."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        Extent(**wrong)


def test_what_is_asked_is_what_functions_say() -> None:
    """Of standardised float32 features `prdc`; of Vendi the ratio of what `vendi_score` says of both sides. Oracle: the
    pure functions on arrays that are standardised here."""
    real, generated = drawn("gaussian-std-difference", "8", 40, 4.0, 0, Extent(points=150))
    scaled = [((x - real.mean(0)) / real.std(0)).astype(np.float32) for x in (real, generated)]
    said = asked(audited(["precision", "coverage", "vendi"]), evidence_of(real, generated))
    expected = prdc(*scaled)
    assert said["precision"] == (pytest.approx(expected["precision"], abs=1e-12), "")
    assert said["coverage"] == (pytest.approx(expected["coverage"], abs=1e-12), "")
    assert said["vendi"][0] == pytest.approx(vendi_score(scaled[1]) / vendi_score(scaled[0]), rel=1e-9)


def test_one_axis_decides_only_unless_it_is_scaled() -> None:
    """The second axis stretched by 1,000 hides that the sets lie 6 apart on the first, but not from features that are
    standardised: coverage 0 there (the sets hardly touch), and about 1 without."""
    pair = drawn("gaussian-scaling-one-dimension", "", 19, 1000.0, 0, Extent(points=200))
    coverage = audited(["coverage"])
    assert asked(coverage, evidence_of(*pair))["coverage"][0] < 0.1
    assert asked(coverage, evidence_of(*pair, standardised=False))["coverage"][0] > 0.8


def test_intervals_are_left_out_and_values_stay() -> None:
    """What a metric says does not depend on whether its interval is asked for."""
    evidence = evidence_of(*drawn("one-vs-two-modes", "8", 10, 2.5, 0, Extent(points=80)))
    full = Evidence(evidence.sets)
    for metric in audited():
        without, with_it = metric.numbers(evidence)[metric.family], metric.numbers(full)[metric.family]
        assert isinstance(without, Estimate)
        assert isinstance(with_it, Estimate)
        assert without.value == pytest.approx(with_it.value, abs=1e-12)
        assert with_it.low is not None


def test_who_is_audited() -> None:
    """All that claim something, each metric's claim beside its aspect; what claims neither is refused with those that
    do, and what is no metric by its name."""
    found = {own.family: own.output.claims for own in audited()}
    assert {"precision", "density", "precision_k3"} <= {
        name for name, claim in found.items() if claim == "fidelity"
    }
    assert {"recall", "coverage", "recall_k3", "vendi"} <= {
        n for n, claim in found.items() if claim == "diversity"
    }
    assert not {"fd", "kd", "authenticity", "duplicate_rate"} & set(found)
    for output in (own.output for own in select_metrics(["all"], [SPACE])):
        assert output.claims in (None, "fidelity" if output.aspect == "quality" else "diversity")
    assert [own.family for own in audited(["vendi_q2"])] == ["vendi_q2"]
    with pytest.raises(InputError, match=r"^fd claims neither fidelity nor diversity.*precision"):
        audited(["fd"])
    with pytest.raises(InputError, match="precisoin"):
        audited(["precisoin"])
    with pytest.raises(InputError, match=r"^fid claims neither"):
        audited(["fid"])
    with pytest.raises(InputError, match=r"^precision_cnn_digits reads cnn_digits, .*; write precision$"):
        audited(["precision_cnn_digits"])


class AlwaysOne(Metric):
    """1 whatever is shown."""

    family = "always_one"
    aspect = "quality"
    claims = "fidelity"
    higher_is_better = True
    needs = frozenset({"features"})
    source = "a test"

    def compute(self, evidence: Evidence) -> Estimate:
        return Estimate(1.0)


class NeverSays(AlwaysOne):
    """Fails on everything."""

    family = "never_says"

    def compute(self, evidence: Evidence) -> Estimate:
        raise ValueError("no idea")


def test_a_claim_that_there_is_not_is_refused() -> None:
    """Before anything is computed, with those that there are."""

    class Wrong(AlwaysOne):
        claims = "beauty"  # type: ignore[assignment]

    with pytest.raises(InputError, match="claims 'beauty'; there are fidelity, diversity, or None"):
        check_declared("wrong", Wrong)


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two metrics of somebody else's, registered."""
    known = registry.METRICS._entries()
    mine = {
        name: EntryPoint(name, f"{__name__}:{own.__name__}", "benchbench.metrics")
        for name, own in (("always_one", AlwaysOne), ("never_says", NeverSays))
    }
    monkeypatch.setattr(registry.METRICS, "_entries", lambda: {**known, **mine})


@pytest.mark.usefixtures("plugged")
def test_a_plugin_is_audited_and_judged() -> None:
    """By hand: a metric that says 1 of everything passes what asks for 1 at equal sets and fails what asks for 0 and
    for a bell; one that never says anything has no number, with its reason, and fails nobody else."""
    assert {"always_one", "never_says"} <= {own.family for own in audited()}
    chosen = audited(["always_one", "never_says"])
    found = measured(chosen, ["gaussian-mean-difference-with-pareto"], Extent(points=20, repeats=1, values=5))
    checks = judged(found, chosen)
    one = checks[checks.metric == "always_one"].set_index("check").verdict
    assert one.to_dict() == {
        "identical": "pass", "extreme negative": "fail", "extreme positive": "fail", "bell shape": "fail",
    }  # fmt: skip
    never = checks[checks.metric == "never_says"]
    assert set(never.verdict) == {"no number"}
    assert never.detail.str.contains("no idea").all()


@pytest.mark.costly
def test_verdicts_of_precision_are_the_authors() -> None:
    """Experiments of which nothing is left to chance, precision and recall with k = 3 as the authors compute them: the
    same verdicts with one draw of theirs at the paper's size."""
    chosen = audited(["precision_k3", "recall_k3"])
    checks = judged(measured(chosen, ["gaussian-mixture-mode-dropping-invention"], Extent(repeats=1)), chosen)
    theirs = pd.read_csv(AUTHORS, keep_default_na=False)
    both = checks.merge(theirs, on=["experiment", "case", "check", "metric"])
    assert len(both) == 6
    assert (both.verdict_x == both.verdict_y).all()


def test_disturbances_are_judged_by_hand() -> None:
    """Undisturbed 1; nobody sees ±1 (0.9, it moves by 0.1) and ±2 (1.3), anybody sees noise (0.5) and the missing
    classes (1.05). So ±2 moves it by 0.3, noise by 0.5: passes on images; the missing classes by 0.05: fails with
    them. Of fidelity the second is not asked. A value that is not there is no number."""
    rows = [
        ("none", ""),
        ("checkerboard-1", "no"),
        ("checkerboard-2", "no"),
        ("noise-32", "yes"),
        ("classes-missing", "yes"),
    ]
    frame = pd.DataFrame(rows, columns=["disturbance", "visible"]).assign(
        dataset="toy", extractor="net", n_images=10, value=[1, 0.9, 1.3, 0.5, 1.05], reason=None
    )
    both = pd.concat([frame.assign(metric="coverage"), frame.assign(metric="precision")], ignore_index=True)
    chosen = select_metrics(["precision", "coverage"], ["net"])
    found = judged_images(both, chosen).set_index(["metric", "check"]).verdict
    assert found.to_dict() == {
        ("precision", "images"): "pass",
        ("coverage", "images"): "pass",
        ("coverage", "images and classes"): "fail",
    }
    both.loc[3, "value"], both.loc[3, "reason"] = np.nan, "too few"
    missing = judged_images(both, chosen).set_index(["metric", "check"])
    assert missing.loc[("coverage", "images"), "verdict"] == "no number"
    assert missing.loc[("coverage", "images"), "detail"] == "too few"


def test_evidence_is_standardised_by_the_real_side() -> None:
    """Mean 0 and deviation 1 of the real ones; an axis that never varies is centred and left at its width."""
    real, generated = np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[4.0, 6.0]])
    sides = evidence_of(real, generated).sets
    assert torch.equal(sides["reference"][SPACE].features, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))  # type: ignore[arg-type]
    assert torch.equal(sides["generated"][SPACE].features, torch.tensor([[3.0, 1.0]]))  # type: ignore[arg-type]
