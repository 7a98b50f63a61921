"""The leaderboard: right places, safe text, the same bytes."""

from __future__ import annotations

import html.parser
import io
from collections.abc import Callable

import pandas as pd
import pytest

from benchbench.core.errors import InputError
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.leaderboard import leaderboard

MakeRow = Callable[..., Row]
NASTY = "a|b_c*<script>&\\ $x$ #1 {y} ~ [z](u) `q`\nnext"


def _frame(make_row: MakeRow, name: str = "gan") -> pd.DataFrame:
    plain = {"low": None, "high": None, "interval": None}
    return to_frame(
        [
            make_row(model="vae", value=13.0),
            make_row(model=name, value=9.0, cell="b" * 16, **plain),
            make_row(model="flow", value=9.0, cell="c" * 16, **plain),
            make_row(model="noise", value=99.0, cell="d" * 16, **plain),
            make_row(model="bad", value=None, cell="e" * 16),
        ]
    )


def test_markdown_board(make_row: MakeRow) -> None:
    """By hand: equal values share the first place in bold, the next is underlined, failures come last."""
    assert leaderboard(_frame(make_row)) == (
        "### digits: generation\n\n"
        "| model | fd ↓ \\[1\\] |\n"
        "| --- | ---: |\n"
        "| flow | **9.000** |\n"
        "| gan | **9.000** |\n"
        "| vae | <u>13.00</u> \\[11.00, 14.00\\] |\n"
        "| noise | 99.00 |\n"
        "| bad | failed |\n\n"
        "\\[1\\] 1000 images against 1437, efficientnet\\_lite0, bicubic-antialias-128, float32  \n"
        "intervals: 95% bootstrap  \n"
        "failed: fd: too few images  \n"
    )


def test_more_is_better_turns_the_order(make_row: MakeRow) -> None:
    """The same values under ↑: 13 is best."""
    rows = [make_row(model=m, value=v, higher_is_better=True) for m, v in (("gan", 9.0), ("vae", 13.0))]
    text = leaderboard(to_frame(rows))
    assert text.index("| vae | **13.00**") < text.index("| gan | <u>9.000</u>")


def test_without_a_direction_nothing_wins(make_row: MakeRow) -> None:
    """A count of parameters is neither good nor bad."""
    rows = [make_row(model=m, value=v, higher_is_better=None) for m, v in (("gan", 9.0), ("vae", 13.0))]
    text = leaderboard(to_frame(rows))
    assert "**" not in text
    assert "<u>" not in text


@pytest.mark.costly
@pytest.mark.parametrize("format", ["markdown", "latex", "html", "csv"])
def test_the_same_records_give_the_same_bytes(make_row: MakeRow, format: str) -> None:
    """In whatever order the rows arrive."""
    frame = _frame(make_row)
    assert leaderboard(frame, format=format) == leaderboard(frame[::-1].reset_index(drop=True), format=format)


def test_markdown_cells_are_escaped(make_row: MakeRow) -> None:
    """CommonMark: a backslash before punctuation makes it plain; a row stays one line with two cells."""
    text = leaderboard(_frame(make_row, NASTY))
    (line,) = [line for line in text.splitlines() if "script" in line]
    assert line.replace("\\\\", "").replace("\\|", "").count("|") == 3
    assert "\\<script\\>" in line
    assert "\\*" in line
    assert "\\[z\\](u)" in line


def test_html_is_well_formed_and_holds_no_script(make_row: MakeRow) -> None:
    """Parsed by html.parser: tags nest, no script element exists, and the name comes back as text."""
    open_tags: list[str] = []
    texts: list[str] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "script"
            if tag != "br":
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

        def handle_data(self, data: str) -> None:
            texts.append(data)

    Reader().feed(leaderboard(_frame(make_row, NASTY), format="html"))
    assert open_tags == []
    assert " ".join(NASTY.split()) in texts


def test_csv_keeps_every_digit(make_row: MakeRow) -> None:
    """Read back by pandas (exact to the last bit since 1.2): the double itself."""
    text = leaderboard(to_frame([make_row(value=0.1 + 0.2)]), format="csv")
    assert pd.read_csv(io.StringIO(text))["value"].tolist() == [0.1 + 0.2]


def test_an_unknown_format_and_an_empty_table_are_named(make_row: MakeRow) -> None:
    """With the nearest name, as everywhere."""
    with pytest.raises(InputError, match="did you mean 'markdown'"):
        leaderboard(_frame(make_row), format="markdwon")
    with pytest.raises(InputError, match="results are empty"):
        leaderboard(to_frame([]))


def test_ranks_and_front_stand_on_the_board(make_row: MakeRow) -> None:
    """Three models over four seeds, far apart in Fréchet distance; the slowest is also the best, the fastest the
    worst, and the one in between is beaten by nobody in both: all on the front but the one that is slower than
    a better one."""
    values = {"best": (1.0, 10.0), "middle": (5.0, 5.0), "worst": (9.0, 30.0)}
    plain = {"low": None, "high": None, "interval": None}
    rate = {"metric": "sampling_rate", "aspect": "throughput", "higher_is_better": True, "extractor": None}
    rows = []
    for model, (fd, speed) in values.items():
        for seed in range(4):
            key = f"{model.encode().hex():0<15}"[:15] + str(seed)
            noise = 0.01 * ((seed * 7 + len(model)) % 5)
            rows.append(make_row(model=model, seed=seed, cell=key, value=fd + noise, headline=True, **plain))
            rows.append(make_row(model=model, seed=seed, cell=key, value=speed + noise, **plain, **rate))
    text = leaderboard(to_frame(rows))
    assert "| model | rank | fd ↓" in text
    for place, model in enumerate(values, start=1):
        assert f"| {model} (4 seeds) | {place} |" in text
    assert "Pareto front of fd ↓ and sampling\\_rate: best, worst" in text


def test_a_board_of_several_aspects_is_one_table_each(make_row: MakeRow) -> None:
    """By hand: quality and diversity part; a model that has nothing in an aspect is not in its table; each table has
    the protocol notes its headings point to; the limit at infinity never leads; a single model wins nothing."""
    plain = {"low": None, "high": None, "interval": None}
    recall = {
        "metric": "recall_efficientnet_lite0",
        "aspect": "diversity",
        "higher_is_better": True,
        "n_reference": 7,
    }
    rows = [
        make_row(value=13.0, metric="fd_infinity_efficientnet_lite0", **plain),
        make_row(value=14.0, metric="fd_efficientnet_lite0", **plain),
        make_row(value=9.0, model="gan", cell="b" * 16, **plain),
        make_row(value=0.5, **{**recall, **plain}),
    ]
    assert leaderboard(to_frame(rows)) == (
        "### digits: generation: quality\n\n"
        "| model | fd ↓ \\[1\\] | fd\\_infinity ↓ \\[1\\] |\n"
        "| --- | ---: | ---: |\n"
        "| gan | **9.000** |  |\n"
        "| vae | <u>14.00</u> | 13.00 |\n\n"
        "\\[1\\] 1000 images against 1437, efficientnet\\_lite0, bicubic-antialias-128, float32  \n\n"
        "### digits: generation: diversity\n\n"
        "| model | recall ↑ \\[1\\] |\n"
        "| --- | ---: |\n"
        "| vae | 0.5000 |\n\n"
        "\\[1\\] 1000 images against 7, efficientnet\\_lite0, bicubic-antialias-128, float32  \n"
    )
