"""Comparisons as text: everything is there, names are safe, the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchbench.results.across import across
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.results.verdicts import compare
from benchbench.views.comparison import Compared, as_csv, as_json, markdown, table

MakeRow = Callable[..., Row]
NASTY = "a|b_c*<script>[bold red]x[/] `q`\nnext\x1b[31m"


def rows(make_row: MakeRow, model: str, shift: float, dataset: str = "digits") -> list[Row]:
    """Five seeds of FD, one failed SSIM, and the number of parameters."""
    fd = [
        make_row(model=model, dataset=dataset, seed=s, cell=f"{model}-{dataset}-{s}", value=v + shift)
        for s, v in enumerate((10.0, 11.0, 12.5, 11.5, 10.25))
    ]
    first = {"model": model, "dataset": dataset, "cell": fd[0].cell}
    nothing: dict[str, Any] = dict.fromkeys(["low", "high", "interval", "extractor", "resize", "precision"])
    return [
        *fd,
        make_row(metric="ssim", aspect="paired", value=None, reason="images | too small", **first),
        make_row(metric="parameters", aspect="cost", value=1000.0 + shift, **first, **nothing),
        make_row(metric=f"only_{model}", aspect="quality", **first),
    ]


def compared(make_row: MakeRow, name: str = "gan", datasets: str = "x") -> Compared:
    """`vae` against a model that is 10 worse on each dataset."""
    a, b = (
        to_frame([row for d in datasets for row in rows(make_row, model, shift, d)])
        for model, shift in (("vae", 0), (name, 10))
    )
    comparison = compare(a, b)
    return Compared(
        "model=vae", f"model={name}", comparison, across(comparison), ["gan on x, seed 9, of B failed: no"]
    )


def shown(what: Compared, width: int = 80) -> str:
    """As a terminal of that width has it."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    console.print(table(what))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


def test_markdown_by_hand(make_row: MakeRow) -> None:
    """Every seed is ten lower: the difference has no spread, p is 2 / 2^5 = 0.0625, and 0.05 needs a sixth seed. Means
    and t intervals of five values: 11.05 ± 2.776 × 1.0062 / √5."""
    text = markdown(compared(make_row))
    assert text.startswith(
        "A is model=vae, B is model=gan\n\n3 numbers, A against B: 1 better, 1 cannot say, 1 failed\n\n"
        "### vae against gan on x\n\n"
        "| metric | A | B | A − B | p | verdict on A |\n"
        "| --- | ---: | ---: | ---: | ---: | --- |\n"
        "| fd ↓ \\[1\\] | 11.05 \\[9.801, 12.30\\] | 21.05 \\[19.80, 22.30\\] | -10.00 \\[−∞, ∞\\] "
        "| 0.062 | cannot say (6 seeds) |\n"
        "| ssim ↓ \\[2\\] | failed | failed |  |  | failed |\n"
        "| parameters ↓ \\[3\\] | 1000 | 1010 | -10.00 |  | better |\n\n"
    )
    for said in (
        "the same difference in all 5 seeds",
        "1 of 1 runs of A failed: images \\| too small; 1 of 1 runs of B failed",
        "counted, not estimated",
        "only A has only\\_vae",
        "only B has only\\_gan",
        "gan on x, seed 9, of B failed: no",
        "(Holm)",
    ):
        assert said in text


def test_the_terminal_says_the_same(make_row: MakeRow) -> None:
    """80 columns: every value, interval and verdict is there in full, and no line is longer."""
    text = shown(compared(make_row))
    assert max(map(len, text.splitlines())) <= 80
    for said in (
        "A 11.05 [9.801, 12.30]",
        "B 21.05 [19.80, 22.30]",
        "[−∞, ∞]",
        "p 0.062",
        "better",
        "failed",
    ):
        assert said in text


def test_aggregates_are_shown_where_there_are_several(make_row: MakeRow) -> None:
    """Two datasets, ten lower in both: interquartile mean −10, and all of A's runs beat all of B's."""
    text = markdown(compared(make_row, datasets="xy"))
    assert (
        "| fd\\_efficientnet\\_lite0 ↓ | 2 pairs | -10.00 \\[-10.00, -10.00\\] | 1.000 \\[1.000, 1.000\\] |"
        in text
    )
    assert "Over models and datasets" in shown(compared(make_row, datasets="xy"))
    assert "pairs |" not in markdown(compared(make_row))


def test_names_are_text(make_row: MakeRow) -> None:
    """In Markdown a row stays one line with six cells and no tag opens; a terminal gets no style and no escape
    sequence; CSV and JSON carry the name as it is."""
    what = compared(make_row, NASTY)
    text = markdown(what)
    assert "<script>" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("| fd")]
    assert line.replace("\\|", "").count("|") == 7
    terminal = shown(what, width=200)
    assert "[bold red]x[/]" in terminal
    assert "\x1b" not in terminal
    assert json.loads(as_json(what))["pairs"][0]["b"]["model"] == NASTY
    assert {row["b.model"] for row in csv.DictReader(io.StringIO(as_csv(what)))} == {NASTY}


def test_json_holds_everything_and_no_infinity(make_row: MakeRow) -> None:
    """Strict JSON: what is unbounded is null. Values are the doubles themselves."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(as_json(compared(make_row, datasets="xy")), parse_constant=refuse)
    fd, parameters, ssim = content["pairs"][0]["numbers"]
    assert fd["a"]["by_seed"] == {"0": 10.0, "1": 11.0, "2": 12.5, "3": 11.5, "4": 10.25}
    assert (fd["difference"]["value"], fd["difference"]["low"], fd["seeds_needed"]) == (-10, None, 6)
    assert (parameters["verdict"], parameters["p_holm"], ssim["verdict"]) == ("better", None, "failed")
    assert content["pairs"][0]["a_only"] == ["only_vae"]
    assert content["across"][0]["iqm"] == -10
    assert content["failed_cells"]


def test_csv_reads_back(make_row: MakeRow) -> None:
    """One line a number and pair; whole numbers stay whole, doubles keep every digit."""
    frame = pd.read_csv(io.StringIO(as_csv(compared(make_row, datasets="xy"))))
    assert len(frame) == 6
    first = frame.iloc[0]
    assert (first["dataset"], first["a.value"], first["a.seeds"], first["n_images"]) == (
        "x",
        11.05,
        "0 1 2 3 4",
        1000,
    )
    assert "1000," in as_csv(compared(make_row))
    assert "1000.0,1437" not in as_csv(compared(make_row))


@pytest.mark.parametrize("write", [markdown, as_csv, as_json, shown])
def test_the_same_records_give_the_same_bytes(make_row: MakeRow, write: Callable[[Compared], str]) -> None:
    """Bootstraps are seeded."""
    assert write(compared(make_row, datasets="xyz")) == write(compared(make_row, datasets="zyx"))
