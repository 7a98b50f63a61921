"""The picture of `ordering.py`: a row a metric, a column a degradation, worse to the right.

Colours are Okabe & Ito's, which colour-blind eyes tell apart; the line style and the marker say the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from ordering import (
    AS_EXPECTED,
    DEGRADATIONS,
    EXPECTED,
    NO_CLAIM,
    OTHERWISE,
    UP_TO_INTERVAL,
    curve,
    verdict,
)
from torch import Tensor

from benchbench.core.files import atomic_path

STYLES = {
    AS_EXPECTED: {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    UP_TO_INTERVAL: {"color": "#009E73", "linestyle": "-.", "marker": "s"},
    OTHERWISE: {"color": "#D55E00", "linestyle": "--", "marker": "X"},
    NO_CLAIM: {"color": "#8C8C8C", "linestyle": ":", "marker": "."},
}
# Where the first step and the last are a hundredfold apart.
SCALES: dict[str, dict[str, Any]] = {
    "fd": {"value": "log"},
    "swd": {"value": "log"},
    "kd": {"value": "symlog", "linthresh": 0.01},
}


def plot(frame: pd.DataFrame, path: Path) -> None:
    """Write the picture of what `ordering.measure` returned."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    families = [family for family in EXPECTED if (frame.metric == family).any()]
    figure, axes = plt.subplots(
        len(families), len(DEGRADATIONS), sharex="col", sharey="row", squeeze=False,
        figsize=(1.75 * len(DEGRADATIONS) + 1.2, 1.02 * len(families) + 1.3),
    )  # fmt: skip
    for family, row in zip(families, axes, strict=True):
        row[0].set_ylabel(family, rotation=0, ha="right", va="center", fontsize=10, labelpad=10)
        row[0].set_yscale(**SCALES.get(family, {"value": "linear"}))
        for name, ax in zip(DEGRADATIONS, row, strict=True):
            _panel(ax, curve(frame, family, name), **STYLES[verdict(frame, family, name)])
    for (name, degradation), top, bottom in zip(DEGRADATIONS.items(), axes[0], axes[-1], strict=True):
        top.set_title(name, fontsize=11)
        bottom.set_xticks(range(5), ["none", *(f"{level:g}" for level in degradation.levels)], fontsize=8)
        bottom.set_xlabel(degradation.label, fontsize=9)
    first = frame.iloc[0]
    figure.suptitle(
        f"{first.n_images:,} {first.dataset} images made worse, against {first.n_images:,} training images, "
        f"{first.extractor}; bands are 95% intervals",
        fontsize=11,
    )
    keys = [Line2D([], [], label=label, markersize=6, **style) for label, style in STYLES.items()]
    figure.legend(handles=keys, loc="lower center", ncols=4, frameon=False, fontsize=10)
    figure.tight_layout(rect=(0, 0.02, 1, 0.995), h_pad=0.4, w_pad=0.6)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)


def _panel(ax: Axes, rows: pd.DataFrame, color: str, linestyle: str, marker: str) -> None:
    x = range(len(rows))
    if rows.low.notna().any():
        ax.fill_between(x, rows.low, rows.high, color=color, alpha=0.2, linewidth=0)
    ax.plot(x, rows.value, color=color, linestyle=linestyle, marker=marker, markersize=4, linewidth=1.4)
    ax.tick_params(labelsize=8, length=2)
    if ax.get_yscale() == "linear":
        ax.locator_params(axis="y", nbins=3)
    ax.margins(y=0.15)
    ax.spines[["top", "right"]].set_visible(False)


def sheet(examples: Mapping[str, Mapping[str, Tensor]], path: Path) -> None:
    """Write a sheet of images, uint8 3×H×W by title: a row a dataset, a column a title; a pixel is a small square."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    titles = list(next(iter(examples.values())))
    figure, axes = plt.subplots(
        len(examples), len(titles), squeeze=False, figsize=(0.95 * len(titles) + 0.3, 1.0 * len(examples) + 0.3)
    )  # fmt: skip
    for (dataset, images), row in zip(examples.items(), axes, strict=True):
        row[0].set_ylabel(dataset, fontsize=8)
        for title, ax in zip(titles, row, strict=True):
            ax.imshow(images[title].permute(1, 2, 0).numpy(), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
    for title, ax in zip(titles, axes[0], strict=True):
        ax.set_title(title, fontsize=8)
    figure.tight_layout(pad=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
