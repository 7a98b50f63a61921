"""Which numbers belong together, from records on disk, and what happens to those that are alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench.core.errors import InputError
from benchbench.results.gate import Finding, Report, check
from benchbench.results.gate_config import Gate, Rule
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
TOLERANT = Gate(default=Rule(relative=0.1))


@pytest.fixture
def sides(tmp_path: Path, make_row: MakeRow, land: Land) -> Callable[..., Report]:
    """Write one cell a side (each a list of changes to a plain row) and check them."""

    def write(side: str, rows: list[dict[str, Any]], machine: Any, fingerprint: str) -> None:
        cell = {"baseline": "a", "candidate": "b"}[side]
        run = {"machine": machine, "data": {"fingerprint": fingerprint}}
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
        write("baseline", baseline, MACHINE, "f" * 64)
        machine = MACHINE | other.get("machine", {}) if other.get("machine", {}) is not None else {}
        write("candidate", candidate, machine, other.get("fingerprint", "f" * 64))
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
        ({"higher_is_better": True}, "higher_is_better is False against True"),
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


def test_another_reference_is_not_comparable(sides: Callable[..., Report]) -> None:
    """The fingerprint of the dataset is in run.json."""
    (finding,) = sides([{}], [{}], fingerprint="e" * 64).findings
    assert finding.verdict == "not comparable"
    assert finding.reason == f"data.fingerprint is {'f' * 64} against {'e' * 64}"


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
    assert not any("busy" in note for note in report.notes)


def test_a_busy_machine_is_mentioned(sides: Callable[..., Report]) -> None:
    """Five runnable processes on two cores are 2.5 a core, before the run or by its own row at the end. A lower rate
    fails all the same, with the doubt beside it."""
    rate = {**SPEED, "value": 100.0}
    load = {
        "metric": "machine_load",
        "aspect": "cost",
        "higher_is_better": None,
        "interval": None,
        "value": 5.0,
    }
    for report in (
        sides([{}, rate], [{}, rate], machine={"load_1min": 5.0}),
        sides([{"seed": 1}, {**rate, "seed": 1}], [{"seed": 1}, {**rate, "seed": 1}, {**load, "seed": 1}]),
    ):
        assert any("busy (up to 2.5 runnable processes a core)" in note for note in report.notes)
    report = sides([{"seed": 2, **rate}], [{"seed": 2, **rate, "value": 1.0}], machine={"load_1min": 5.0})
    assert by_metric(report)[RATE].reason.endswith("allows; the machine was busy")


def test_a_machine_that_nobody_stated_is_not_the_same(sides: Callable[..., Report]) -> None:
    """Two unknown machines are not known to be one."""
    rate = {**SPEED, "value": 100.0}
    assert by_metric(sides([{}, rate], [{}, rate], machine=None))[RATE].verdict == "not comparable"


MISSING = {"metric": "ssim", "higher_is_better": True}


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


def test_a_seed_with_two_values_is_refused(sides: Callable[..., Report]) -> None:
    """Two recipes under one name are no seeds; both cells are named."""
    with pytest.raises(InputError, match=r"several values of fd_.* for seed 0 \(cells a+0, c+\)"):
        sides([{}, {"cell": "c" * 16, "value": 3.0}], [{}])


def test_a_rule_that_fits_nothing_is_mentioned(sides: Callable[..., Report]) -> None:
    """A slip in a pattern would leave a metric under another rule without a word."""
    gate = Gate(default=Rule(relative=0.1), metric={"fdd_*": Rule(relative=0.0)})
    assert 'The rule [metric."fdd_*"] fits no number here.' in sides([{}], [{}], gate).notes


@pytest.mark.parametrize("gate", [Gate(), TOLERANT])
def test_single_seeds_are_mentioned(sides: Callable[..., Report], gate: Gate) -> None:
    """The interval of one run says nothing of other trainings, and a tolerance knows nothing of them either."""
    notes = " ".join(sides([{}], [{"value": 13.0}], gate).notes)
    assert "noise between trainings" in notes
