"""A translator of two directions: the same metrics twice, told apart in every view, by hand-made rows."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchbench.core.hashing import digest
from benchbench.results.across import across
from benchbench.results.claims.findings import Finding, Report
from benchbench.results.claims.verdicts import compare
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import to_frame, write_rows
from benchbench.views import check_report, comparison
from benchbench.views.junit import junit
from benchbench.views.leaderboard import leaderboard
from benchbench.views.report import render_report
from benchbench.views.table import frame_table, metrics_table
from benchbench.views.text import task_words

MakeRow = Callable[..., Row]
LITE = "efficientnet_lite0"
BOTH = ("AtoB", "BtoA")
# (FD, content distance, SSIM, cycle error, its growth, identity error) of each model and direction
NUMBERS = {
    ("cyclegan", "AtoB"): (20.0, 0.3, 0.6, 0.04, 0.01, 0.03),
    ("cyclegan", "BtoA"): (8.0, 0.4, 0.9, 0.05, 0.02, 0.01),
    ("identity", "AtoB"): (50.0, 0.0, 0.5, 0.0, 0.0, 0.0),
    ("identity", "BtoA"): (51.0, 0.0, 0.55, 0.0, 0.0, 0.0),
    ("pix2pix", "BtoA"): (5.0, 0.35, 0.95, None, None, 0.02),
}
LEADS = (f"fd_{LITE}", "ssim")
METRICS = (
    f"fd_{LITE}",
    f"content_distance_{LITE}",
    "ssim",
    "cycle_mae",
    "cycle_growth_rounded",
    "identity_mae",
)


def rows_of(make_row: MakeRow, model: str, dataset: str = "openmoji-lines") -> list[Row]:
    """What a run of this model leaves."""
    found = []
    for way in BOTH:
        for metric, value in zip(METRICS, NUMBERS.get((model, way), ()), strict=False):
            paired: dict[str, Any] = {
                "aspect": "paired",
                "extractor": None,
                "resize": None,
                "n_reference": None,
            }
            if value is not None:
                found.append(
                    make_row(
                        cell=digest([model, dataset]), model=model, dataset=dataset, task="translation",
                        direction=way, metric=metric, value=value, low=value - 0.001, high=value + 0.001,
                        higher_is_better=metric == "ssim", headline=metric in LEADS,
                        **({} if metric.endswith(LITE) else paired),
                    )
                )  # fmt: skip
    return found


def frame(make_row: MakeRow, *models: str) -> Any:
    return to_frame([row for model in models for row in rows_of(make_row, model)])


def shown(table: Any, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("task", "direction", "words"),
    [
        ("translation", "AtoB", "translation, A to B"),
        ("translation", "BtoA", "translation, B to A"),
        ("generation", "", "generation"),
        ("a_to_b\nAtoB", "", "a_to_b AtoB"),
        ("translation", "up\nAtoB", "translation, up A to B"),
    ],
)
def test_a_task_in_words(task: str, direction: str, words: str) -> None:
    """By hand; a stranger's task stays what it is, on one line."""
    assert task_words(task, direction) == words


@pytest.mark.costly
def test_a_direction_is_a_board_of_its_own(make_row: MakeRow) -> None:
    """By hand: ranked by the Fréchet distance, so the control that copies its input is last, although nothing has a
    better cycle; what copying wins by definition stands behind what it does not. pix2pix has one direction and is on
    one board."""
    text = leaderboard(frame(make_row, "cyclegan", "identity", "pix2pix"))
    titles = [line for line in text.splitlines() if line.startswith("###")]
    assert titles == [
        f"### openmoji-lines: translation, {way}: {aspect}"
        for way in ("A to B", "B to A")
        for aspect in ("quality", "paired")
    ]
    to_b, paired_b, to_a, paired_a = text.split("### ")[1:]
    ranked = {part: [line.split()[1] for line in part.splitlines() if "000" in line] for part in (to_b, to_a)}
    assert ranked[to_b][:2] == ["cyclegan", "identity"]
    assert ranked[to_a][:3] == ["pix2pix", "cyclegan", "identity"]
    assert "| **5.000** \\[4.999, 5.001\\] |" in to_a
    assert to_b.index("| fd ↓") < to_b.index("content\\_distance ↓")
    assert "pix2pix" not in to_b + paired_b
    header = next(line for line in paired_a.splitlines() if line.startswith("| model"))
    assert [name.split()[0] for name in header.split(" | ")[1:]] == [
        "ssim",
        "cycle\\_growth\\_rounded",
        "cycle\\_mae",
        "identity\\_mae",
    ]
    assert "openmoji-lines: translation, A to B: quality" in shown(frame_table(frame(make_row, "cyclegan")))


