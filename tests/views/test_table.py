"""Terminal tables: nothing hidden, nothing cut, nothing taken for markup."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchbench.core.errors import InputError
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.table import frame_table, metrics_table
from benchbench.views.text import number, percent, plain

MakeRow = Callable[..., Row]


def _shown(table: Any, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


def _line(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return " ".join(line.split())


def test_a_run_is_shown_by_aspect_with_its_protocol(make_row: MakeRow) -> None:
    """Written out by hand from the rows: direction, four digits, interval, count and a numbered note each."""
    rows = [
        make_row(
            metric="sampling_rate",
            aspect="throughput",
            unit="images/s",
            value=23456.7,
            higher_is_better=True,
            low=None,
            high=None,
            interval=None,
            n_images=64,
            n_reference=None,
            extractor=None,
            resize=None,
        ),
        make_row(),
    ]
    text = _shown(metrics_table(to_frame(rows)))
    assert text.startswith("vae on digits, seed 0")
    assert _line(text, "fd_") == "fd_efficientnet_lite0 ↓ 12.50 [11.00, 14.00] [1]"
    assert _line(text, "sampling") == "sampling_rate (images/s) ↑ 23457 [2]"
    assert text.index("quality") < text.index("fd_") < text.index("throughput") < text.index("sampling")
    notes = " ".join(text[text.index("[1] 1000") :].split())
    assert notes == (
        "[1] 1000 images against 1437, efficientnet_lite0, bicubic-antialias-128, float32; "
        "interval: 95% bootstrap [2] 64 images, float32"
    )


@pytest.mark.parametrize("status", ["failed", "unavailable"])
def test_a_failure_is_shown_with_its_whole_reason(make_row: MakeRow, status: str) -> None:
    """Rule 5 of the design; the reason is long, holds markup and an escape sequence, and is shown as text."""
    reason = (
        "weights are not at hand; [red]fetch[/red] them first, " + "then look again, " * 12 + "please\x1b[2J"
    )
    text = _shown(metrics_table(to_frame([make_row(value=None, status=status, reason=reason)])))
    assert _line(text, "fd_") == f"fd_efficientnet_lite0 ↓ {status} [1]"
    assert plain(f"fd_efficientnet_lite0 is {status}: {reason}") in " ".join(text.split())
    assert "[red]fetch[/red]" in text
    assert "\x1b" not in text


def test_markup_in_names_stays_text(make_row: MakeRow) -> None:
    """A model may be called what it likes."""
    text = _shown(
        metrics_table(to_frame([make_row(model="[bold]x[/bold]", variant="a=[link=u]b", metric="[i]m")]))
    )
    assert "[bold]x[/bold] a=[link=u]b on digits" in text
    assert "[i]m ↓" in text


def test_variants_of_a_task_are_told_apart(make_row: MakeRow) -> None:
    """x2 and x4 have metrics of the same names, and so the heading says which; of a task that has no variants, of the
    rows of a training beside it, and where one run is of several, it says nothing."""
    rows = [make_row(task="denoise:sigma25"), make_row(task="training", metric="machine_busy", aspect="cost")]
    assert _shown(metrics_table(to_frame(rows))).startswith("vae on digits, denoise:sigma25, seed 0")
    rows = [make_row(task="edit:crop0.1"), make_row(task="edit:crop0.1-back")]
    assert _shown(metrics_table(to_frame(rows))).startswith("vae on digits, seed 0")


def test_several_runs_are_told_apart(make_row: MakeRow) -> None:
    """Two seeds: a heading each."""
    text = _shown(metrics_table(to_frame([make_row(), make_row(seed=1, cell="b" * 16, value=3.0)])))
    assert text.index("vae on digits, seed 0") < text.index("12.50") < text.index("vae on digits, seed 1")


def _comparison(make_row: MakeRow) -> list[Row]:
    ssim = {
        "metric": "ssim",
        "higher_is_better": True,
        "extractor": None,
        "resize": None,
        "n_reference": None,
    }
    return [
        make_row(model="vae", seed=0, value=12.0),
        make_row(model="vae", seed=1, value=14.0, cell="b" * 16),
        make_row(model="gan", value=9.0, low=8.0, high=10.0, cell="c" * 16),
        make_row(model="vae", seed=0, value=0.9, **ssim),
        make_row(model="gan", value=None, cell="c" * 16, **ssim),
        make_row(model="zoo", value=8.0, n_images=500, cell="d" * 16),
    ]


def test_models_stand_side_by_side(make_row: MakeRow) -> None:
    """By hand: vae's mean is 13 over its two seeds; gan with 9 is best among those with 1000 images; zoo's 8
    from 500 images has its own board, beats nobody there, and so wins nothing; gan's failed ssim is in its place and
    leaves vae's without a rival."""
    text = _shown(frame_table(to_frame(_comparison(make_row))))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    first, second = (lines.index(f"digits: generation ({n} images)") for n in ("1,000", "500"))
    assert first < lines.index("gan 9.000 * failed") < lines.index("vae (2 seeds) 13.00 0.9000") < second
    assert second < lines.index("zoo 8.000")
    assert "[1] 500 images against 1437, efficientnet_lite0, bicubic-antialias-128, float32" in lines
    assert "* the best of its column" in lines
    assert "intervals: " not in text, "the terminal shows none on a board"


