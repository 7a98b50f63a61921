"""The picture of `ladder.py`: a panel an edit, stronger to the right, a row a metric."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd

from benchbench.core.files import atomic_path
from benchbench.data.edits.edit import EDITS

COLUMNS = 7
NO_VALUE = "#D9D9D9"


def plot(moved: pd.DataFrame, dataset: str, path: Path) -> None:
    """Write the picture of what `ladder.moves` returned. Orange: worse than unedited, purple: better; the two hues
    are told apart by colour-blind eyes."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    edits = list(moved.columns.unique("edit"))
    rows = -(-len(edits) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, squeeze=False, sharey=True, layout="constrained",
        figsize=(1.75 * COLUMNS + 1.8, (0.165 * len(moved) + 1.0) * rows + 0.5),
    )  # fmt: skip
    colours = matplotlib.colormaps["PuOr_r"].with_extremes(bad=NO_VALUE)
    shown = None
    for edit, ax in zip(edits, axes.flat, strict=False):
        shown = ax.imshow(moved[edit], cmap=colours, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_title(edit, fontsize=10)
        ax.set_xticks(range(5), [f"{strength:g}" for strength in EDITS[edit].strengths], fontsize=7)
        ax.set_xlabel(EDITS[edit].unit, fontsize=8)
        ax.set_yticks(range(len(moved)), moved.index, fontsize=7)
        ax.tick_params(length=0)
    for ax in axes.flat[len(edits) :]:
        ax.axis("off")
    assert shown is not None
    bar = figure.colorbar(shown, ax=axes, shrink=0.5, pad=0.01)
    bar.set_ticks(
        [-1, 0, 1],
        labels=["better, as far\nas any edit", "as\nunedited", "worse, as far\nas any edit"],
        fontsize=8,
    )
    figure.suptitle(
        f"{dataset}: how far each edit moves each metric, of the metric's own range; grey: no value",
        fontsize=11,
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
