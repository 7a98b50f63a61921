"""Figures of the report, as SVG text to put into a page: one function a figure, the same input the same bytes.

Text and axes take the colour of the page around them (`currentColor`), so that a figure reads on light and on
dark paper. Models keep their colour and marker through all figures of a report.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from benchbench.core.errors import short
from benchbench.views.curves import Alarm, on_log_scale
from benchbench.views.smaller_svg import smaller_svg
from benchbench.views.text import arrow, plain

# Okabe & Ito 2008: told apart by people who do not see red and green alike, on white and on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#B8A900")
MARKERS = "osD^vP*"  # 7 and 8 colours: 56 models are told apart
SHORT = 32  # letters of a name beside an axis
LETTERS = 118.0  # of a point of size, on an inch
HANDLE = 0.45  # inches of what stands before a name in a legend
_INK = "#010203"  # stands for the page's own colour until the SVG is written
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "benchbench",
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud, and is small
    "font.family": "sans-serif",
    "font.size": 10,
    "path.simplify_threshold": 0.5,  # pixels
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "lines.linewidth": 1.2,
    "lines.markersize": 7,
    "errorbar.capsize": 3,
    "axes.titlesize": 10,
    "legend.fontsize": 8,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
}
MOST_CLASSES = 25  # bars; beyond that a histogram is drawn as a sorted curve


@dataclass(frozen=True)
class Point:
    """A number with its interval, drawn as a cross of error bars; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def errors(self) -> list[list[float]]:
        """Distances down and up, never negative: a percentile interval need not hold its value."""
        below = 0.0 if self.low is None else max(0.0, self.value - self.low)
        above = 0.0 if self.high is None else max(0.0, self.high - self.value)
        return [[below], [above]]


def plane(
    points: Mapping[str, tuple[Point, Point]],
    x_name: str,
    y_name: str,
    looks: Mapping[str, int],
    *,
    log_x: bool = False,
    log_y: bool = False,
    front: Sequence[str] = (),
) -> str:
    """Models in the plane of two numbers with both intervals. `front`: models joined by a line, those that none
    beats in both. `looks`: the number of each model's colour and marker."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axis = draw_plane(figure, points, looks, log=(log_x, log_y), front=front)
        axis.set_xlabel(plain(x_name), parse_math=False)
        axis.set_ylabel(plain(y_name), parse_math=False)
        return _svg(figure)


def forest(points: Mapping[str, Point], name: str, looks: Mapping[str, int], landmark: float) -> str:
    """One number of several models with its intervals, a line each in the order given from the top; a dashed line at a
    landmark, such as chance. `looks`: the number of each model's colour and marker."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 0.9 + 0.34 * max(2, len(points))), layout="constrained")
        axis = figure.add_subplot()
        axis.axvline(landmark, color=_INK, linestyle="--", linewidth=0.8)
        for place, (own, x) in enumerate(points.items()):
            marker, colour = MARKERS[looks[own] % len(MARKERS)], COLOURS[looks[own] % len(COLOURS)]
            axis.errorbar(x.value, place, xerr=x.errors, fmt=marker, color=colour)
        axis.set_yticks(range(len(points)), [literal(short(own, SHORT)) for own in points])
        axis.set_ylim(len(points) - 0.5, -0.5)
        axis.set_xlabel(plain(name), parse_math=False)
        axis.grid(axis="x", alpha=0.25)
        return _svg(figure)


def draw_plane(
    figure: Figure,
    points: Mapping[str, tuple[Point, Point]],
    looks: Mapping[str, int],
    *,
    log: tuple[bool, bool],
    front: Sequence[str] = (),
) -> Axes:
    """`plane` on a figure of whatever size and style, without names at its axes. log: of x and of y."""
    axis = figure.add_subplot()
    _joined(axis, [points[name] for name in front])
    for name, (x, y) in points.items():
        axis.errorbar(
            x.value,
            y.value,
            xerr=x.errors,
            yerr=y.errors,
            fmt=MARKERS[looks[name] % len(MARKERS)],
            color=COLOURS[looks[name] % len(COLOURS)],
            label=literal(name),
        )
    if log[0]:
        axis.set_xscale("log")
        _plain_ticks(axis.xaxis)
    if log[1]:
        axis.set_yscale("log")
        _plain_ticks(axis.yaxis)
    # Beside the axes: models that fail alike lie on one spot, where names would cover each other.
    add_legend(figure, *axis.get_legend_handles_labels())
    axis.margins(0.12)
    axis.grid(alpha=0.25)
    return axis


def add_legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Names below the axes, whole, in two columns where there is room for two, else in one and in lines of it. The
    figure grows by what they take beyond two lines."""
    size = rcParams["legend.fontsize"]
    letters = [int(LETTERS / size * (figure.get_figwidth() / columns - HANDLE)) for columns in (1, 2)]
    columns = 2 if max(map(len, names), default=0) <= letters[1] else 1
    shown = [in_lines(name, letters[columns - 1]) for name in names]
    figure.legend(handles, shown, loc="outside lower left", ncols=columns)
    lines = sum(name.count("\n") + 1 for name in shown) / columns
    figure.set_figheight(figure.get_figheight() + max(0.0, lines - 2) * 1.5 * size / 72)


def in_lines(name: str, letters: int) -> str:
    """A name in lines of so many letters, broken behind commas and blanks alone.

    >>> in_lines("ddpm eta=0.5,steps=20", 14)
    'ddpm eta=0.5,\\nsteps=20'
    """
    lines = [""]
    for part in re.split(r"(?<=[, ])", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def literal(name: str) -> str:
    """A name as a legend shows it: a pair of $ would be read as mathematics."""
    return plain(name).replace("$", r"\$")


class _Written(LogFormatter):
    """Numbers as people write them, where matplotlib has 1e4 beside 1e+05; which ticks have one is for matplotlib."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:,g}" if super().__call__(x, pos) else ""


