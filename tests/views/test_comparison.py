"""Comparisons as text: everything is there, names are safe, the same bytes."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from scipy import special

from benchbench.results.across import across
from benchbench.results.claims.verdicts import compare
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
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
    """Means and t intervals of five values: 11.05 ± 2.776 × 1.0062 / √5. Two models are never paired by seed, so that
    the difference, ten in every seed, is bounded by both spreads: Welch's 10 ± 2.306 × 1.0062 × √(2 / 5), with
    p = 2.7e-7."""
    text = markdown(compared(make_row))
    assert text.startswith(
        "A is model=vae, B is model=gan\n\n3 numbers, A against B: 2 better, 1 failed\n\n"
        "### vae against gan on x\n\n"
        "| metric | A | B | A − B | p | verdict on A |\n"
        "| --- | ---: | ---: | ---: | ---: | --- |\n"
        "| fd ↓ \\[1\\] | 11.05 \\[9.801, 12.30\\] | 21.05 \\[19.80, 22.30\\] | -10.00 \\[-11.47, -8.532\\] "
        "| \\<0.001 | better |\n"
        "| ssim ↓ \\[2\\] | failed | failed |  |  | failed |\n"
        "| parameters ↓ \\[3\\] | 1000 | 1010 | -10.00 |  | better |\n\n"
    )
    for said in (
        "t test, 5 against 5 seeds",
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
        "[-11.47, -8.532]",
        "p <0.001",
        "better",
        "failed",
    ):
        assert said in text


def test_aggregates_are_shown_where_there_are_several(make_row: MakeRow) -> None:
    """Two datasets, ten lower in both: the mean is −10, and all of A's runs beat all of B's. The bootstrap redraws the
    seeds of two models apart: values within 10 to 12.5 leave the mean difference between −12.5 and −7.5."""
    text = markdown(compared(make_row, datasets="xy"))
    (line,) = [
        line for line in text.splitlines() if line.startswith("| fd\\_efficientnet\\_lite0 ↓ | 2 pairs |")
    ]
    assert line.endswith("| 1.000 \\[1.000, 1.000\\] |")
    middle, low, high = map(float, re.findall(r"-\d+\.\d+", line))
    assert -12.5 < low < middle == -10 < high < -7.5
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
    """Strict JSON: what is unbounded is null. Values are the doubles themselves. p is Welch's for 15.71 standard errors
    at 8 degrees of freedom; the smallest difference seen with odds of 80% is (t(0.975, 8) + t(0.8, 8)) × 0.6364 =
    2.033 (to a percent: the exact one is of the noncentral t)."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    what = compared(make_row, datasets="xy")
    content = json.loads(as_json(what), parse_constant=refuse)
    fd, parameters, ssim = content["pairs"][0]["numbers"]
    assert fd["a"]["by_seed"] == {"0": 10.0, "1": 11.0, "2": 12.5, "3": 11.5, "4": 10.25}
    assert (fd["difference"]["value"], fd["difference"]["kind"]) == (-10, "seeds")
    assert (
        fd["p_holm"]
        == fd["difference"]["p"]
        == pytest.approx(2 * float(special.stdtr(8, -15.71348)), rel=1e-4)
    )
    assert fd["smallest"] == pytest.approx(2.033, rel=0.01)
    assert (parameters["verdict"], parameters["p_holm"], ssim["verdict"]) == ("better", None, "failed")
    assert content["pairs"][0]["a_only"] == ["only_vae"]
    assert content["across"][0]["middle"] == -10
    assert content["failed_cells"]
    (first, *others) = what.comparison.pairs[0].lines
    assert first.difference is not None
    unbounded = replace(first, difference=replace(first.difference, low=-math.inf, high=math.inf))
    pair = replace(what.comparison.pairs[0], lines=(unbounded, *others))
    what = replace(what, comparison=replace(what.comparison, pairs=(pair,)))
    (pair_,) = json.loads(as_json(what), parse_constant=refuse)["pairs"]
    assert (pair_["numbers"][0]["difference"]["low"], pair_["numbers"][0]["difference"]["high"]) == (
        None,
        None,
    )
    assert "-10.00 \\[−∞, ∞\\]" in markdown(what)
    assert "inf" not in as_csv(what)


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


def of(make_row: MakeRow, model: str, values: Sequence[Any], **changes: Any) -> list[Row]:
    """One metric of a model over seeds; a value, or (value, low, high)."""
    stated = [value if isinstance(value, tuple) else (value, None, None) for value in values]
    return [
        make_row(model=model, seed=seed, cell=f"{model}-{seed}", value=value, low=low, high=high, **changes)
        for seed, (value, low, high) in enumerate(stated)
    ]


def held(a: Sequence[Row], b: Sequence[Row], margin: float = 0.1) -> Compared:
    return Compared("A", "B", compare(to_frame(a), to_frame(b), margin), [])


def lines_of(text: str) -> str:
    """The text of a terminal with its lines joined."""
    return " ".join(text.split())


def test_one_run_a_side_speaks_of_images(make_row: MakeRow) -> None:
    """Intervals of 10 ± 1 and 20 ± 1 lie apart by (20 − 10) / (√2 / 1.96) = 13.9 standard errors: two different sets of
    images, and nothing about other seeds. 10 ± 1 and 10.5 ± 1 are 0.7 apart: nothing can be said, and no smallest
    difference stands beside it, since none would have been shown."""
    apart = held(of(make_row, "vae", [(10.0, 9.0, 11.0)]), of(make_row, "gan", [(20.0, 19.0, 21.0)]))
    for text in (markdown(apart), lines_of(shown(apart, 120))):
        assert "1 number, A against B: 1 differ as sets of images" in text
        assert "another seed of either model is another model" in text
        assert "better" not in text.split("Intervals are of 95%")[0]
    assert json.loads(as_json(apart))["pairs"][0]["numbers"][0]["smallest"] is None
    close = markdown(held(of(make_row, "vae", [(10.0, 9.0, 11.0)]), of(make_row, "gan", [(10.5, 9.5, 11.5)])))
    assert "| cannot say |" in close
    assert "sees" not in close


