"""What nobody can see, and what anybody can: how far does each move the extractor of a dataset?

    BENCHBENCH_DATA=FOLDER python benchmarks/disturbances.py docs/disturbances.csv [DATASET ...] [--extractor NAME ...]
    BENCHBENCH_DATA=FOLDER python benchmarks/disturbances.py docs/disturbances.png [DATASET ...]

Real held-out images are disturbed and held against as many training images (2,000, or all there are). An extractor that
knows its data is moved less by the worst disturbance that a person cannot see than by the mildest that anybody can:
`passes`. What is visible was decided by eye, on the sheet of images that the script draws beside the table.

`benchbench audit metrics --dataset NAME` asks the same of any metric.

What is measured replaces its rows of the table; the others stay. Extractors without weights at hand are left out, and
the script says so. Ten minutes of one core a dataset, nearly all of it for efficientnet_lite0.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.files import atomic_path
from benchbench.core.registry import METRICS
from benchbench.data.builtin.digits import NATIVE, SIDE, render
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.data.edits.pixels import noise
from benchbench.features.extractor import Extractor, load_extractor
from benchbench.metrics.audit.disturbances import (
    DISTURBANCES,
    MISSING,
    Disturbance,
    N,
    disturbed,
    extremes,
    moves,
    of_pixels,
    passes,
    shown,
)
from benchbench.metrics.select import select_metrics

FAMILIES = ("fd", "precision", "coverage")
GENERAL = ("efficientnet_lite0", "inception_v3", "dinov2_vit_b_14")
EXTRACTORS_OF = {
    "digits": ("cnn_digits", "cnn_mnist", *GENERAL),
    "mnist": ("cnn_mnist", "cnn_digits", *GENERAL),
    "stacked-digits": ("modes_stacked-digits", *GENERAL),
    "stacked-mnist": ("modes_stacked-mnist", *GENERAL),
    "ring8": ("modes_ring8", *GENERAL),
    "grid25": ("modes_grid25", *GENERAL),
    "openmoji": GENERAL,
    "cifar10": ("cnn_cifar10", *GENERAL),
}
"""Own extractor first."""


def as_digits(images: Tensor) -> Tensor:
    """32×32 images the way digits are made: 8×8 levels whose enlargement is nearest (least squares), enlarged; grey,
    of the mean of the channels. A digit comes back but for one level here and there."""
    unit = np.eye(NATIVE, dtype=np.float32)
    columns = [
        Image.fromarray(unit[:, [k]]).resize((1, SIDE), Image.Resampling.BICUBIC) for k in range(NATIVE)
    ]
    reduce = np.linalg.pinv(np.hstack([np.asarray(column) for column in columns]))  # 8×32
    levels = reduce @ images.double().mean(1).numpy() @ reduce.T * (16 / 255)
    return torch.from_numpy(render(levels.round().clip(0, 16)))


CONVERSE = {
    "as-digits": Disturbance("as digits", False, of_pixels(as_digits)),
    "noise-32-as-digits": Disturbance(
        "noise as digits", True, of_pixels(lambda images: as_digits(noise(images, 32)))
    ),
}
"""For digits: what lies above 8×8 is taken away again, also after noise. The rule is not about them."""


def measure(
    dataset: Dataset, extractor: Extractor, n: int = N, only: Collection[str] | None = None
) -> pd.DataFrame:
    """`disturbed` by the families of the page that are defined on the extractor; of digits with what lies above 8×8
    taken away again, too."""
    families = [name for name in FAMILIES if METRICS.get(name).defined_on(extractor.name)]
    metrics = select_metrics(families, [extractor.name])
    print(dataset.name, extractor.name, flush=True)
    return disturbed(dataset, extractor, metrics, n, only, CONVERSE if dataset.name == "digits" else None)


def table(frame: pd.DataFrame) -> str:
    """The table of docs/ordering.md, in Markdown: a line a dataset and extractor."""
    titles = {name: it.title for name, it in DISTURBANCES.items()} | {MISSING: "missing"}
    head = ["dataset", "extractor", "FD", *titles.values(), "passes"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * 2}{'--:|' * (len(head) - 3)}---|"]
    for (dataset, extractor), own in frame.groupby(["dataset", "extractor"], sort=False):
        moved, bold = moves(own), extremes(own)
        cells = [f"**{_short(moved[name])}**" if name in bold else _short(moved[name]) for name in titles]
        undisturbed = own[(own.metric == "fd") & (own.disturbance == "none")].value.iloc[0]
        verdict = "yes" if passes(own) else "no"
        lines.append(
            f"| {' | '.join([str(dataset), f'`{extractor}`', f'{undisturbed:.3g}', *cells, verdict])} |"
        )
    return "\n".join(lines)


def _short(move: float) -> str:
    """Three digits, none below a thousandth."""
    return f"{move:+.3g}" if abs(move) >= 1 else f"{move:+.3f}"


def extractors_of(dataset: str) -> list[Extractor]:
    """The extractors of `EXTRACTORS_OF` whose weights are at hand; says which are not."""
    found = []
    for name in EXTRACTORS_OF[dataset]:
        try:
            found.append(load_extractor(name))
        except MetricFailed as failed:
            print(f"without {name}: {failed}", flush=True)
    return found


def merge(new: pd.DataFrame, path: Path) -> None:
    """Write the rows of one dataset and extractor into the table, in the order of `EXTRACTORS_OF`."""
    frames = [new]
    if path.exists():
        old = pd.read_csv(path)
        first = new.iloc[0]
        frames.insert(0, old[(old.dataset != first.dataset) | (old.extractor != first.extractor)])
    whole = pd.concat(frames)
    order = {
        pair: i
        for i, pair in enumerate(
            (name, extractor) for name in EXTRACTORS_OF for extractor in EXTRACTORS_OF[name]
        )
    }
    place = [order[pair] for pair in zip(whole.dataset, whole.extractor, strict=True)]
    whole = whole.iloc[np.argsort(place, kind="stable")]
    with atomic_path(path) as temporary:
        whole.to_csv(temporary, index=False, float_format="%.6g")


def main() -> None:
    from ordering_plot import sheet

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="the table, or with .png the sheet of images")
    parser.add_argument("datasets", nargs="*", help="all, unless some are named")
    parser.add_argument("--extractor", nargs="+", help="all, unless some are named")
    arguments = parser.parse_args()
    path, names = arguments.path, arguments.datasets or list(EXTRACTORS_OF)
    if path.suffix == ".png":
        sheet({name: _examples(load_dataset(name)) for name in names}, path)
        return
    for name in names:
        dataset = load_dataset(name)
        for extractor in extractors_of(name):
            if arguments.extractor is None or extractor.name in arguments.extractor:
                merge(measure(dataset, extractor), path)
    print(table(pd.read_csv(path)))


def _examples(dataset: Dataset) -> dict[str, Tensor]:
    """The first image undisturbed and disturbed, by title; uint8 3×H×W."""
    images, labels = shown(dataset, 100)
    made = {it.title: it.make(images, labels)[0] for it in DISTURBANCES.values()}
    return {"undisturbed": images[0]} | made


if __name__ == "__main__":
    main()
