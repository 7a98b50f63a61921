"""Figures for a paper: what is drawn, that fonts come along, and what is refused.

Numbers are by hand; what a figure holds is asked of matplotlib's own objects.
"""

from __future__ import annotations

import io
import re
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import rc_context
from matplotlib.axes import Axes

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.results.manifest import Artefact, Collapse, RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.views.board import Measure
from benchbench.views.figures import Point, draw_plane
from benchbench.views.paper_figures import STYLE, PaperFigure
from benchbench.views.paper_names import PAPER, figure_name

MakeRow = Callable[..., Row]
PLAIN = {"extractor": None, "resize": None, "n_reference": None}
# name: FD, images a second. By hand: gan is as fast as vae and worse, so the front has vae and ddpm; real is a control.
MODELS = {"vae": (8.0, 100.0), "gan": (9.0, 100.0), "ddpm": (2.0, 1.0), "real": (0.1, 1000.0)}


@pytest.fixture
def store(tmp_path: Path, make_row: MakeRow) -> Path:
    """A record of each model, two of vae, with curves (but for the control) and 20 single samples."""
    for place, (model, (fd, rate)) in enumerate(MODELS.items()):
        for seed in (0, 1) if model == "vae" else (0,):
            cell = f"{16 * place + seed:016x}"
            common = {"cell": cell, "model": model, "seed": seed}
            rows = [
                make_row(**common, value=fd, low=fd / 2, high=fd * 2, scale="log", headline=True),
                make_row(**common, metric="recall_efficientnet_lite0", aspect="diversity",
                         value=0.5, low=0.4, high=0.6),
                make_row(**common, metric="sampling_rate", aspect="throughput", unit="images/s", value=rate,
                         low=None, high=None, interval=None, higher_is_better=True, scale="log", **PLAIN),
            ]  # fmt: skip
            machine = {"device_name": "a processor", "cores": 2, "device": "cpu"}
            facts: dict[str, Any] = {"seed": seed, "control": model == "real", "machine": machine}
            facts["data"] = {"fingerprint": "f" * 64}
            facts["artefacts"] = [Artefact(file="samples.npz", kind="samples", caption="samples")]
            if model == "gan":
                facts["collapse"] = Collapse(step=20, words="fell")
            with Store(tmp_path / "runs").write("digits", model, cell, RunFacts(**facts)) as folder:
                write_rows(folder / "metrics.csv", rows)
                images = np.full((20, 8, 8, 3), 10 * place + seed, np.uint8)
                np.savez(folder / "samples.npz", images=images)
                if model != "real":
                    text = (
                        "epoch,step,loss,lr,monitor_distance\n1,10,2.0,0.1,\n2,20,1.0,0.1,5\n3,30,0.5,0.1,4\n"
                    )
                    (folder / "curves.csv").write_text(text)
    return tmp_path / "runs"


def labels(axis: Axes) -> list[str]:
    return [str(text) for text in axis.get_legend_handles_labels()[1]]


def test_quality_against_speed(store: Path) -> None:
    """Papers' names with the way that is better, intervals as error bars, and the front through vae and ddpm."""
    figure = benchbench.plot.scatter(store)
    (axis,) = figure.axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Images/s ↑", "FD ↓")
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert labels(axis) == ["ddpm", "gan", "real", "vae"]
    front = next(line for line in axis.lines if line.get_linestyle() == "--")
    assert front.get_xydata().tolist() == [[1.0, 2.0], [100.0, 8.0]]
    bars = axis.containers[labels(axis).index("gan")].lines[2][1].get_segments()[0]
    assert bars[:, 1].tolist() == [4.5, 18.0]
    assert "dashed: the Pareto front (ddpm, vae)" in figure.caption
    assert "fd: 1000 images against 1437, efficientnet_lite0" in figure.caption
    assert figure.get_size_inches()[0] == 3.25


def test_any_two_numbers(store: Path) -> None:
    """Recall across; of models that are chosen; what nobody has is said."""
    figure = benchbench.plot.scatter(store, x="recall", y="fd", models="vae,gan", width=5.5)
    assert figure.axes[0].get_xlabel() == "Recall ↓"  # as the rows have it
    assert labels(figure.axes[0]) == ["gan", "vae"]
    with pytest.raises(InputError, match="metric"):
        benchbench.plot.scatter(store, y="fid")


