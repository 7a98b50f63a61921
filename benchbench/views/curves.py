"""What training did: `curves.csv` as small multiples against the step, one axis a quantity."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.views.text import plain

COLUMNS = 3
PLACE = (4.0, 2.8)
"""Width and height of a quantity's place, in inches."""
MARGINS = {"left": 0.9, "right": 0.1, "top": 0.35, "bottom": 0.5}
"""What of a place is around its axis, in inches: room for numbers of six digits, a title and `step`."""
LINE = 0.2
"""Height of a line of an alarm's words, in inches."""
X = ("epoch", "step")  # what curves may run along; not quantities of their own
ALARM = "#c0392b"
LOGARITHMIC = "distance"  # how quantities end that fall by powers of ten
SPAN = 30.0  # of whose values the largest is so many times the smallest


class Alarm(NamedTuple):
    """Where an alarm went off, and what it saw."""

    step: int
    words: str


def plot_curves(curves: Path | str, path: Path | str, alarm: Alarm | None = None) -> None:
    """Draw `curves` (a `curves.csv`: `step` and one column a quantity) into the PNG `path`.

    Rows need not hold every quantity: what an epoch reports and what a scan of the samples reports come at steps of
    their own, so the points of a quantity are joined over rows that lack it; one with no number at all is left out.
    Points are marked, so that a single one is seen too. `alarm`: a vertical line on every axis, its words on top.
    The same file gives the same bytes. Raises `InputError` for a file that is missing, is no such table or has
    nothing to draw.
    """
    try:
        table = pd.read_csv(curves)
    except FileNotFoundError as error:
        raise InputError(f"there are no training curves at {curves}; was the model trained here?") from error
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors, as is UnicodeDecodeError
        raise InputError(f"{curves} is not a table of training curves: {error}") from error
    if "step" not in table.columns:
        raise InputError(f"{curves} has no column 'step'; it is not a table of training curves")
    numbers = table.apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    quantities = [name for name in table.columns if name not in X and numbers[name].notna().any()]
    if not quantities:
        raise InputError(f"{curves} holds no curve to draw")

    columns = min(COLUMNS, len(quantities))
    lines = -(-len(quantities) // columns)
    words = []
    if alarm is not None:
        words = textwrap.wrap(plain(f"alarm at step {alarm.step}: {alarm.words}"), 48 * columns)
    figure = Figure(figsize=(PLACE[0] * columns, PLACE[1] * lines), dpi=120)
    spaces = _spaces(columns, lines, LINE * len(words))
    axes = list(figure.subplots(lines, columns, squeeze=False, gridspec_kw=spaces).flat)
    for axis, name in zip(axes, quantities, strict=False):
        points = numbers[["step", name]].dropna()
        axis.plot(points["step"], points[name], marker=".", linewidth=1.5)
        if alarm is not None:
            axis.axvline(alarm.step, color=ALARM, linewidth=1.2)
        if on_log_scale(name, points[name]):
            axis.set_yscale("log")
        axis.set_title(plain(name), y=1, fontsize=11, parse_math=False)  # looks for no better place
        axis.set_xlabel("step")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    for axis in axes[len(quantities) :]:
        axis.remove()
    figure.suptitle("\n".join(words), y=0.995, fontsize=11, color=ALARM, parse_math=False)
    with atomic_path(path) as temporary:
        # No software tag: the bytes must not change with the version of matplotlib alone.
        figure.savefig(temporary, format="png", metadata={"Software": None})


def on_log_scale(name: str, values: pd.Series) -> bool:
    """Whether a linear axis would show the first values of a distance and leave all others on its floor."""
    if not (name.endswith(LOGARITHMIC) and len(values)):
        return False
    least, most = float(values.min()), float(values.max())
    return least > 0 and most >= SPAN * least


def _spaces(columns: int, lines: int, head: float) -> dict[str, float]:
    """Where axes are, as matplotlib says it: each within its place, below `head` inches. Counted, for a layout that
    looks at what is drawn takes longer than to draw it, and every training ends with this picture."""
    across, down = (MARGINS["left"] + MARGINS["right"], MARGINS["top"] + MARGINS["bottom"])
    width, height = PLACE[0] * columns, PLACE[1] * lines
    return {
        "left": MARGINS["left"] / width,
        "right": 1 - MARGINS["right"] / width,
        "bottom": MARGINS["bottom"] / height,
        "top": 1 - (head + MARGINS["top"]) / height,
        "wspace": across / (PLACE[0] - across),
        "hspace": down / ((height - head) / lines - down),
    }
