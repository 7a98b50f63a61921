"""What is new, gone and changed between two sets of records; numbers and intervals are by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchbench.core.errors import InputError
from benchbench.results.changes import Changes
from benchbench.results.record import Row
from benchbench.verbs.diff import diff
from benchbench.views.changes import as_json, headline, markdown, print_changes

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
RATE = {
    "metric": "sampling_rate",
    "aspect": "throughput",
    "extractor": None,
    "value": 100.0,
    "low": 90.0,
    "high": 110.0,
}


@pytest.fixture
def between(tmp_path: Path, make_row: MakeRow, land: Land) -> Callable[..., Changes]:
    """What changed from one table to another: each a list of cells, (key, fields of its rows, …)."""

    def write(name: str, cells: list[tuple[str, list[dict[str, object]]]]) -> str:
        for key, rows in cells:
            land(tmp_path / name, [make_row(cell=key * 8, **row) for row in rows])
        return str(tmp_path / name)

    def compare(
        a: list[tuple[str, list[dict[str, object]]]], b: list[tuple[str, list[dict[str, object]]]]
    ) -> Changes:
        return diff(write("a", a), write("b", b))

    return compare


def kinds(found: Changes) -> dict[str, str]:
    return {change.asked.metric: change.kind for change in found.changed}


def test_nothing_changed(between: Callable[..., Changes]) -> None:
    """0, and every number stayed."""
    found = between([("ab", [{}, RATE])], [("ab", [{}, RATE])])
    assert (found.exit_code, found.same, found.changed, found.cells) == (0, 2, [], (0, 1, 0))


def test_a_change_within_and_beyond_its_interval(between: Callable[..., Changes]) -> None:
    """The interval of 12.5 is [11, 14]: 13 lies within it and 15 does not. Under other keys, as after a change of the
    code: the first is no reason to look, the second is. A rate may do what it likes."""
    found = between([("ab", [{}, RATE])], [("cd", [{"value": 13.0}, RATE | {"value": 500.0, "high": 600.0}])])
    assert [(change.beyond, change.weighs) for change in found.changed] == [(False, False), (True, False)]
    assert (found.exit_code, found.rewritten) == (0, [])


def test_beyond(between: Callable[..., Changes]) -> None:
    """As above, beyond it; worse, since a distance is better where it is smaller."""
    found = between([("ab", [{}])], [("cd", [{"value": 15.0, "high": 16.0}])])
    assert (found.exit_code, found.changed[0].beyond) == (1, True)
    out = io.StringIO()
    print_changes(Console(file=out, width=200), found)
    assert (
        "12.50 [11.00, 14.00] → 15.00 [11.00, 16.00], +2.500, beyond the interval of A, worse"
        in out.getvalue()
    )


def test_one_key_says_one_thing(between: Callable[..., Changes]) -> None:
    """Another number under the same key is named, however small the change: one experiment has one answer."""
    found = between([("ab", [{}])], [("ab", [{"value": 12.6}])])
    assert (found.rewritten, found.exit_code) == (["ab" * 8], 1)
    assert "written anew under the same key: " + "ab" * 8 in headline(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"low": 12.4, "high": 12.6},
        {"low": None, "high": None},
        {"n_images": 2000},
        {"n_reference": None},
        {"precision": "x"},
    ],
)
def test_one_key_says_it_of_the_same(changes: dict[str, object], between: Callable[..., Changes]) -> None:
    """The value stayed; its interval, or of what it was made, is another under the same key."""
    found = between([("ab", [{}, RATE])], [("ab", [changes, RATE | {"n_images": 7, "low": 95.0}])])
    assert (found.rewritten, found.exit_code) == (["ab" * 8], 1)


def test_clocks_rewrite_nothing(between: Callable[..., Changes]) -> None:
    """As above, the rate alone, and one that came beside."""
    found = between(
        [("ab", [{}, RATE])], [("ab", [{}, RATE | {"low": 95.0}, RATE | {"metric": "training_rate"}])]
    )
    assert found.rewritten == []


def test_what_is_new_is_fine_and_what_is_gone_is_not(between: Callable[..., Changes]) -> None:
    """A model, a number and a seed come: 0. The other way round: 1."""
    few = [("ab", [{}])]
    more = [
        ("ab", [{}]),
        ("cd", [{"seed": 1, "value": 30.0, "high": 40.0}]),
        ("ef", [{"metric": "kd_efficientnet_lite0"}]),
        ("12", [{"model": "gan"}]),
    ]
    found = between(few, more)
    assert kinds(found) == {"fd_efficientnet_lite0": "more seeds", "kd_efficientnet_lite0": "new"}
    assert [str(unit) for unit in found.new] == ["gan on digits"]
    assert (found.exit_code, found.cells) == (0, (0, 1, 3))


def test_before_the_first_record(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """An empty folder is a repository before its first pull request; what is no folder is still refused."""
    (tmp_path / "a").mkdir()
    land(tmp_path / "b", [make_row()])
    found = diff(tmp_path / "a", tmp_path / "b")
    assert (found.exit_code, found.cells, [str(unit) for unit in found.new]) == (
        0,
        (0, 0, 1),
        ["vae on digits"],
    )
    assert diff(tmp_path / "a", tmp_path / "a").exit_code == 0
    with pytest.raises(InputError):
        diff(tmp_path / "nowhere", tmp_path / "b")


def test_gone(between: Callable[..., Changes]) -> None:
    """A number that fails now says why; a model that is gone stands with its headline."""
    kd = {"metric": "kd_efficientnet_lite0"}
    found = between([("ab", [{}, kd]), ("12", [{"model": "gan"}])], [("cd", [{}, kd | {"value": None}])])
    assert kinds(found) == {"kd_efficientnet_lite0": "gone"}
    assert found.changed[0].why == "too few images"
    assert [str(unit) for unit in found.gone] == ["gan on digits"]
    assert found.exit_code == 1


def test_made_otherwise(between: Callable[..., Changes]) -> None:
    """On another number of images it is another number; that is said, and no verdict."""
    found = between([("ab", [{}])], [("cd", [{"n_images": 500, "value": 40.0, "high": 50.0}])])
    assert [(change.kind, change.why) for change in found.changed] == [
        ("made otherwise", "n_images is 1000 against 500")
    ]
    assert found.exit_code == 0


def test_every_format_holds_a_hostile_name(between: Callable[..., Changes]) -> None:
    """Markdown escapes it, a terminal prints it as it is, JSON reads back."""
    name = "<b>[x](y)[/bold]\x1b[2J"
    found = between([("ab", [{}])], [("ab", [{}]), ("cd", [{"model": name}])])
    assert "<b>" not in markdown(found)
    assert "[x](y)" not in markdown(found)
    out = io.StringIO()
    print_changes(Console(file=out, width=100, markup=False), found)
    assert "\x1b" not in out.getvalue()
    assert json.loads(as_json(found))["new"] == [f"{name} on digits"]
