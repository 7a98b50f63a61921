"""Which numbers belong together, from records on disk, and what happens to those that are alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench.results.claims.findings import Finding, Report
from benchbench.results.claims.gate import check
from benchbench.results.claims.gate_config import Gate, Rule
from benchbench.results.record import Row
from benchbench.results.store import Store

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
FD, RATE = "fd_efficientnet_lite0", "sampling_rate"
MACHINE = {
    "device": "cpu",
    "device_name": "EPYC",
    "processor": "EPYC",
    "cores": 2,
    "threads": 2,
    "load_1min": 0.1,
}
SPEED = {
    "metric": RATE,
    "aspect": "throughput",
    "unit": "images/s",
    "higher_is_better": True,
    "interval": None,
}
TOLERANT = Gate(headline=Rule(relative=0.1), default=Rule(relative=0.1))


@pytest.fixture
def sides(tmp_path: Path, make_row: MakeRow, land: Land) -> Callable[..., Report]:
    """Write one cell a side (each a list of changes to a plain row) and check them."""

    def write(side: str, rows: list[dict[str, Any]], machine: Any, facts: dict[str, Any]) -> None:
        cell = {"baseline": "a", "candidate": "b"}[side]
        run = {"machine": machine, "data": {"fingerprint": "f" * 64}} | facts
        cells: dict[str, list[Row]] = {}
        for changes in rows:
            row = make_row(**{"cell": f"{cell * 15}{changes.get('seed', 0)}", **changes})
            cells.setdefault(row.cell, []).append(row)
        for same in cells.values():
            land(tmp_path / side, same, dict(run))

    def run(
        baseline: list[dict[str, Any]], candidate: list[dict[str, Any]], gate: Gate = TOLERANT, **other: Any
    ) -> Report:
        for side in ("baseline", "candidate"):
            (tmp_path / side).mkdir(exist_ok=True)
        write("baseline", baseline, MACHINE, {})
        machine = MACHINE | other.get("machine", {}) if other.get("machine", {}) is not None else {}
        write("candidate", candidate, machine, other.get("facts", {}))
        return check(tmp_path / "baseline", tmp_path / "candidate", gate)

    return run


def by_metric(report: Report) -> dict[str, Finding]:
    return {finding.metric: finding for finding in report.findings}


def test_the_mean_over_seeds_is_compared(sides: Callable[..., Report]) -> None:
    """By hand: (10 + 12)/2 = 11 against (11 + 12 + 16)/3 = 13; the seeds are told."""
    before = [{"seed": s, "value": v} for s, v in ((0, 10.0), (1, 12.0))]
    after = [{"seed": s, "value": v} for s, v in ((0, 11.0), (1, 12.0), (5, 16.0))]
    finding = by_metric(sides(before, after))[FD]
    assert (finding.baseline, finding.candidate, finding.verdict) == (11.0, 13.0, "regression")
    assert (finding.baseline_seeds, finding.candidate_seeds) == ([0, 1], [0, 1, 5])


@pytest.mark.costly
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_images": 5000}, "n_images is 1000 against 5000"),
        ({"n_reference": None}, "n_reference is 1437 against none"),
        ({"extractor": "dinov2"}, "extractor is efficientnet_lite0 against dinov2"),
        ({"resize": "tf1-bilinear-299"}, "resize is bicubic-antialias-128 against tf1-bilinear-299"),
        ({"precision": "bfloat16"}, "precision is float32 against bfloat16"),
        ({"metric_version": 2}, "metric_version is 1 against 2"),
        ({"unit": "dB"}, "unit is  against dB"),
    ],
)
def test_another_protocol_is_not_comparable(
    sides: Callable[..., Report], change: dict[str, Any], said: str
) -> None:
    """However much worse the number is: the field is named, nothing fails, and alone it is exit code 3."""
    report = sides([{}], [{"value": 1e6, **change}])
    (finding,) = report.findings
    assert (finding.verdict, finding.fails, finding.reason) == ("not comparable", False, said)
    assert report.exit_code == 3
    assert said in report.headline


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"data": {"fingerprint": "e" * 64}}, "the reference data is ffffffff against eeeeeeee"),
        ({"data": {"fingerprint": "f" * 64, "size": "64×64"}}, "the size is none against 64×64"),
        ({"data": {"fingerprint": "f" * 64, "decoder": "pillow"}}, "decoder is none against pillow"),
        (
            {"extractors": {"efficientnet_lite0": {"weights_sha256": "d" * 64}}},
            "the weights of the extractor is none against dddddddd",
        ),
    ],
)
def test_what_only_run_json_knows_is_not_comparable(
    sides: Callable[..., Report], facts: dict[str, Any], said: str
) -> None:
    """Other pixels under one name, another size, decoder, or weights file of one extractor: the field is named, and
    exit code 3."""
    report = sides([{}], [{"value": 1e6}], facts=facts)
    (finding,) = report.findings
    assert (finding.verdict, finding.reason, report.exit_code) == ("not comparable", said, 3)


def test_of_two_protocols_the_shared_one_is_compared(sides: Callable[..., Report]) -> None:
    """The baseline has 1,000 and 5,000 images, the branch only 1,000: one compared, one missing; never averaged."""
    report = sides([{}, {"n_images": 5000, "seed": 1, "value": 3.0}], [{"seed": 1}])
    found = {finding.verdict: finding for finding in report.findings}
    assert found.keys() == {"ok", "missing"}
    assert (found["ok"].baseline, found["ok"].candidate) == (12.5, 12.5)


def test_another_machine_makes_speed_not_comparable_and_nothing_else(sides: Callable[..., Report]) -> None:
    """Half the rate and twice the memory on another processor are no regression; twice the parameters are one on any
    machine, and quality is compared as ever."""
    cost = {"aspect": "cost", "higher_is_better": False, "interval": None}
    rows = [
        {},
        {**SPEED, "value": 100.0},
        {**cost, "metric": "peak_memory_rss", "value": 1.0},
        {**cost, "metric": "parameters", "value": 1.0},
    ]
    worse = [rows[0], {**rows[1], "value": 50.0}, {**rows[2], "value": 2.0}, {**rows[3], "value": 2.0}]
    elsewhere = by_metric(sides(rows, worse, machine={"processor": "Xeon", "device_name": "Xeon"}))
    verdicts = {metric: finding.verdict for metric, finding in elsewhere.items()}
    assert verdicts == {
        FD: "ok",
        RATE: "not comparable",
        "peak_memory_rss": "not comparable",
        "parameters": "regression",
    }
    assert "EPYC" in elsewhere[RATE].reason
    assert "Xeon" in elsewhere[RATE].reason


def test_the_same_machine_compares_speed(sides: Callable[..., Report]) -> None:
    """Half the rate is beyond the 25% of the built-in gate; its load does not make it another machine."""
    rate = {**SPEED, "value": 100.0}
    report = sides([{}, rate], [{}, {**rate, "value": 50.0}], machine={"load_1min": 1.9})
    assert by_metric(report)[RATE].reason == "worse by 50 (50.00%), more than relative = 0.25 allows"
    assert report.exit_code == 1
    assert not any("of the machine" in note for note in report.notes)


def test_a_busy_machine_is_mentioned_and_fails_nothing(sides: Callable[..., Report]) -> None:
    """By the record's own row: one of two cores went to others while it was timed. An older record has the load
    alone: three runnable processes on two cores are half a one a core more than the run itself takes. A rate is
    compared all the same, and a lower one is a doubt, no failure; memory does not mind."""
    rate = {**SPEED, "value": 100.0}
    busy = {
        "metric": "machine_busy",
        "aspect": "cost",
        "higher_is_better": None,
        "interval": None,
        "value": 1.0,
    }
    for report in (
        sides([{}, rate], [{}, rate], machine={"load_1min": 3.0}),
        sides([{"seed": 1}, {**rate, "seed": 1}], [{"seed": 1}, {**rate, "seed": 1}, {**busy, "seed": 1}]),
    ):
        assert any("took up to 50% of the machine" in note for note in report.notes)


def test_a_lower_rate_on_a_busy_machine(sides: Callable[..., Report]) -> None:
    """A hundredth of the rate and ten times the memory: the memory fails."""
    rows = [
        {},
        {**SPEED, "value": 100.0},
        {"metric": "peak_memory_rss", "aspect": "cost", "value": 1.0, "interval": None},
    ]
    worse = [{}, {**rows[1], "value": 1.0}, {**rows[2], "value": 10.0}]
    report = sides(rows, worse, machine={"load_1min": 3.0})
    found = by_metric(report)
    assert (found[RATE].verdict, found[RATE].fails) == ("cannot tell", False)
    assert found[RATE].reason.endswith("allows; other programs took 50% of the machine")
    assert (found["peak_memory_rss"].fails, report.exit_code) == (True, 1)


def test_a_machine_that_nobody_stated_is_not_the_same(sides: Callable[..., Report]) -> None:
    """Two unknown machines are not known to be one."""
    rate = {**SPEED, "value": 100.0}
    assert by_metric(sides([{}, rate], [{}, rate], machine=None))[RATE].verdict == "not comparable"


MISSING = {"metric": "ssim", "higher_is_better": True, "value": 0.5}


@pytest.mark.costly
@pytest.mark.parametrize(
    ("candidate", "gate", "verdict", "code"),
    [
        ([{}], "metric", "missing", 1),
        ([{}], "model", "missing", 1),
        ([{}], "ignore", "missing", 0),
        (
            [{}, {**MISSING, "value": None, "status": "unavailable", "reason": "no weights"}],
            "metric",
            "missing",
            1,
        ),
        ([{}, {**MISSING, "value": None}], "ignore", "failed", 4),
    ],
)
def test_a_number_that_only_the_baseline_has(
    sides: Callable[..., Report], candidate: list[dict[str, Any]], gate: str, verdict: str, code: int
) -> None:
    """The table of docs/check.md. A failed number is exit code 4 whatever `missing` says; an unavailable one is
    missing, with the record's own reason."""
    report = sides([{}, MISSING], candidate, Gate(default=Rule(relative=0.1), missing=gate))
    finding = by_metric(report)["ssim"]
    assert (finding.verdict, finding.fails, report.exit_code) == (verdict, code != 0, code)
    if len(candidate) == 2:
        assert ("no weights" if verdict == "missing" else "too few images") in finding.reason


