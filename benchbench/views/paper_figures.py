"""Figures for a paper: what the report draws, at the width of a column, with the papers' names and embedded fonts.

A figure is matplotlib's, to be changed and saved as any other. Whoever saves it gets TrueType fonts (PDF) or outlines
(SVG), which publishers take, and the same bytes for the same numbers.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.results.claims.conditions import BUSY, short_name
from benchbench.views.board import measure_of
from benchbench.views.figures import Line, Point, add_legend, draw_curves, draw_plane, literal
from benchbench.views.grid import Images, check_images, tiled
from benchbench.views.paper_names import figure_name
from benchbench.views.planes import Plane, plane_of
from benchbench.views.text import arrow, plain, protocol

COLUMN = 3.25
"""Inches: a column of a paper set in two of them. The text of a NeurIPS paper is 5.5 wide."""
NARROWEST, WIDEST = 1.0, 20.0
FORMATS = ("pdf", "svg", "png")
STYLE: dict[Any, Any] = {
    "pdf.fonttype": 42,  # TrueType: publishers refuse the Type 3 that matplotlib writes otherwise
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # outlines: the reader may not have the font
    "svg.hashsalt": "benchbench",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that the bytes are the same everywhere
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.0,
    "lines.linewidth": 1,
    "lines.markersize": 4.5,
    "errorbar.capsize": 1.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 300,
    "text.usetex": False,
}
_UNDATED = {  # the bytes are a function of what is drawn
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
SHOWN_DPI = 150  # in a notebook


class PaperFigure(Figure):
    """A matplotlib figure with what its caption has to say, which notebooks show without pyplot.

    Attributes:
        caption: How the numbers were made, in one sentence; "" where there is nothing to say.
    """

    caption: str = ""

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """As `matplotlib.figure.Figure.savefig`, with fonts embedded.

        Args:
            fname: The file, or an open one.
            **kwargs: As matplotlib takes them.
        """
        with rc_context(STYLE):
            super().savefig(fname, **kwargs)

    def _repr_html_(self) -> str:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=SHOWN_DPI, metadata=_UNDATED["png"])
        coded = base64.b64encode(out.getvalue()).decode("ascii")
        told = html.escape(self.caption, quote=True)
        return f'<img src="data:image/png;base64,{coded}" alt="{told}" title="{told}" style="max-width:100%">'


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as what the end of the name says: .pdf, .svg or .png. `InputError` where it cannot be written."""
    kind = format_of(path)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=_UNDATED[kind])


def format_of(path: Path) -> str:
    """What a file of this name is written as; `InputError` for another one."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise InputError(
            f"a figure is written as .pdf, .svg or .png, which the name of the file says; {path} says none"
        )
    return kind


def scatter(x: pd.DataFrame, y: pd.DataFrame, width: float = COLUMN) -> PaperFigure:
    """Models between two numbers, with the intervals of both and the Pareto front.

    x, y: the lines of a summary with one metric each, and the models' names. `InputError` where no model has both.
    """
    (x_name, x_unit), (y_name, y_unit) = map(_axis, (x, y))
    found = plane_of(x, y)
    if found is None:
        raise InputError(f"no model has both {x_name} and {y_name}; name two numbers that a model has")
    drawn = {name: (_divided(own[0], x_unit), _divided(own[1], y_unit)) for name, own in found.points.items()}
    looks = {name: place for place, name in enumerate(sorted(drawn))}
    with rc_context(STYLE):
        figure = _figure(width, 0.9 * width)
        axis = draw_plane(figure, drawn, looks, log=found.log, front=found.front)
        axis.set_xlabel(x_name)
        axis.set_ylabel(y_name)
    figure.caption = _told(found, x, y)
    return figure


def curves(lines: Sequence[Line], names: Sequence[str], width: float = COLUMN) -> PaperFigure:
    """Training curves of several models: an axis a quantity, a colour a model, a line a seed."""
    columns = 1 if len(names) == 1 or width < 2 else 2
    rows = -(-len(names) // columns)
    with rc_context(STYLE):
        figure = _figure(width, rows * width / columns * 0.75 + 0.3)
        axes = draw_curves(figure, lines, names, columns)
        for place, (axis, name) in enumerate(zip(axes, names, strict=True)):
            axis.set_title(plain(name).replace("_", " "), parse_math=False)
            if place >= len(names) - columns:  # nothing stands below it
                axis.set_xlabel("step")
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        told: dict[str, Any] = {}
        for axis in axes:
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                told.setdefault(label, handle)
        add_legend(figure, [*told.values()], [*told])
    seeds = max(sum(line.name == own.name for line in lines) for own in lines)
    figure.caption = ("A line a seed" if seeds > 1 else "One seed each") + (
        "; dashed: an alarm for mode collapse." if any(line.alarm is not None for line in lines) else "."
    )
    return figure


def grid(panels: Sequence[tuple[str, Images]], columns: int, width: float = COLUMN) -> PaperFigure:
    """Samples of several models side by side, so many images a line of each; every pixel as it is."""
    for name, images in panels:
        check_images(name, images)
    across = min(len(panels), 4 if width > 4 else 3)
    pictures = [(name, tiled(images, min(columns, len(images)))) for name, images in panels]
    highest = max(picture.height / picture.width for _, picture in pictures)
    with rc_context(STYLE):
        down = -(-len(panels) // across)
        figure = _figure(width, down * (width / across * highest + 0.2))
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        for axis, (name, picture) in zip(axes, pictures, strict=False):
            axis.imshow(picture, interpolation="none")
            axis.set_title(literal(name), pad=2)
        for axis in axes:
            axis.set_axis_off()
    figure.caption = f"The first {len(panels[0][1])} samples of each model, none chosen."
    return figure


def _figure(width: float, height: float) -> PaperFigure:
    return PaperFigure(figsize=(width, height), layout="constrained")


def _axis(lines: pd.DataFrame) -> tuple[str, float]:
    """What an axis is called, with the way that is better, and what its numbers are divided by."""
    first = lines.iloc[0]
    name, divisor = figure_name(measure_of(first))
    return f"{name} {arrow(first['higher_is_better'])}".rstrip(), divisor


def _divided(point: Point, by: float) -> Point:
    return Point(*(None if x is None else x / by for x in (point.value, point.low, point.high)))  # type: ignore[arg-type]


def _told(found: Plane, *sides: pd.DataFrame) -> str:
    """How the numbers of both axes were made, who is on the front, and where the clock was not alone."""
    said = []
    for lines in sides:
        first = lines.iloc[0]
        made = "; ".join(
            filter(None, [protocol(first), *map(plain, sorted(set(lines["interval"].dropna())))])
        )
        said.append(f"{plain(short_name(first['metric'], first['extractor']))}: {made}" if made else "")
    if found.front:
        said.append(f"dashed: the Pareto front ({', '.join(found.front)})")
    if found.busy:
        said.append(
            f"rates were taken while other programs took more than {BUSY:.0%} of the machine, so there is no front"
        )
    return "; ".join(filter(None, said)) + "."
