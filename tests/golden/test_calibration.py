"""The calibration page (benchmarks/calibration.py): what docs/calibration.md says is what the code and the installed
packages say now."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import calibration
import pytest
from calibration_rows.page import ELSEWHERE, packages, read, write
from calibration_rows.row import (
    Cell,
    Other,
    Row,
    Section,
    contradictions,
    departures,
    installed,
    key,
    measure,
    other_versions,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
CELLS, VERSIONS = read(PAGE)
ROWS = [(row, section.slow) for section in calibration.SECTIONS for row in section.rows]


def test_the_page_is_what_its_rows_make() -> None:
    """Every sentence, row and percentage is of the script: written again from the numbers read off it, it is the same
    to the byte."""
    assert write(calibration.SECTIONS, CELLS, VERSIONS) == PAGE


def test_the_page_has_every_package() -> None:
    """As published every package was there, and every call gave a number."""
    assert sorted(VERSIONS) == packages(calibration.SECTIONS)
    assert not [name for name, cell in CELLS.items() if isinstance(cell.theirs, str)]


def test_the_page_claims_what_its_numbers_show() -> None:
    """Six digits, so what is the same to 1e-9 may look 5e-6 apart."""
    wrong = [
        said
        for row, _ in ROWS
        for other in row.others
        for said in contradictions([rounded(row, other)], CELLS)
    ]
    assert wrong == []


def rounded(row: Row, other: Other) -> Row:
    """The row with this one alone, its bound no closer than six digits are."""
    same = None if other.same is None else max(other.same, 1e-5)
    return Row(
        row.metric, row.on, row.ours, (Other(other.package, other.call, other.value, "", same),), row.within
    )


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=pytest.mark.slow if slow else pytest.mark.costly, id=row.name)
        for row, slow in ROWS
    ],
)
def test_the_numbers_recur(row: Row) -> None:
    """Ours and those of packages in the page's version, to the row's own bound: six digits and float64's noise at
    1e-5, a float32 network at 1e-4. What is said to be the same is held to that on all digits. Packages of another
    version are named and passed over."""
    passed_over = other_versions(row, VERSIONS)
    now = measure(row, passed_over)
    assert [*departures(row, now, CELLS), *contradictions([row], now)] == []
    if passed_over:
        pytest.skip("; ".join(passed_over.values()))


@pytest.mark.parametrize(("names", "path"), [(row[0], row[3]) for row in ELSEWHERE])
def test_what_holds_the_others_is_there(names: str, path: str) -> None:
    """Files that the last table names are there and speak of the metrics in their row."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert any(name in text for name in re.findall(r"`(\w+)`", names))


def toy(value: float, same: float | None, package: str = "numpy", ours: float = 2.0) -> Row:
    """A row of one other number; NaN in its place fails where it is asked for."""

    def other() -> float:
        if math.isnan(value):
            raise AssertionError("asked for a number that is to be passed over")
        return value

    return Row("fd", "toys", lambda: ours, (Other(package, "call", other, "Why.", same),))


def test_another_version_is_named_and_passed_over() -> None:
    """Not asked for, not failed; ours beside it still is held."""
    row = toy(math.nan, 1e-9)
    page = {key(row, row.others[0]): Cell(2.0, 7.0)}
    passed_over = other_versions(row, {"numpy": "0.1"})
    assert passed_over == {"numpy": f"numpy is {installed('numpy')}, the page has 0.1"}
    now = measure(row, passed_over)
    assert [*departures(row, now, page), *contradictions([row], now)] == []
    moved = toy(math.nan, 1e-9, ours=2.1)
    said = list(departures(moved, measure(moved, passed_over), page))
    assert said == ["fd on toys: ours is 2.1, the page has 2.0"]


def test_a_package_that_went_is_named() -> None:
    row = toy(math.nan, 1e-9, package="no-such-package")
    said = {"no-such-package": "no-such-package is not installed, the page has 1.0"}
    assert other_versions(row, {"no-such-package": "1.0"}) == said


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        (Cell(2.0, 3.00001), 0),
        (Cell(2.0, 3.1), 1),
        (Cell(2.1, 3.0), 1),
        (Cell(2.1, 3.1), 2),
        (Cell(2.0, "not installed"), 1),
    ],
)
def test_a_number_that_moved_is_found(page: Cell, wrong: int) -> None:
    """Ours or the package's; within the row's 1e-5 nothing is said."""
    row = toy(3.0, None)
    assert len(list(departures(row, measure(row), {key(row, row.others[0]): page}))) == wrong


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (toy(2.1, 1e-9), "0.05 away"),
        (toy(2.0, None), "said to differ"),
        (toy(2.1, None), ""),
        (toy(2.0, 1e-9), ""),
    ],
)
def test_false_claims_are_found(row: Row, said: str, tmp_path: Path) -> None:
    """One said to agree that does not, one said to differ that does not: no page then, exit code 1."""
    page = tmp_path / "page.md"
    found = list(contradictions([row], measure(row)))
    assert len(found) == bool(said)
    assert all(said in sentence for sentence in found)
    assert calibration.main(["--out", str(page)], [Section("Toys", "Two.", [row])]) == bool(said)
    assert page.exists() == (not said)


def sections(rows: Sequence[Row]) -> list[Section]:
    return [Section("Toys", "Some.", rows)]


def test_a_missing_package_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rows stand, without a number, and it has no version."""
    made = sections([toy(math.nan, 1e-9, package="no-such-package"), toy(-2.5e-7, None)])
    assert calibration.main([], made) == 0
    text = capsys.readouterr().out
    assert "| no-such-package | `call` | not installed |" in text
    cells, versions = read(text)
    assert versions == {"numpy": installed("numpy")}
    assert {cell.theirs for cell in cells.values()} == {"not installed", -2.5e-7}
    assert write(made, cells, versions) == text


def test_where_nothing_can_be_written_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before minutes of measuring: a folder, and a file in a folder that there is not."""
    made = sections([toy(math.nan, None)])
    for out in (tmp_path, tmp_path / "no" / "page.md"):
        with pytest.raises(SystemExit, match="2"):
            calibration.main(["--out", str(out)], made)
        assert "name a file to be written" in capsys.readouterr().err


def test_a_bar_in_a_sentence_is_refused() -> None:
    """It would end the cell and shift those behind it."""
    row = Row("fd", "toys", lambda: 2.0, (Other("numpy", "call", lambda: 2.0, "a | b", 1e-9),))
    with pytest.raises(ValueError, match="holds a bar"):
        write(sections([row]), measure(row), {})
