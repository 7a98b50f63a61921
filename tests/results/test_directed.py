"""Numbers of different directions of a translation answer different questions: they never meet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench.core.errors import InputError, NothingComparable
from benchbench.core.hashing import digest
from benchbench.results.claims.conditions import check_comparable
from benchbench.results.claims.gate import check
from benchbench.results.claims.gate_config import load_gate
from benchbench.results.claims.gate_match import match
from benchbench.results.claims.numbers import Asked, Unit, numbers
from benchbench.results.claims.spread import spreads
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_results
from benchbench.results.record import Row
from benchbench.results.select_records import select
from benchbench.results.summary import summarise
from benchbench.results.tables import read_rows, to_frame, write_rows
from benchbench.views.board import boards

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
BOTH = ("AtoB", "BtoA")
FD = "fd_efficientnet_lite0"


@pytest.fixture
def row(make_row: MakeRow) -> MakeRow:
    """A distance of a translation, of one seed, without an interval; each model and seed is a cell of its own."""

    def make(direction: str, value: float, seed: int = 0, model: str = "cyclegan", **more: Any) -> Row:
        cell = digest([model, seed])[:16]
        stated = {"task": "translation", "low": None, "high": None, "interval": None, "headline": True} | more
        return make_row(cell=cell, model=model, direction=direction, value=value, seed=seed, **stated)

    return make


def test_they_are_not_averaged(row: MakeRow) -> None:
    """Means over two seeds by hand, 10 and 30 of A to B, 100 and 300 of B to A; not one of them holds both."""
    rows = [
        row(way, times * value, seed)
        for way, times in zip(BOTH, (1, 10), strict=True)
        for seed, value in enumerate((10.0, 30.0))
    ]
    table = to_frame(rows)
    found = numbers(table)[Unit("digits", "cyclegan", "")]
    assert {asked: (number.values, number.mean) for asked, (number,) in found.items()} == {
        Asked("translation", "AtoB", FD): ([10.0, 30.0], 20.0),
        Asked("translation", "BtoA", FD): ([100.0, 300.0], 200.0),
    }
    lines = summarise(table)
    assert lines[["direction", "value", "n_seeds"]].to_numpy().tolist() == [
        ["AtoB", 20.0, 2],
        ["BtoA", 200.0, 2],
    ]


def test_one_says_nothing_of_the_spread_of_the_other(row: MakeRow) -> None:
    """The pool of a direction holds the two models' seeds in it, and theirs alone."""
    rows = [
        row(way, times * value, seed, model)
        for way, times in zip(BOTH, (1, 10), strict=True)
        for model in ("cyclegan", "identity")
        for seed, value in enumerate((10.0, 30.0) if model == "cyclegan" else (20.0, 21.0))
    ]
    found = numbers(to_frame(rows))
    unit, pools = Unit("digits", "cyclegan", ""), spreads([found])
    groups = {asked.direction: pools(unit, asked, number).groups for asked, (number,) in found[unit].items()}
    assert groups == {
        "AtoB": ((10.0, 30.0), (20.0, 21.0)),
        "BtoA": ((100.0, 300.0), (200.0, 210.0)),
    }


def test_they_are_not_ranked_together(row: MakeRow) -> None:
    """A model of one direction stands on the board of that direction only, however good it is; there are two boards."""
    rows = [row(way, 10.0 + seed, seed) for way in BOTH for seed in range(3)]
    rows += [row("BtoA", 1.0 + seed / 10, seed, "pix2pix") for seed in range(3)]
    found = {board.title: [name for name, _ in board.rows] for board in boards(to_frame(rows))}
    assert found == {
        "digits: translation, A to B": ["cyclegan (3 seeds)"],
        "digits: translation, B to A": ["pix2pix (3 seeds)", "cyclegan (3 seeds)"],
    }


def test_they_are_not_compared(row: MakeRow) -> None:
    """A model in one direction against another in the other one: there is nothing to compare, in both ways to ask; with
    a second number in common, that one alone, under a p that counts one test."""
    a, b = (
        [row(way, 10.0 + seed, seed, model) for seed in range(3)]
        for way, model in zip(BOTH, "ab", strict=True)
    )
    with pytest.raises(NothingComparable, match="share no number"):
        compare(to_frame(a), to_frame(b))
    with pytest.raises(NothingComparable, match="share no number"):
        check_comparable(to_frame(a), to_frame(b))
    more = [row("BtoA", 20.0 + seed, seed, "a") for seed in range(3)]
    (pair,) = compare(to_frame([*a, *more]), to_frame(b)).pairs
    assert [(line.task, line.direction, line.a.mean, line.b.mean) for line in pair.lines] == [
        ("translation", "BtoA", 21.0, 11.0)
    ]
    assert pair.lines[0].difference is not None
    assert pair.lines[0].p == pair.lines[0].difference.p
    assert pair.a_only == (f"{FD} (translation_AtoB)",)
    assert check_comparable(to_frame(more), to_frame(b)) == [("digits", "translation", "BtoA", FD)]