def test_without_a_distance_the_truth_leads(make_row: MakeRow) -> None:
    """Numbers on pairs alone: the board is ordered by SSIM to the truth, not by the cycle, which the control wins."""
    some = frame(make_row, "cyclegan", "identity")
    text = leaderboard(some[some["aspect"] == "paired"])
    models = [line.split()[1] for line in text.splitlines() if line.startswith(("| cyclegan", "| identity"))]
    assert models == ["cyclegan", "identity"] * 2


def test_a_run_shows_each_direction_under_its_heading(make_row: MakeRow) -> None:
    """Two values of SSIM, each below the words that say which."""
    text = shown(metrics_table(frame(make_row, "cyclegan")))
    pieces = ["quality, A to B", "quality, B to A", "paired, A to B", "0.6000", "paired, B to A", "0.9000"]
    places = [text.index(piece) for piece in pieces]
    assert places == sorted(places)


def test_a_comparison_says_which_direction(make_row: MakeRow) -> None:
    """cyclegan against pix2pix: only B to A is compared, and what cyclegan has in the other direction is named with its
    task, since pix2pix has a number of that name too. Over two datasets, likewise."""
    found = compare(frame(make_row, "cyclegan"), frame(make_row, "pix2pix"))
    text = comparison.markdown(comparison.Compared("cyclegan", "pix2pix", found, []))
    assert "| ssim ↑, B to A \\[" in text
    assert "ssim ↑, A to B" not in text
    (left_out,) = [line for line in text.splitlines() if line.startswith("only A has")]
    assert "ssim (translation\\_AtoB)" in left_out.replace("\\(", "(").replace("\\)", ")")
    assert "ssim (translation\\_BtoA)" not in left_out
    sides = (
        to_frame([row for data in "xy" for row in rows_of(make_row, model, data)])
        for model in ("cyclegan", "identity")
    )
    both = compare(*sides)
    over = comparison.Compared("cyclegan", "identity", both, across(both))
    lines = comparison.markdown(over).partition("Over models")[2].splitlines()
    assert [line.split(" | ")[0] for line in lines if "cycle\\_mae" in line] == [
        "| cycle\\_mae ↓, A to B",
        "| cycle\\_mae ↓, B to A",
    ]
    assert "A to B" in shown(comparison.table(over), 80)


def test_a_check_says_which_direction() -> None:
    """A regression in one of two directions: its line, its sentence and its test case name it."""
    ways = {
        way: Finding(
            "openmoji-lines", "cyclegan", "", "translation", way, "ssim", "paired",
            "regression" if way == "AtoB" else "ok", way == "AtoB", "lower", higher_is_better=True,
            baseline=0.6, candidate=0.5, baseline_seeds=[0], candidate_seeds=[0], change=-0.1,
        )
        for way in BOTH
    }  # fmt: skip
    report = Report(list(ways.values()), [])
    text = check_report.markdown(report)
    worse, _, fine = text.partition("Fine (1)")
    assert "ssim ↑, A to B" in worse
    assert "ssim ↑, B to A" in fine
    assert "ssim of cyclegan on openmoji-lines, A to B: lower" in shown(check_report.table(report), 120)
    assert 'name="ssim (translation_AtoB)"' in junit(report)


def test_a_report_ranks_one_direction_and_says_which(make_row: MakeRow, tmp_path: Path) -> None:
    """pix2pix has the lowest distance of all, but of B to A; the words speak of those that were asked the same
    question, and the control that copies its input is a landmark there."""
    for model in ("cyclegan", "identity", "pix2pix"):
        run = {
            "variant": "", "seed": 0,
            "data": {"fingerprint": "f" * 64, "train": {"n": 8}, "held_out": {"n": 8}, "notes": []},
            "extractors": {}, "machine": {"device_name": "a processor", "cores": 2, "device": "cpu"},
            "provenance": {"benchbench": "0", "code_revision": "0", "python": "3.11", "packages": {}},
        }  # fmt: skip
        key = digest([model, "openmoji-lines"])
        with Store(tmp_path).write("openmoji-lines", model, key, RunFacts(**run)) as folder:
            write_rows(folder / "metrics.csv", rows_of(make_row, model))
    text = render_report(tmp_path)
    assert f"cyclegan has fd_{LITE}, A to B: 20.00" in text
    assert "Landmark: identity has 50.00" in text
    assert "pix2pix follows" not in text
    row = r'<tr><td class="name">pix2pix</td>((?!</tr>).)*<td>translation, B to A</td>'
    assert re.search(row, text, re.DOTALL)