def _plain_ticks(axis: Axis) -> None:
    """Numbers at the ticks of a logarithmic axis as they are: nothing here reads mathematics."""
    axis.set_major_formatter(_Written())
    axis.set_minor_formatter(_Written(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))


@dataclass(frozen=True)
class Line:
    """A training in a plot: the table of its `curves.csv`, what a legend calls it, the place of its colour, and the
    step of its alarm. Lines of one name share a place in the legend."""

    name: str
    table: pd.DataFrame
    look: int
    alarm: int | None = None


def curves(tables: Mapping[int, pd.DataFrame], names: Sequence[str], alarms: Mapping[int, Alarm]) -> str:
    """Quantities of `curves.csv` against the step, a line a seed; alarms as vertical lines of the same colour."""
    with rc_context(_STYLE):
        lines = [
            Line(f"seed {seed}", table, place, alarms[seed].step if seed in alarms else None)
            for place, (seed, table) in enumerate(sorted(tables.items()))
        ]
        columns = min(3, len(names))
        figure = Figure(figsize=(3.6 * columns, 2.4 * -(-len(names) // columns)), layout="constrained")
        axes = draw_curves(figure, lines, names, columns)
        if len(tables) > 1:
            axes[0].legend()
        return _svg(figure)


def draw_curves(figure: Figure, lines: Sequence[Line], names: Sequence[str], columns: int) -> list[Axes]:
    """An axis a quantity, so many beside each other. A table that lacks a quantity has no line there."""
    axes = list(figure.subplots(-(-len(names) // columns), columns, squeeze=False).flat)
    for axis, name in zip(axes, names, strict=False):
        told: set[str] = set()
        drawn = [pd.Series(dtype=float)]
        for line in lines:
            colour = COLOURS[line.look % len(COLOURS)]
            if name in line.table:
                shown = line.table[["step", name]].apply(pd.to_numeric, errors="coerce").dropna()
                drawn.append(shown[name])
                label = "_" if line.name in told else literal(line.name)  # which no legend shows
                axis.plot(shown["step"], shown[name], color=colour, label=label)
                told.add(line.name)
            if line.alarm is not None:
                axis.axvline(line.alarm, color=colour, linewidth=1, linestyle="--")
        if on_log_scale(name, pd.concat(drawn)):
            axis.set_yscale("log")
        axis.set_title(plain(name), parse_math=False)
        axis.grid(alpha=0.25)
    for axis in axes[len(names) :]:
        axis.remove()
    return axes[: len(names)]


def histogram(shares: Sequence[float], reference: Sequence[float], names: Sequence[str]) -> str:
    """Shares of the classes among generated and among real images: bars, or sorted curves where there are many."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        axis = figure.add_subplot()
        place = np.arange(len(names))
        if len(names) <= MOST_CLASSES:
            axis.bar(place - 0.2, reference, 0.4, color="#999999", label="real")
            axis.bar(place + 0.2, shares, 0.4, color=COLOURS[0], label="generated")
            axis.set_xticks(
                place, [plain(name) for name in names], fontsize=8, rotation=0 if len(names) < 12 else 60
            )
        else:
            axis.step(place, sorted(reference, reverse=True), color="#999999", label="real")
            axis.step(place, sorted(shares, reverse=True), color=COLOURS[0], label="generated")
            axis.set_xlabel(f"{len(names)} classes, the most frequent first")
        axis.set_ylabel("share")
        figure.legend(loc="outside upper left", ncols=2)  # bars may be anywhere within
        return _svg(figure)


def looks_of(together: Iterable[Collection[str]]) -> dict[str, int]:
    """The number of each name's colour and marker: no two have one, and names that stand together share no colour while
    there are enough of them.

    >>> looks_of([["a", "b"], ["b", "c"]])
    {'a': 0, 'b': 1, 'c': 2}
    """
    groups = [set(group) for group in together]
    found: dict[str, int] = {}
    taken: list[set[int]] = [set() for _ in groups]  # colours, by group
    free = list(range(sum(map(len, groups))))
    for name in sorted(set().union(*groups)):
        own = [place for place, group in enumerate(groups) if name in group]
        near = set().union(*(taken[place] for place in own))
        look = next((n for n in free if n % len(COLOURS) not in near), free[0])
        free.remove(look)
        found[name] = look
        for place in own:
            taken[place].add(look % len(COLOURS))
    return found


def direction(name: str, higher_is_better: bool | None) -> str:
    """An axis label with the way that is better."""
    return f"{name} {arrow(higher_is_better)}".strip()


def _joined(axis: Axes, front: Sequence[tuple[Point, Point]]) -> None:
    if len(front) > 1:
        ordered = sorted((x.value, y.value) for x, y in front)
        axis.plot(
            *zip(*ordered, strict=True),
            color=rcParams["axes.edgecolor"],
            alpha=0.35,
            linestyle="--",
            zorder=0,
        )


def _svg(figure: Figure) -> str:
    """The `<svg>` element alone, without a fixed size or a background, and without what takes room and says nothing."""
    out = io.StringIO()
    # No date and no version: the bytes are a function of what is drawn.
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for size in ("height", "width"):
        text = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", text, count=1)
    return smaller_svg(text)
