"""Tables for a paper: what TeX takes, no wider than the text, with the papers' names and digits that mean something."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.choice import Choice
from benchbench.views.latex import WIDTH, Interval
from benchbench.views.leaderboard import leaderboard
from benchbench.views.tex_width import tex_width

MakeRow = Callable[..., Row]
NASTY = "a|b_c*<script>&\\ $x$ #1 {y} ~ [z](u) `q`\nnext"
INTERVALS: tuple[Interval, ...] = ("brackets", "pm", "none")
LATEX = shutil.which("pdflatex")


def test_cells_are_escaped(make_row: MakeRow) -> None:
    """The ten special characters of TeX and the three that its default font prints as others, each by the macro that
    prints it; a line break is a space. 9 and 99 have one decimal: as many as give their median, 54, three digits."""
    bare = {"low": None, "high": None, "interval": None}
    rows = [
        make_row(model=NASTY, value=9.5, **bare),
        make_row(model="noise", value=99.0, cell="d" * 16, **bare),
    ]
    text = leaderboard(to_frame(rows), format="latex")
    name = (
        r"a\textbar{}b\_\allowbreak{}c*\textless{}script\textgreater{}\&\textbackslash{} \$x\$ "
        r"\#1 \{y\} \textasciitilde{} [z](u) `q` next"
    )
    assert rf"{name} & \bfseries 9.5 \\" in text.splitlines()
    assert r"model & \multicolumn{1}{c}{FD $\downarrow$} \\" in text


@pytest.mark.parametrize("name", ["[x]", "*x"])
def test_a_row_never_starts_with_an_argument(make_row: MakeRow, name: str) -> None:
    """After \\\\ LaTeX reads [ as an optional length and * as its starred form."""
    rows = [make_row(model=name), make_row(model="vae", cell="b" * 16)]
    assert f"\n{{}}{name} & " in leaderboard(to_frame(rows), format="latex")


def test_a_table_by_hand(make_row: MakeRow) -> None:
    """Values are aligned by siunitx, whose format is the most digits on both sides of the point; one is the median of
    1.25 and 12.5, 6.875, to three digits: two decimals. Brackets have as many. The caption is a sentence; a control
    stands below a rule."""
    rows = [
        make_row(model="vae", value=12.5, low=11.0, high=14.0, interval="95% t"),
        make_row(model="gan", value=1.25, low=1.0, high=1.5, interval="95% t", cell="b" * 16),
        make_row(model="real", value=0.001, low=0.0, high=0.5, interval="95% t", cell="c" * 16),
    ]
    frame = to_frame(rows)
    frame = frame.assign(control=(frame["model"] == "real").astype("boolean"))
    expected = r"""
\begin{table}
\centering\small\setlength{\tabcolsep}{4pt}\sisetup{detect-weight,mode=text}
\caption{digits, generation: one run a model with 95\% intervals in brackets, of CONDITIONS; BEST; LANDMARKS.}
\label{tab:digits-generation}
\begin{tabular}{@{}lS[table-format=2.2]@{\,}l@{}}
\toprule
model & \multicolumn{2}{c}{FD $\downarrow$} \\
\midrule
gan & \bfseries 1.25 & {\scriptsize [1.00, 1.50]} \\
vae & 12.50 & {\scriptsize [11.00, 14.00]} \\
\midrule
real & {$<$0.01} & {\scriptsize [0.00, 0.50]} \\
\bottomrule
\end{tabular}
\end{table}
"""
    said = {
        "CONDITIONS": r"1000 images against 1437, efficientnet\_lite0, bicubic-antialias-128, float32",
        "BEST": "the best of a column is bold",
        "LANDMARKS": "landmarks without a rank: real",
    }
    for name, words in said.items():
        expected = expected.replace(name, words)
    assert expected in leaderboard(frame, format="latex")
    pm = leaderboard(frame, format="latex", interval="pm")
    assert r"vae & 12.50 & {\scriptsize $\pm$1.50} \\" in pm
    assert r"real & {$<$0.01} & {\scriptsize $^{+0.50}_{-0.00}$} \\" in pm
    bare = leaderboard(frame, format="latex", interval="none")
    assert r"\begin{tabular}{@{}lS[table-format=2.2]@{}}" in bare
    assert "intervals" not in re.sub("^%.*$", "", bare, flags=re.MULTILINE)


def test_what_the_machine_had_a_part_in_is_left_out_and_said(make_row: MakeRow) -> None:
    """A rate, a count and what restates another number stand in a comment, and on the table of whoever names them:
    parameters in millions, 1,500,000 is 1.50 to three digits."""
    rows = [
        make_row(),
        make_row(metric="sampling_rate", aspect="throughput", extractor=None),
        make_row(metric="parameters_sampling", aspect="cost", extractor=None, value=1.5e6),
        make_row(metric="fd_infinity_efficientnet_lite0", gated=False),
    ]
    text = leaderboard(to_frame(rows), format="latex")
    assert "% left out: fd_infinity_efficientnet_lite0, parameters_sampling, sampling_rate;" in text
    assert text.count(r"\begin{tabular}") == 1
    chosen = leaderboard(to_frame(rows), format="latex", choice=Choice.of(columns="parameters_sampling,fd"))
    assert "left out" not in chosen
    (head,) = re.findall(r"^model & .*$", chosen, flags=re.MULTILINE)
    assert head.index("Params (M)") < head.index("FD")
    assert "vae & 1.50 & " in chosen


def wide_frame(make_row: MakeRow, seeds: int = 3) -> pd.DataFrame:
    """Nine models, one with a long variant, on eleven metrics of every size, three seeds each, a control and a
    collapse; as wide as published boards are. Values are drawn once, from a seed."""
    rng = np.random.default_rng(0)
    sizes = {"fd": 30, "kd": 0.04, "is": 5, "precision": 0.3, "density": 0.0007, "vendi": 12, "modes": 700, "mmd": 1e5,
             "fd_clip": 1e-3, "recall": 0.5, "conditional_accuracy": 0.9}  # fmt: skip
    names = [("vae", ""), ("beta-vae", "beta=4,latent=8,lr=0.0005,width=64"), *((f"model-{n}", "") for n in range(6)),
             ("real", "")]  # fmt: skip
    rows = []
    for (place, (model, variant)), seed in itertools.product(enumerate(names), range(seeds)):
        for metric, size in sizes.items():
            value = size * float(np.exp(rng.normal()))
            facts: dict[str, Any] = {
                "model": model,
                "variant": variant,
                "seed": seed,
                "cell": f"{place:08x}{seed:08x}",
            }
            facts |= {
                "low": 0.7 * value,
                "high": 1.6 * value,
                "interval": "95% t",
                "headline": metric == "fd",
            }
            rows.append(make_row(metric=f"{metric}_efficientnet_lite0", value=value, scale="log", **facts))
    frame = to_frame(rows)
    return frame.assign(
        control=(frame["model"] == "real").astype("boolean"),
        collapse=pd.array(["fell" if name == "model-1" else None for name in frame["model"]], dtype="string"),
    )


def tabulars(text: str) -> list[tuple[str, list[list[str]]]]:
    """The columns of each tabular as it states them, and its rows in cells."""
    code = re.sub(r"^%.*$", "", text, flags=re.MULTILINE)
    found = re.findall(r"\\begin\{tabular\}\{([^\n]*)\}\n(.*?)\\end\{tabular\}", code, flags=re.DOTALL)
    return [
        (spec, [re.split(r"(?<!\\)&", line[:-2]) for line in body.splitlines() if line.endswith(r"\\")])
        for spec, body in found
    ]


def afm_width(text: str, size: float) -> float:
    """The width by Adobe's metrics of Times, which matplotlib ships."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "afm" / "ptmr8a.afm"
    known = {
        int(code): int(width)
        for code, width in re.findall(
            r"^C (\d+) ; WX (\d+) ;", folder.read_text("latin-1"), flags=re.MULTILINE
        )
    }
    return sum(known[ord(character)] for character in text) * size / 1000


def test_widths_are_those_of_the_font() -> None:
    """Of every printable character of ASCII that TeX takes as it is, by the file of the font's maker."""
    for code in range(32, 127):
        character = chr(code)
        if character not in "\\{}$^_%&#~":
            assert tex_width(character, 10) == pytest.approx(afm_width(character, 10)), character


@pytest.mark.costly
@pytest.mark.parametrize("interval", INTERVALS)
def test_no_table_is_wider_than_the_text(make_row: MakeRow, interval: Interval) -> None:
    """Added up cell by cell from what was written: figures and letters by the font's own metrics, 4 pt on either side
    of a column, small type for intervals. 397 pt are 5.5 in, the text of a NeurIPS paper. All columns are there, in two
    tabulars or more with brackets, and each of those is used to more than a third."""
    text = leaderboard(wide_frame(make_row), format="latex", interval=interval)
    found = tabulars(text)
    assert sum(len(rows[0]) - 1 - ("rank" in "".join(rows[0])) for _, rows in found) == 11
    for spec, rows in found:
        widths: list[float] = []
        for row in rows[1:]:
            for place, cell in enumerate(row):
                small = r"\scriptsize" in cell
                letters = re.sub(r"\\(bfseries|scriptsize|pm|ast|allowbreak)|[${}\\^]", "", cell).strip()
                parts = letters.split("_") if small else [letters]  # one above the other
                wide = max(afm_width(part, 7 if small else 9) for part in parts)
                widths += [0.0] * (place + 1 - len(widths))
                widths[place] = max(widths[place], wide)
        if "p{130pt}" in spec:
            widths[0] = 130
        total = sum(widths) + 8 * spec.replace(r"@{\,}l", "").count("S") + 1.5 * spec.count(r"@{\,}")
        assert WIDTH / 3 < total <= WIDTH


def _board(make_row: MakeRow) -> str:
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
    return leaderboard(frame, format="latex", choice=Choice.of(metrics="*"))


@pytest.mark.costly
def test_it_is_balanced_and_every_row_has_its_columns(make_row: MakeRow) -> None:
    """What TeX would stop at, found without TeX: environments and braces nest, dollars come in pairs, and a row has
    as many cells as its tabular has columns. Nothing beyond booktabs and siunitx, which loads array, is used."""
    text = _board(make_row)
    assert text.startswith("% needs \\usepackage{booktabs,siunitx}\n")
    assert text.count(r"\begin{table}") == 3
    code = re.sub(r"^%.*$", "", text, flags=re.MULTILINE)
    commands = set(re.findall(r"\\([a-zA-Z]+)", code))
    assert commands == {
        *(
            "begin",
            "end",
            "caption",
            "label",
            "toprule",
            "midrule",
            "bottomrule",
            "bfseries",
            "downarrow",
            "uparrow",
        ),
        *(
            "textbackslash",
            "textasciitilde",
            "textless",
            "textgreater",
            "textbar",
            "dagger",
            "ast",
            "scriptsize",
        ),
        *(
            "centering",
            "small",
            "setlength",
            "tabcolsep",
            "sisetup",
            "multicolumn",
            "textsuperscript",
            "allowbreak",
        ),
        *("raggedright", "arraybackslash", "shortstack"),
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
    found = tabulars(text)
    assert len(found) == 3
    for spec, rows in found:
        stated = re.sub(r"@\{[^}]*\}|\[[^]]*\]|>\{\\raggedright\\arraybackslash\}|\{\d+pt\}", "", spec)
        assert re.fullmatch(r"[lp]c?(Sl?)+", stated), spec
        for row in rows[1:]:
            assert len(row) == len(stated)
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d)\}", "".join(rows[0]))]
        assert 1 + ("c" in stated) + sum(spans) == len(stated)


@pytest.mark.slow
@pytest.mark.skipif(LATEX is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize(
    "style", [r"\usepackage{times}\setlength{\textwidth}{397pt}", r"\setlength{\textwidth}{469pt}"]
)
def test_tex_takes_it_and_it_fits(
    make_row: MakeRow, tmp_path: Path, interval: Interval, transpose: bool, style: str
) -> None:
    """TeX itself, with Times in the text of a NeurIPS paper and with its own font in an article's; it stops at any
    error, and says of each line that is too wide that it is."""
    wide = leaderboard(
        wide_frame(make_row), format="latex", interval=interval, choice=Choice(transpose=transpose)
    )
    for name, board in (("wide", wide), ("odd", _board(make_row))):
        start = rf"\documentclass[10pt]{{article}}{style}\usepackage{{booktabs,siunitx}}\begin{{document}}"
        (tmp_path / f"{name}.tex").write_text("\n".join([start, board, r"\end{document}"]), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "-draftmode"]
        done = subprocess.run(
            [*command, f"{name}.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in (tmp_path / "wide.log").read_text("latin-1")