@pytest.mark.parametrize("width", [3.25, 6.5])
def test_legends_have_names_whole(width: float) -> None:
    """Whatever is set apart stands in the name: no line of a legend is wider than the figure, and the axes keep a third
    of the column's width at least, however many lines there are."""
    long = [
        f"flow-matching conditional=true,multiples=[1],sampling.steps={n},solver=midpoint" for n in range(9)
    ]
    points = {
        name: (Point(float(n + 1), None, None), Point(2.0, 1.0, 3.0)) for n, name in enumerate(["vae", *long])
    }
    with rc_context(STYLE):
        figure = PaperFigure(figsize=(width, width), layout="constrained")
        axis = draw_plane(figure, points, {name: n for n, name in enumerate(points)}, log=(True, False))
        figure.savefig(io.BytesIO(), format="png")
        (legend,) = figure.legends
        assert legend.get_window_extent().x1 <= figure.bbox.x1
        assert axis.get_window_extent().height >= figure.dpi * width / 3
    shown = [text.get_text() for text in legend.get_texts()]
    assert [text.replace("\n", "") for text in shown] == ["vae", *long]


def test_curves_of_several_models(store: Path) -> None:
    """What a look at training shows first, not the rate of learning; a colour a model, a line a seed, one name each in
    the legend, the alarm in the colour of its model."""
    figure = benchbench.plot.curves(store)
    assert [axis.get_title() for axis in figure.axes] == ["loss", "monitor distance"]
    loss = figure.axes[0]
    lines = [line for line in loss.lines if line.get_linestyle() == "-"]
    assert len(lines) == 4
    assert labels(loss) == ["ddpm", "gan", "vae"]
    assert lines[2].get_color() == lines[3].get_color() != lines[1].get_color()
    (alarm,) = (line for line in loss.lines if line.get_linestyle() == "--")
    assert (alarm.get_xdata()[0], alarm.get_color()) == (20, lines[1].get_color())
    assert lines[0].get_xydata().tolist() == [[10, 2.0], [20, 1.0], [30, 0.5]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[20, 5], [30, 4]]
    named = benchbench.plot.curves(store, quantities="lr", models="vae")
    assert [axis.get_title() for axis in named.axes] == ["lr"]
    with pytest.raises(InputError, match="did you mean 'loss'"):
        benchbench.plot.curves(store, quantities="los")
    with pytest.raises(InputError, match="none of these records has training curves"):
        benchbench.plot.curves(store, models="real")


