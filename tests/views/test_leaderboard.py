"""The leaderboard: right places, safe text, the same bytes."""

from __future__ import annotations

import html.parser
import io
import itertools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

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


def test_latex_cells_are_escaped(make_row: MakeRow) -> None:
    """The ten special characters of TeX and the three that its default font prints as others, each by the macro that
    prints it; a line break is a space."""
    text = leaderboard(_frame(make_row, NASTY), format="latex")
    expected = (
        r"a\textbar{}b\_c*\textless{}script\textgreater{}\&\textbackslash{} \$x\$ "
        r"\#1 \{y\} \textasciitilde{} [z](u) `q` next "
        r"& \textbf{9.000} \\"
    )
    assert expected in text.splitlines()
    assert r"fd $\downarrow$ [1] \\" in text


@pytest.mark.parametrize("name", ["[x]", "*x"])
def test_a_latex_row_never_starts_with_an_argument(make_row: MakeRow, name: str) -> None:
    """After \\\\ LaTeX reads [ as an optional length and * as its starred form."""
    assert f"\n{{}}{name} & " in leaderboard(_frame(make_row, name), format="latex")


def _latex_board(make_row: MakeRow) -> str:
    """Three boards with several protocols, a failure, negative numbers, names that are TeX, an empty place, a control
    below its rule, a busy machine and a collapsed run."""
    rows: list[Row] = [
        make_row(model=name, value=-3.5 * n, cell=f"{n:016x}", task=task)
        for n, (name, task) in enumerate(
            itertools.product(
                (NASTY, "[x]", "*y", r"\input{/etc/passwd}", "100% {"), ("generation", "paired")
            )
        )
    ]
    other = {"metric": "swd_1", "extractor": None, "unit": "intensity²", "cell": "f" * 16}
    rate = {"metric": "sampling_rate", "aspect": "throughput", "unit": "images/s", "task": "paired"}
    rows += [make_row(model=NASTY, cell=f"{0:016x}", higher_is_better=True, **rate)]
    rows += [make_row(model="real", cell="ab" * 8), make_row(**other), make_row(model="bad", value=None)]
    frame = to_frame(rows)
    frame = frame.assign(
        control=(frame["model"] == "real").astype("boolean"),
        busy=pd.array([2.0] * len(frame), dtype="Float64"),
        collapse=pd.array(
            ["fell | to 100%" if name == NASTY else None for name in frame["model"]], dtype="string"
        ),
    )
    return leaderboard(frame, format="latex")


@pytest.mark.costly
def test_latex_is_balanced_and_every_row_has_its_columns(make_row: MakeRow) -> None:
    """What TeX would stop at, found without TeX: environments and braces nest, dollars come in pairs, and a row has
    as many cells as its tabular has columns. Nothing beyond booktabs is used."""
    text = _latex_board(make_row)
    assert text.count(r"% needs \usepackage{booktabs}") == text.count(r"\begin{table}") == 3
    code = re.sub(r"^%.*$", "", text, flags=re.MULTILINE)
    commands = set(re.findall(r"\\([a-zA-Z]+)", code))
    assert commands == {
        *("begin", "end", "caption", "toprule", "midrule", "bottomrule", "textbf", "underline", "downarrow"),
        *("textbackslash", "textasciitilde", "textless", "textgreater", "textbar", "uparrow", "dagger"),
    }
    bare = re.sub(r"\\[\\&%$#_{}]", "", code)  # what is escaped is text
    assert "%" not in bare
    assert "#" not in bare
    assert bare.count("$") % 2 == 0
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    open_environments: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", bare):
        if kind == "begin":
            open_environments.append(name)
        else:
            assert open_environments.pop() == name
    assert open_environments == []
    tables = re.findall(r"\\begin\{tabular\}\{(lr*)\}\n(.*?)\\end\{tabular\}", code, flags=re.DOTALL)
    assert [len(columns) for columns, _ in tables] == [3, 2, 2]
    assert [body.count("rule\n") for _, body in tables] == [4, 3, 3]  # one above the control
    for columns, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) == len(body.splitlines()) - body.count("rule\n")
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(make_row: MakeRow, tmp_path: Path) -> None:
    """TeX itself, in the smallest document that the comment above each table asks for; it stops at any error."""
    start = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    document = "\n".join([start, _latex_board(make_row), r"\end{document}"])
    (tmp_path / "board.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "board.tex"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "board.pdf").stat().st_size > 1000


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