def test_each_headline_is_a_decision_of_its_own(row: MakeRow) -> None:
    """Two directions, two headlines: neither p is corrected for the other one."""
    a, b = (
        to_frame([row(way, base + seed, seed, model) for way in BOTH for seed in range(3)])
        for model, base in (("a", 10.0), ("b", 12.0))
    )
    (pair,) = compare(a, b).pairs
    assert len(pair.lines) == 2
    for line in pair.lines:
        assert line.family == "headline"
        assert line.difference is not None
        assert line.p == line.difference.p


def test_a_check_does_not_take_one_for_the_other(row: MakeRow, land: Land, tmp_path: Path) -> None:
    """What the baseline has of A to B is missing in a candidate of B to A, and what that has is new."""
    for name, way in zip(("baseline", "candidate"), BOTH, strict=True):
        land(tmp_path / name, [row(way, 10.0)])
    found = match(tmp_path / "baseline", tmp_path / "candidate")
    assert found.pairs == []
    assert [(left.what, left.question.direction) for left in found.left] == [
        ("missing", "AtoB"),
        ("new", "BtoA"),
    ]
    report = check(tmp_path / "baseline", tmp_path / "candidate", load_gate())
    assert report.exit_code == 3
    assert [(f["task"], f["direction"]) for f in report.as_dict()["findings"]] == [
        ("translation", "AtoB"),
        ("translation", "BtoA"),
    ]


def test_a_record_holds_both(row: MakeRow, tmp_path: Path) -> None:
    """One metric in two directions is no duplicate; twice in one direction it is, and the sentence says in which."""
    rows = [row(way, 10.0) for way in BOTH]
    write_rows(tmp_path / "metrics.csv", rows)
    assert read_rows(tmp_path / "metrics.csv") == rows
    with pytest.raises(ValueError, match=f"two rows for {FD} in task translation_BtoA"):
        write_rows(tmp_path / "metrics.csv", [*rows, rows[1]])
    text = (tmp_path / "metrics.csv").read_text(encoding="utf-8")
    (tmp_path / "metrics.csv").write_text(text.replace(",BtoA,", ",BtoC,"), encoding="utf-8")
    with pytest.raises(InputError, match="row 3 has 'BtoC' as its direction"):
        read_rows(tmp_path / "metrics.csv")


def test_the_load_that_was_measured_is_that_of_the_direction(
    row: MakeRow, land: Land, tmp_path: Path
) -> None:
    """Half of a core of two while A to B was timed, a whole one while B to A was: 25% and 50% of the machine."""
    clocked = {"aspect": "throughput", "metric": "sampling_rate", "headline": False}
    busy = {"aspect": "cost", "metric": "machine_busy", "headline": False}
    rows = [row(way, 9.0, **clocked) for way in BOTH]
    rows += [row(way, cores, **busy) for way, cores in zip(BOTH, (0.5, 1.0), strict=True)]
    land(tmp_path, rows, {"machine": {"cores": 2}})
    found = load_results(tmp_path)
    rates = found[found["metric"] == "sampling_rate"]
    assert dict(zip(rates["direction"], rates["busy"], strict=True)) == {"AtoB": 0.25, "BtoA": 0.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("direction=AtoB", [("translation", "AtoB")]),
        ("task=translation", [("translation", "AtoB"), ("translation", "BtoA")]),
        ("model=cyclegan,direction=BtoA", [("translation", "BtoA")]),
        ("direction=", [("training", "")]),
    ],
)
def test_a_direction_is_selected(
    row: MakeRow, land: Land, tmp_path: Path, text: str, expected: list[tuple[str, str]]
) -> None:
    """As any other column; what has no direction is not among those of one."""
    rows = [row(way, 10.0) for way in BOTH]
    rows.append(row("", 5.0, task="training", metric="training_rate", headline=False))
    land(tmp_path, rows)
    (chosen,) = select([text], tmp_path)
    assert list(chosen.rows[["task", "direction"]].itertuples(index=False, name=None)) == expected


def test_a_direction_that_nothing_has(row: MakeRow, land: Land, tmp_path: Path) -> None:
    """The sentence names those that there are."""
    land(tmp_path, [row("AtoB", 10.0)])
    with pytest.raises(InputError, match="no record here has direction=AtoC; did you mean 'AtoB'"):
        select(["direction=AtoC"], tmp_path)
