"""What nobody can see, and what anybody can: how far does each move the extractor of a dataset?

    BENCHBENCH_DATA=FOLDER python benchmarks/disturbances.py docs/disturbances.csv [DATASET ...] [--extractor NAME ...]
    BENCHBENCH_DATA=FOLDER python benchmarks/disturbances.py docs/disturbances.png [DATASET ...]

Real held-out images are disturbed and held against as many training images (2,000, or all there are). An extractor that
knows its data is moved less by the worst disturbance that a person cannot see than by the mildest that anybody can:
`passes`. What is visible was decided by eye, on the sheet of images that the script draws beside the table.

What is measured replaces its rows of the table; the others stay. Extractors without weights at hand are left out, and
the script says so. Ten minutes of one core a dataset, nearly all of it for efficientnet_lite0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ordering import Look, blur, jpeg, noise
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.files import atomic_path
from benchbench.core.registry import METRICS
from benchbench.core.seeds import permutation
from benchbench.data.builtin.digits import NATIVE, SIDE, render
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.features.extractor import Extractor, load_extractor
from benchbench.metrics.metric import Evidence
from benchbench.metrics.select import score, select_metrics

N = 2000
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
PLACED = ("ring8", "grid25")
"""Where an image is nothing but a place. Nobody sees a shift of one pixel, but it is four standard deviations of a
mode, so no claim is made."""


def checkerboard(images: Tensor, levels: int) -> Tensor:
    """Every other pixel `levels` grey levels brighter, the rest as much darker."""
    rows, columns = (torch.arange(side) for side in images.shape[2:])
    sign = 1 - 2 * ((rows[:, None] + columns) % 2)
    return (images.to(torch.int16) + levels * sign).clamp(0, 255).to(torch.uint8)


def shift(images: Tensor) -> Tensor:
    """One pixel to the right; the first column is repeated."""
    return torch.cat([images[..., :1], images[..., :-1]], dim=-1)


def gamma(images: Tensor, exponent: float) -> Tensor:
    """Levels x in 0..1 become x^exponent."""
    return (255 * (images / 255) ** exponent).round().to(torch.uint8)


def square(images: Tensor, side: int) -> Tensor:
    """A grey square somewhere in each image (seed 0)."""
    worse, rng = images.clone(), np.random.default_rng(0)
    for image in worse:
        top, left = (rng.integers(length - side + 1) for length in images.shape[2:])
        image[:, top : top + side, left : left + side] = 128
    return worse


def elastic(images: Tensor, pixels: float, width: float = 4) -> Tensor:
    """Each pixel moved by `pixels` (root mean square, each axis), neighbours alike: a field of noise an image, of its
    own (seed 0), blurred by `width` pixels (Simard et al. 2003)."""
    worse, rng = images.clone(), np.random.default_rng(0)
    for image in worse:
        field = gaussian_filter(rng.standard_normal((2, *image.shape[1:])), (0, width, width), mode="wrap")
        places = np.indices(image.shape[1:]) + pixels * field / np.sqrt(np.mean(field**2))
        for channel in image:
            moved = map_coordinates(channel.numpy().astype(np.float32), places, order=1, mode="nearest")
            channel.copy_(torch.from_numpy(moved.round()))
    return worse


def halves(images: Tensor, labels: Tensor) -> Tensor:
    """The left half of each image, beside the right half of one of another class."""
    order = labels.argsort(stable=True)
    partner = torch.empty_like(order)
    partner[order] = order.roll(len(order) // 2)
    middle = images.shape[3] // 2
    return torch.cat([images[..., :middle], images[partner][..., middle:]], dim=-1)


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


@dataclass(frozen=True)
class Disturbance:
    """What becomes of held-out images and their labels. visible: to a person, by eye."""

    title: str
    visible: bool
    make: Callable[[Tensor, Tensor], Tensor]


def _pixels(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, labels: change(images)


DISTURBANCES = {
    "checkerboard-1": Disturbance("±1", False, _pixels(partial(checkerboard, levels=1))),
    "checkerboard-2": Disturbance("±2", False, _pixels(partial(checkerboard, levels=2))),
    "jpeg-95": Disturbance("JPEG 95", False, _pixels(partial(jpeg, quality=95, subsampling=0))),
    "shift-1": Disturbance("1 pixel", False, _pixels(shift)),
    "gamma-1.02": Disturbance("γ 1.02", False, _pixels(partial(gamma, exponent=1.02))),
    "noise-32": Disturbance("noise", True, _pixels(partial(noise, sigma=32))),
    "blur-2": Disturbance("blur", True, _pixels(partial(blur, sigma=2))),
    "square-4": Disturbance("square", True, _pixels(partial(square, side=4))),
    "elastic-2": Disturbance("elastic", True, _pixels(partial(elastic, pixels=2))),
    "halves": Disturbance("halves", True, halves),
}
MISSING = "classes-missing"
"""A tenth of the classes, at least one: disturbs the set and no image."""
CONVERSE = {
    "as-digits": Disturbance("as digits", False, _pixels(as_digits)),
    "noise-32-as-digits": Disturbance(
        "noise as digits", True, _pixels(lambda images: as_digits(noise(images, 32)))
    ),
}
"""For digits: what lies above 8×8 is taken away again, also after noise. The rule is not about them."""


def shown(dataset: Dataset, n: int) -> tuple[Tensor, Tensor]:
    """`n` held-out images in a seeded order, and their labels."""
    assert dataset.held_out.labels is not None
    rows = torch.from_numpy(permutation(0, len(dataset.held_out)))[:n]
    return dataset.held_out.images[rows], dataset.held_out.labels[rows]


def without_classes(dataset: Dataset, n: int) -> Tensor:
    """As many of the `n` images as there are without the first tenth of the classes."""
    images, labels = shown(dataset, len(dataset.held_out))
    return images[labels >= max(len(dataset.classes) // 10, 1)][:n]


def sets(dataset: Dataset, n: int, only: Collection[str] | None) -> Iterator[tuple[str, Tensor]]:
    """`n` held-out images undisturbed ("none") and with each disturbance, of those that are wanted, by name."""
    images, labels = shown(dataset, n)
    yield "none", images
    if only is None or MISSING in only:
        fewer = without_classes(dataset, n)
        if len(fewer) < n:
            yield "none", images[: len(fewer)]
        yield MISSING, fewer
    for name, disturbance in (DISTURBANCES | (CONVERSE if dataset.name == "digits" else {})).items():
        if only is None or name in only:
            yield name, disturbance.make(images, labels)


def measure(
    dataset: Dataset, extractor: Extractor, n: int = N, only: Collection[str] | None = None
) -> pd.DataFrame:
    """One row a disturbance ("none" for none) and metric; at most `n` images a side, as many on both where possible.

    only: the disturbances that are wanted, by default all. Fréchet distances depend on the number of images; where
    classes are missing and fewer are left, there is a row "none" of as many images too.
    """
    n = min(n, len(dataset.train), len(dataset.held_out))
    reference = dataset.train.images[torch.from_numpy(permutation(1, len(dataset.train)))[:n]]
    real = Look(reference, extractor).side(extractor.name)
    families = [name for name in FAMILIES if METRICS.get(name).defined_on(extractor.name)]
    metrics = select_metrics(families, [extractor.name])

    def rows(name: str, disturbed: Tensor) -> list[dict[str, object]]:
        evidence = Evidence({"generated": Look(disturbed, extractor).side(extractor.name), "reference": real})
        print(dataset.name, extractor.name, name, flush=True)
        return [
            {
                "dataset": dataset.name, "extractor": extractor.name, "n_images": len(disturbed), "n_reference": n,
                "disturbance": name, "visible": visible(name, dataset.name), "metric": outcome.metric.family,
                "value": outcome.estimate and outcome.estimate.value,
                "reason": outcome.reason,
            }
            for outcome in score(metrics, evidence)
            if outcome.metric.output.gated
        ]  # fmt: skip

    return pd.DataFrame([row for name, disturbed in sets(dataset, n, only) for row in rows(name, disturbed)])


def visible(name: str, dataset: str) -> str:
    """Whether a person sees it, "yes" or "no"; "" where no claim is made."""
    if name == MISSING:
        return "yes"
    if name not in DISTURBANCES or (name == "shift-1" and dataset in PLACED):
        return ""
    return "yes" if DISTURBANCES[name].visible else "no"


def moves(frame: pd.DataFrame, metric: str = "fd") -> pd.Series[float]:
    """By how much each disturbance moves the metric of one dataset and extractor, from its value for as many images
    undisturbed."""
    own = frame[frame.metric == metric]
    before = own[own.disturbance == "none"].set_index("n_images").value
    after = own[own.disturbance != "none"].set_index("disturbance")
    return after.value - after.n_images.map(before)


def extremes(frame: pd.DataFrame) -> tuple[str, str]:
    """The disturbance that moves FD most of those that nobody sees, and least of those that anybody does."""
    moved = moves(frame)
    seen = frame.drop_duplicates("disturbance").set_index("disturbance").visible.reindex(moved.index)
    return str(moved[seen == "no"].idxmax()), str(moved[seen == "yes"].idxmin())


def passes(frame: pd.DataFrame) -> bool:
    """Whether the worst disturbance that nobody sees moves FD less than the mildest that anybody does."""
    worst, mildest = extremes(frame)
    return bool(moves(frame)[worst] < moves(frame)[mildest])


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
