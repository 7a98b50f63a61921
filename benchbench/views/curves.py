"""Training curves: `curves.csv` as small multiples, one axis a quantity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.views.text import plain

COLUMNS = 3
X = ("epoch", "step")  # what curves may run along; not quantities of their own


def plot_curves(curves: Path | str, path: Path | str) -> None:
    """Draw `curves` (a `curves.csv`: `epoch` and one column a quantity) into the PNG `path`.

    Missing values are gaps; a quantity with none at all is left out. Points are marked, so that one epoch is
    seen too. The same file gives the same bytes. Raises `InputError` for a file that is missing, is no such
    table or has nothing to draw.
    """
    try:
        table = pd.read_csv(curves)
    except FileNotFoundError as error:
        raise InputError(f"there are no training curves at {curves}; was the model trained here?") from error
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors, as is UnicodeDecodeError
        raise InputError(f"{curves} is not a table of training curves: {error}") from error
    if "epoch" not in table.columns:
        raise InputError(f"{curves} has no column 'epoch'; it is not a table of training curves")
    numbers = table.apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    quantities = [name for name in table.columns if name not in X and numbers[name].notna().any()]
    if not quantities:
        raise InputError(f"{curves} holds no curve to draw")

    columns = min(COLUMNS, len(quantities))
    lines = -(-len(quantities) // columns)
    figure = Figure(figsize=(4 * columns, 2.8 * lines), dpi=120, layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis, name in zip(axes, quantities, strict=False):
        axis.plot(numbers["epoch"], numbers[name], marker=".", linewidth=1.5)
        axis.set_title(plain(name), fontsize=11, parse_math=False)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    for axis in axes[len(quantities) :]:
        axis.remove()
    with atomic_path(path) as temporary:
        # No software tag: the bytes must not change with the version of matplotlib alone.
        figure.savefig(temporary, format="png", metadata={"Software": None})