@pytest.mark.parametrize("change", [{"higher_is_better": None}, SPEED, {"metric": "ignored"}])
def test_what_is_not_gated_may_be_missing(sides: Callable[..., Report], change: dict[str, Any]) -> None:
    """No direction, a rate, and a metric that the gate ignores."""
    gate = Gate(default=Rule(relative=0.1), metric={"ignored": Rule(ignore=True)})
    assert sides([{}, {"metric": "other", **change}], [{}], gate).exit_code == 0


@pytest.mark.costly
def test_a_model_that_was_not_run_is_listed_or_fails(sides: Callable[..., Report]) -> None:
    """One finding for the whole model; a model that only the branch has is new and harmless."""
    baseline, candidate = [{}, {"model": "gan", "seed": 1}], [{}, {"model": "flow", "seed": 1}]
    report = sides(baseline, candidate)
    whole = {finding.model: finding.verdict for finding in report.findings if not finding.metric}
    assert (whole, report.exit_code) == ({"gan": "not run", "flow": "new"}, 0)
    report = sides(baseline, candidate, Gate(default=Rule(relative=0.1), missing="model"))
    whole = {finding.model: finding.verdict for finding in report.findings if not finding.metric}
    assert (whole, report.exit_code) == ({"gan": "missing", "flow": "new"}, 1)