def test_samples_side_by_side(store: Path) -> None:
    """The first nine of the first seed of each model; pixels are 10 times the place of the model, by hand."""
    figure = benchbench.plot.grid(store, images=9, columns=3)
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in shown] == ["ddpm", "gan", "real", "vae"]
    pixels = [int(np.asarray(axis.images[0].get_array())[6, 6, 0]) for axis in shown]
    assert pixels == [20, 10, 30, 0]
    (store / "digits" / "vae" / f"{0:016x}" / "samples.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"samples.npz is not what run.json lists"):
        benchbench.plot.grid(store)
    for path in (store / "digits" / "vae").rglob("samples.npz"):
        path.unlink()
    with pytest.raises(InputError, match="no record of vae keeps its samples"):
        benchbench.plot.grid(store)


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_files_for_a_paper(store: Path, tmp_path: Path, kind: str) -> None:
    """The same bytes twice. A PDF holds TrueType and no Type 3, and is as wide as was asked for, 72 points an inch; an
    SVG holds outlines and no text."""
    for place in ("a", "b"):
        benchbench.plot.scatter(store, out=tmp_path / f"{place}.{kind}")
    content = (tmp_path / f"a.{kind}").read_bytes()
    assert content == (tmp_path / f"b.{kind}").read_bytes()
    if kind == "pdf":
        assert b"/FontFile2" in content
        assert b"/Type3" not in content
        assert re.search(rb"/MediaBox \[ 0 0 234 ", content)
    if kind == "svg":
        assert b"<text" not in content
        assert b"<path" in content
    if kind == "png":
        assert content.startswith(b"\x89PNG")


def test_a_figure_saves_itself_so(store: Path, tmp_path: Path) -> None:
    """By matplotlib's own method too, after somebody changed it; a notebook shows it as a picture with its caption."""
    figure = benchbench.plot.scatter(store)
    figure.axes[0].set_title("mine")
    figure.savefig(tmp_path / "own.pdf")
    assert b"/Type3" not in (tmp_path / "own.pdf").read_bytes()
    shown = figure._repr_html_()
    assert shown.startswith('<img src="data:image/png;base64,')
    assert "the Pareto front (ddpm, vae)" in shown
    hostile = PaperFigure()
    hostile.caption = '"><script>'
    assert "<script>" not in hostile._repr_html_()


def test_what_cannot_be_drawn_is_one_sentence(store: Path, tmp_path: Path, make_row: MakeRow) -> None:
    """Before anything is read where the file cannot be; two datasets, and no records."""
    for out in ("figure.jpg", "figure", tmp_path):
        with pytest.raises(InputError):
            benchbench.plot.scatter("nowhere", out=out)
    for width in (0, 100, float("nan"), "3", True):
        with pytest.raises(InputError, match="width"):
            benchbench.plot.grid(store, width=width)  # type: ignore[arg-type]
    for images in (0, 300, 1.5, True):
        with pytest.raises(InputError, match="images"):
            benchbench.plot.grid(store, images=images)  # type: ignore[arg-type]
    with Store(store).write("grid25", "vae", "ab" * 8, RunFacts()) as folder:
        write_rows(folder / "metrics.csv", [make_row(cell="ab" * 8, dataset="grid25")])
    with pytest.raises(InputError, match=r"these records are of digits, grid25; .*--where dataset=digits"):
        benchbench.plot.scatter(store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no records"):
        benchbench.plot.curves(tmp_path / "empty")


def test_a_dollar_in_a_name_is_a_dollar(tmp_path: Path, make_row: MakeRow) -> None:
    """Nothing in a name is mathematics; a name of 200 letters is drawn as well."""
    for place, name in enumerate(("a$b$c", "$\\frac$", "x" * 200)):
        cell = f"{place:016x}"
        rows = [
            make_row(cell=cell, model=name),
            make_row(cell=cell, model=name, metric="kd_efficientnet_lite0"),
        ]
        with Store(tmp_path / "runs").write("digits", name, cell, RunFacts()) as folder:
            write_rows(folder / "metrics.csv", rows)
    benchbench.plot.scatter(tmp_path / "runs", x="kd", y="fd", out=tmp_path / "f.png")
    assert zlib.crc32((tmp_path / "f.png").read_bytes())


def test_every_paper_name_is_one_that_matplotlib_reads() -> None:
    """No TeX but between dollars; a metric that no paper names keeps its own."""
    from matplotlib.mathtext import MathTextParser

    for family in PAPER:
        name, _ = figure_name(Measure(family, "", "", "", 0))
        assert "\\" not in re.sub(r"\$[^$]*\$", "", name)
        MathTextParser("path").parse(name)
    assert figure_name(Measure("own_thing", "", "x$", "", 0)) == ("own thing (x\\$)", 1)


def test_the_command_says_the_caption(store: Path, tmp_path: Path) -> None:
    """Where it is and what a caption has to say, of each kind."""
    for kind in ("curves", "scatter", "grid"):
        out = tmp_path / f"{kind}.pdf"
        result = CliRunner().invoke(cli, ["plot", kind, str(store), "--out", str(out), "--models", "vae,gan"])
        assert result.exit_code == 0, result.output
        first, caption = result.output.splitlines()
        assert first == f"figure: {out}"
        assert caption.endswith(".")
        assert out.read_bytes().startswith(b"%PDF")


@pytest.mark.costly
def test_what_the_page_types_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of docs/plots.md that reads the published records."""
    root = Path(__file__).parents[2]
    page = (root / "docs" / "plots.md").read_text(encoding="utf-8")
    typed = [shlex.split(line)[1:] for line in re.findall(r"\$ (benchbench .*)", page)]
    monkeypatch.chdir(tmp_path)
    tried = [command for command in typed if "results" in command]
    assert len(tried) == 2
    for command in tried:
        words = [str(root / "results") if word == "results" else word for word in command]
        assert CliRunner().invoke(cli, words).exit_code == 0
        assert Path(words[-1]).is_file()