def test_one_metric_of_two_tasks_names_the_task(make_row: MakeRow) -> None:
    """How busy the machine was in training and in generation: two lines that say which; of one task, nothing."""
    sides = [
        [
            make_row(model=model, cell=model, metric=metric, task=task, aspect="cost")
            for metric, task in (("busy", "training"), ("busy", "generation"), ("once", "generation"))
        ]
        for model in ("vae", "gan")
    ]
    for text in (markdown(held(*sides)), lines_of(shown(held(*sides), 120))):
        assert "busy ↓ training" in text
        assert "busy ↓ generation" in text
        assert "once ↓ generation" not in text


def test_equal_needs_a_margin(make_row: MakeRow) -> None:
    """Five seeds a side, means 100 and 100.2, standard deviation 0.7906: the difference is −0.2 ± 1.860 × 0.5 (90%),
    within ±10 for a margin of 10% of B and outside ±0.5 for one of 0.5%. There the smallest difference that would
    have been seen stands beside it: (2.306 + 0.889) × 0.5 = 1.6%."""
    a, b = ([100 + shift + step for step in (-1.0, -0.5, 0.0, 0.5, 1.0)] for shift in (0.0, 0.2))
    sides = of(make_row, "vae", a), of(make_row, "gan", b)
    text = markdown(held(*sides))
    assert "| equal (sees 1.6%) |" in text
    assert "Equal: shown to differ by less than 10% of B" in text
    narrow = markdown(held(*sides, margin=0.005))
    assert "| cannot say (sees 1.6%) |" in narrow
    assert "Equal:" not in narrow
    assert "How many seeds a stated one takes: --plan --smallest 10%" in narrow
    assert "(sees 1.6%)" in shown(held(*sides, margin=0.005))


def test_where_no_worsening_would_have_been_seen(make_row: MakeRow) -> None:
    """A share of about 5% whose seeds reach from 0 to 10% cannot fall far enough to be noticed. On the arcsine scale
    the mean is 0.17, the standard deviation 0.16, and 3.19 standard errors are 0.33: "none", not silence."""
    share = {"metric": "recall_efficientnet_lite0", "higher_is_better": True, "scale": "arcsine"}
    share |= {"minimum": 0.0, "maximum": 1.0}
    a, b = ([x + shift for x in (0.0, 0.0, 0.05, 0.1, 0.1)] for shift in (0.0, 0.005))
    text = markdown(held(of(make_row, "vae", a, **share), of(make_row, "gan", b, **share)))
    assert "| cannot say (sees none) |" in text
    assert "none where the range ends before it" in text


def test_what_restates_another_number_is_not_tested(make_row: MakeRow) -> None:
    """`fd_infinity` stands beside `fd`; both are five seeds and ten apart, one is a claim."""
    sides = [
        of(make_row, model, values)
        + of(make_row, model, values, metric="fd_infinity_efficientnet_lite0", gated=False)
        for model, values in (("vae", [10.0, 11, 12, 13, 14]), ("gan", [20.0, 21, 22, 23, 24]))
    ]
    text = markdown(held(*sides))
    assert "2 numbers, A against B: 1 better, 1 not tested" in text
    assert "Not tested: restates the number beside it" in text


def test_a_and_b_differ_in_a_setting(make_row: MakeRow) -> None:
    """One model before and after: what is not the same on both sides is named with both values, what one side does not
    state is none. Two models differ in everything, and nothing is said."""
    what = compared(make_row, "vae")
    unit = what.comparison.pairs[0].a
    sides = {"lr": "0.001", "width": "8"}, {"lr": "0.0005", "width": "8", "ema": "[0.9]"}
    what = replace(what, settings=({unit: sides[0]}, {unit: sides[1]}))
    said = "A and B differ in ema: none against [0.9], lr: 0.001 against 0.0005"
    assert said in lines_of(shown(what))
    assert said.replace("[", "\\[").replace("]", "\\]") in markdown(what)
    assert json.loads(as_json(what))["pairs"][0]["differ_in"] == [said]
    assert "differ in" not in markdown(replace(what, settings=({unit: sides[0]}, {unit: sides[0]})))
    assert "differ in" not in markdown(compared(make_row))


def test_a_narrow_terminal_breaks_no_number(make_row: MakeRow) -> None:
    """80 columns and the widest numbers there are, nine signs with a sign and an exponent: each end of each interval
    stands whole."""
    values = [-1.2345e-06 * step for step in (1.0, 1.5, 2.0, 2.5, 3.0)]
    what = held(
        of(make_row, "vae", values, metric="content_distance_growth_under_noise_lite0", unit="intensity²"),
        of(make_row, "gan", [1e7 * v for v in values], metric="content_distance_growth_under_noise_lite0",
           unit="intensity²"),
    )  # fmt: skip
    text = shown(what)
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line for line in markdown(what).splitlines() if line.startswith("| content")]
    numbers = re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", "".join(row.split("|")[2:5]))
    assert len(numbers) == 9
    pieces = re.split(r"[\s\[\],]+", text)
    assert not [number for number in numbers if number not in pieces]