def test_new_numbers_are_listed(sides: Callable[..., Report]) -> None:
    """Nothing to hold them against."""
    report = sides([{}], [{}, MISSING])
    assert (by_metric(report)["ssim"].verdict, report.exit_code) == ("new", 0)


def test_one_failed_seed_is_a_failure_beside_the_others(sides: Callable[..., Report]) -> None:
    """Seed 1 has a number in the baseline and failed in the branch; seed 0 is compared all the same. Where the
    baseline failed with the same seed, nothing is new."""
    report = sides([{}, {"seed": 1}], [{}, {"seed": 1, "value": None}])
    assert sorted(finding.verdict for finding in report.findings) == ["failed", "ok"]
    assert "failed with seed 1: too few images" in report.headline
    assert report.exit_code == 4


def test_a_failure_that_the_baseline_has_too_is_no_news(sides: Callable[..., Report]) -> None:
    """The same seed failed before."""
    report = sides([{}, {"seed": 1, "value": None}], [{}, {"seed": 1, "value": None}])
    assert [finding.verdict for finding in report.findings] == ["ok"]
    assert report.exit_code == 0


def test_a_failed_cell_is_exit_code_4(tmp_path: Path, sides: Callable[..., Report]) -> None:
    """A suite leaves a folder with nothing but the reason; the model is not "not run" then."""
    facts = {"seed": 2, "reason": "the loss is not a number", "when": "2024-05-01T12:00:00Z"}
    Store(tmp_path / "candidate").record_failure("digits", "vae", "c" * 16, facts)
    report = sides([{}], [])
    (finding,) = report.findings
    assert (finding.verdict, report.exit_code) == ("failed", 4)
    assert "the cell of seed 2 failed: the loss is not a number" in report.headline