def test_many_metrics_fit_a_terminal(make_row: MakeRow) -> None:
    """Four long names in 80 columns: every number is there in full (`_shown` checks the width)."""
    rows = [make_row(metric=f"fd_efficientnet_lite0_number_{n}", value=1234.5 + n) for n in range(4)]
    text = _shown(frame_table(to_frame(rows)), width=80)
    assert all(number(1234.5 + n) in text for n in range(4))


def test_a_small_number_with_a_long_name_fits_a_terminal(make_row: MakeRow) -> None:
    """80 columns, a name of 32 and an interval of 24: the name is folded, the numbers are not cut."""
    row = make_row(metric="cycle_growth_rounded_under_noise", value=-2.463e-6, low=-3.399e-6, high=-1.527e-6)
    text = _shown(metrics_table(to_frame([row])), width=80)
    assert _line(text, "cycle_").endswith("-2.463e-06 [-3.399e-06, -1.527e-06] [1]")


@pytest.mark.parametrize("view", [metrics_table, frame_table])
def test_no_numbers_is_said(view: Callable[..., Any]) -> None:
    """An empty table on screen would look like a finished run."""
    with pytest.raises(InputError, match="results are empty"):
        view(to_frame([]))


@settings(max_examples=200, deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_four_digits_are_right(value: float) -> None:
    """The text reads back within half a unit of the fourth significant digit: 5e-4 relative (plus rounding of
    the parse). Values below 1e-307 are subnormal and lose digits themselves."""
    if abs(value) > 1e-300 or value == 0:
        assert float(number(value)) == pytest.approx(value, rel=5.01e-4, abs=0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.1, "0.1000"),
        (12.3456, "12.35"),
        (123456.0, "123456"),
        (3e-7, "3.000e-07"),
        (9.99996, "10.00"),
        (-0.05, "-0.05000"),
        (1e12, "1.000e+12"),
    ],
)
def test_numbers_as_text(value: float, text: str) -> None:
    """By hand: four significant digits, none before the point hidden."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (4e-9, "4e-07%"),
        (0.00432, "0.43%"),
        (0.0432, "4.3%"),
        (0.0996, "10%"),
        (0.25, "25%"),
        (2.843, "284%"),
        (999.0, "99900%"),
        (12345.0, "1.2e+06%"),
        (-0.5, "-50%"),
    ],
)
def test_shares_as_text(share: float, text: str) -> None:
    """By hand: two digits, whole per cents in full, and what is not nothing never reads 0%."""
    assert percent(share) == text


def test_a_title_is_as_wide_as_the_terminal(make_row: MakeRow) -> None:
    """A narrow board with a long title: rich would fold it to the width of the table, into 20 lines of a machine."""
    rows = [
        make_row(model=model, cell=model[0] * 16, n_images=n) for n, model in ((500, "vae"), (1000, "gan"))
    ]
    frame = to_frame(rows)
    frame = frame.assign(data=pd.array(["1" * 64, "2" * 64], dtype="string"))
    lines = [line.rstrip() for line in _shown(frame_table(frame), width=80).splitlines()]
    assert "digits: generation (the reference data 11111111, 500 images)" in lines
    assert "digits: generation (the reference data 22222222, 1,000 images)" in lines


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_board_takes_the_width_that_it_is_given(make_row: MakeRow, width: int) -> None:
    """Six columns, two models: one table where there is room, else several with the names in each, and every heading
    and value once."""
    rows = [
        make_row(metric=f"metric_number_{n}", model=model, value=100.0 * n + shift, cell=model[0] * 16)
        for n in range(1, 7)
        for model, shift in (("vae", 1), ("gan", 2))
    ]
    text = _shown(frame_table(to_frame(rows)), width=width)
    words = text.split()
    assert [words.count(number(100.0 * n + shift)) for n in range(1, 7) for shift in (1, 2)] == [1] * 12
    assert words.count("vae") == words.count("gan") == words.count("model")
    assert (words.count("model") == 1) == (width >= 80)


def test_a_reason_stands_once_and_its_address_whole(make_row: MakeRow) -> None:
    """By definition: five metrics of a network that is not at hand have one reason, and its address, longer than the
    table is wide, is in one piece."""
    address = "https://example.org/" + "a" * 90 + "/weights.pth"
    names = ["fid", "kid", "inception_score", "mind", "precision_inception_v3"]
    rows = [
        make_row(metric=n, value=None, status="unavailable", reason=f"get it from {address} first")
        for n in names
    ]
    console = Console(file=io.StringIO(), width=60)
    console.print(metrics_table(to_frame(rows)), crop=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count(address) == 1
    assert "fid, inception_score, kid, mind and precision_inception_v3 are" in " ".join(text.split())