def test_a_seed_with_two_values_is_told_apart(sides: Callable[..., Report]) -> None:
    """Two recipes under one name are no seeds, and keep nobody from checking the rest: each gets a label of its
    own, here by cell since nothing else differs. The branch has neither, so that both were not run, and the
    branch's is new."""
    report = sides(
        [{}, {"cell": "c" * 16, "value": 3.0}, {"model": "gan", "seed": 1}], [{}, {"model": "gan", "seed": 1}]
    )
    found = {(f.model, f.variant): f.verdict for f in report.findings}
    assert found == {
        ("vae", f"cell={'a' * 15}0"): "not run",
        ("vae", f"cell={'c' * 16}"): "not run",
        ("vae", ""): "new",
        ("gan", ""): "ok",
    }


@pytest.mark.parametrize("change", [{"n_images": 5000}, {"value": None}])
def test_models_are_matched_by_what_they_were_trained_with(
    sides: Callable[..., Report], change: dict[str, Any]
) -> None:
    """A variant is another model: 10 of one and 1,000 of the other are never held against each other."""
    report = sides([{"variant": "lr=0.1"}], [{"variant": "lr=0.2", **change}])
    assert {f.variant: f.verdict for f in report.findings} == {"lr=0.1": "not run", "lr=0.2": "new"}
    assert report.exit_code == 3


def test_a_rule_that_fits_nothing_is_mentioned(sides: Callable[..., Report]) -> None:
    """A slip in a pattern would leave a metric under another rule without a word."""
    gate = Gate(default=Rule(relative=0.1), metric={"fdd_*": Rule(relative=0.0)})
    assert 'The rule [metric."fdd_*"] fits no number here.' in sides([{}], [{}], gate).notes


def test_a_guessed_spread_is_mentioned(sides: Callable[..., Report]) -> None:
    """One run a side of a headline, and nobody knows how seeds scatter: what is assumed is said, with the way out.
    Where other models tell, nothing is assumed."""
    lead = {"headline": True, "scale": "log", "minimum": 0.0}
    notes = " ".join(sides([lead], [{"value": 13.0, **lead}], Gate()).notes)
    assert "1 headline had one run a side and no model here tells how far seeds scatter" in notes
    assert "taken to be 15%. Run several seeds" in notes


def test_a_spread_that_others_tell_is_not_guessed(sides: Callable[..., Report]) -> None:
    """Two other models with two seeds each, in both folders."""
    lead = {"headline": True, "scale": "log", "minimum": 0.0}
    others = [
        {"model": m, "seed": s, "cell": f"{m}{s}" + "0" * 8, "value": v, **lead}
        for m, values in (("ab", (20.0, 22.0)), ("cd", (30.0, 31.0)))
        for s, v in enumerate(values)
    ]
    baseline = [{"seed": 7, **lead}, *others]
    again = [{**row, "cell": row["cell"][:3] + "1" * 8} for row in others]
    report = sides(baseline, [{"seed": 7, "value": 40.0, **lead}, *again], Gate())
    (finding,) = (f for f in report.findings if f.model == "vae")
    assert finding.verdict == "regression"
    assert "pooled with 2 models" in str(finding.method)
    assert not any("taken to be" in note for note in report.notes)


def test_a_collapse_of_the_branch_is_mentioned(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """The alarm fired in one of two seeds, and in none before: said, whatever the numbers are."""
    for side in ("baseline", "candidate"):
        for seed in (0, 1):
            fired = side == "candidate" and seed == 1
            run = {"collapse": {"step": 3, "words": "few classes"}} if fired else {}
            row = make_row(
                seed=seed,
                cell=f"{side[:1].encode().hex()}{seed}" + "0" * 12,
                value=10.0 + seed,
                headline=True,
            )
            land(tmp_path / side, [row], run)
    (note,) = (
        n for n in check(tmp_path / "baseline", tmp_path / "candidate", Gate()).notes if "collapse" in n
    )
    assert note == (
        "vae on digits: the collapse alarm fired in 1 of 2 seeds of the candidate (1) and in 0 of 2 of the baseline."
    )


def test_a_report_is_ordered_and_leads_with_the_headline(sides: Callable[..., Report]) -> None:
    """By dataset, model and variant, the headline of a task before its other numbers."""
    rows = [{"metric": m, "headline": m == "zz"} for m in ("aa", "zz")]
    rows += [{"metric": "aa", "model": "gan", "seed": 1}]
    report = sides(rows, rows)
    assert [(f.model, f.metric) for f in report.findings] == [("gan", "aa"), ("vae", "zz"), ("vae", "aa")]
