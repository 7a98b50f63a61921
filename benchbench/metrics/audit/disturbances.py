"""Real images, disturbed: what nobody can see, and what anybody can.

Held-out images of a dataset are disturbed in ten ways, five that no person sees in an image and five that anybody does,
sorted by eye, and a tenth of the classes is taken away. An extractor and a metric that know the data are moved less by
the worst of those that nobody sees than by the mildest of those that anybody does (docs/ordering.md).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.seeds import permutation
from benchbench.data.dataset import Dataset
from benchbench.data.edits.pixels import blur, noise
from benchbench.data.pipeline.image_source import size_of, take
from benchbench.features.extract import extract
from benchbench.features.extractor import Extractor
from benchbench.features.moments import Moments
from benchbench.metrics.audit.expectations import COLUMNS
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import score

N = 2000
"""Images a side, where there are as many."""
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


def jpeg(images: Tensor, quality: float, subsampling: int = -1) -> Tensor:
    """Through Pillow's JPEG at `quality`, on a grid of blocks moved by 4 pixels; `subsampling` of the colours as in
    Pillow, -1 for its default, 0 for none.

    The CIFAR-10 at hand is made of JPEG files of quality 75. On their own grid 75 would change next to nothing, and
    50, whose steps are exactly twice as wide, would find every odd coefficient half-way between two levels and
    round all of them one way, which does more harm than 25 does.
    """
    worse = torch.empty_like(images)
    for i, image in enumerate(images):
        buffer = io.BytesIO()
        padded = np.pad(image.permute(1, 2, 0).numpy(), ((4, 4), (4, 4), (0, 0)), mode="reflect")
        Image.fromarray(padded).save(buffer, "jpeg", quality=int(quality), subsampling=subsampling)
        worse[i] = torch.from_numpy(np.array(Image.open(buffer, formats=["JPEG"]))[4:-4, 4:-4]).permute(
            2, 0, 1
        )
    return worse


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


@dataclass(frozen=True)
class Disturbance:
    """What becomes of held-out images and their labels. visible: to a person, by eye."""

    title: str
    visible: bool
    make: Callable[[Tensor, Tensor], Tensor]


def of_pixels(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A change that asks for no labels."""
    return lambda images, labels: change(images)


DISTURBANCES: Mapping[str, Disturbance] = {
    "checkerboard-1": Disturbance("±1", False, of_pixels(partial(checkerboard, levels=1))),
    "checkerboard-2": Disturbance("±2", False, of_pixels(partial(checkerboard, levels=2))),
    "jpeg-95": Disturbance("JPEG 95", False, of_pixels(partial(jpeg, quality=95, subsampling=0))),
    "shift-1": Disturbance("1 pixel", False, of_pixels(shift)),
    "gamma-1.02": Disturbance("γ 1.02", False, of_pixels(partial(gamma, exponent=1.02))),
    "noise-32": Disturbance("noise", True, of_pixels(partial(noise, sigma=32))),
    "blur-2": Disturbance("blur", True, of_pixels(partial(blur, sigma=2))),
    "square-4": Disturbance("square", True, of_pixels(partial(square, side=4))),
    "elastic-2": Disturbance("elastic", True, of_pixels(partial(elastic, pixels=2))),
    "halves": Disturbance("halves", True, halves),
}
MISSING = "classes-missing"
"""A tenth of the classes, at least one: disturbs the set and no image."""


def check_disturbed(dataset: Dataset) -> None:
    """`InputError` for images that cannot be disturbed so: without classes, or too small for a square."""
    if dataset.held_out.labels is None or len(dataset.classes) < 2:
        raise InputError(
            f"{dataset.name} has no classes, and some disturbances mix or remove them; name another dataset"
        )
    height, width = size_of(dataset.held_out.images)
    if min(height, width) < 8:
        raise InputError(
            f"the images of {dataset.name} are {width}×{height} pixels; to be disturbed they need 8 a side at least"
        )


def shown(dataset: Dataset, n: int) -> tuple[Tensor, Tensor]:
    """`n` held-out images in a seeded order, and their labels."""
    assert dataset.held_out.labels is not None
    rows = torch.from_numpy(permutation(0, len(dataset.held_out)))[:n]
    return take(dataset.held_out.images, rows), dataset.held_out.labels[rows]


def without_classes(dataset: Dataset, n: int) -> Tensor:
    """As many of the `n` images as there are without the first tenth of the classes."""
    assert dataset.held_out.labels is not None
    order = torch.from_numpy(permutation(0, len(dataset.held_out)))
    kept = dataset.held_out.labels[order] >= max(len(dataset.classes) // 10, 1)
    return take(dataset.held_out.images, order[kept][:n])


def sets(
    dataset: Dataset, n: int, only: Collection[str] | None, more: Mapping[str, Disturbance]
) -> Iterator[tuple[str, Tensor]]:
    """`n` held-out images undisturbed ("none") and with each disturbance, of those that are wanted, by name."""
    images, labels = shown(dataset, n)
    yield "none", images
    if only is None or MISSING in only:
        fewer = without_classes(dataset, n)
        if len(fewer) < n:
            yield "none", images[: len(fewer)]
        yield MISSING, fewer
    for name, disturbance in {**DISTURBANCES, **more}.items():
        if only is None or name in only:
            yield name, disturbance.make(images, labels)


def _seen(images: Tensor, extractor: Extractor) -> dict[str, FeatureEvidence]:
    found = extract(images, extractor, need_features=True, need_logits=True)
    assert found.features is not None
    return {extractor.name: FeatureEvidence(Moments.of(found.features), found.features, found.logits)}


def disturbed(
    dataset: Dataset,
    extractor: Extractor,
    metrics: Sequence[Metric],
    n: int = N,
    only: Collection[str] | None = None,
    more: Mapping[str, Disturbance] | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """One row a disturbance ("none" for none) and metric; at most `n` images a side, as many on both where possible.

    only: the disturbances that are wanted, by default all. more: others beside `DISTURBANCES`, of which no claim is
    made. Fréchet distances depend on the number of images; where classes are missing and fewer are left, there is a row
    "none" of as many images too. `InputError` as `check_disturbed`.
    """
    check_disturbed(dataset)
    n = min(n, len(dataset.train), len(dataset.held_out))
    reference = take(dataset.train.images, torch.from_numpy(permutation(1, len(dataset.train)))[:n])
    more = {} if more is None else more
    rows = []
    with progress.stage(f"{dataset.name}, {extractor.name}", 0, "set") as stage:
        real = _seen(reference, extractor)
        for name, images in sets(dataset, n, only, more):
            evidence = Evidence({"generated": _seen(images, extractor), "reference": real}, intervals=False)
            rows += [
                {
                    "dataset": dataset.name, "extractor": extractor.name, "n_images": len(images), "n_reference": n,
                    "disturbance": name, "visible": visible(name, dataset.name), "metric": outcome.metric.family,
                    "value": outcome.estimate and outcome.estimate.value,
                    "reason": outcome.reason,
                }
                for outcome in score(metrics, evidence)
                if outcome.metric.output.gated
            ]  # fmt: skip
            stage.advance()
    return pd.DataFrame(rows)


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
    return (after.value - after.n_images.map(before)).astype(float)


def extremes(frame: pd.DataFrame, metric: str = "fd") -> tuple[str, str]:
    """The disturbance that moves the metric farthest of those that nobody sees, and least far of those that anybody
    does, whichever way."""
    moved = moves(frame, metric).abs()
    seen = frame.drop_duplicates("disturbance").set_index("disturbance").visible.reindex(moved.index)
    return str(moved[seen == "no"].idxmax()), str(moved[seen == "yes"].idxmin())


def passes(frame: pd.DataFrame, metric: str = "fd") -> bool:
    """Whether the worst disturbance that nobody sees moves the metric less far than the mildest that anybody does."""
    worst, mildest = extremes(frame, metric)
    moved = moves(frame, metric).abs()
    return bool(moved[worst] < moved[mildest])


def judged_images(frame: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """What was measured on one dataset and extractor, as `suite.judged` returns it: two checks a metric.

    `images`: of the disturbances of single images alone; `images and classes`: the missing tenth of the classes counts
    as seen, too. A fidelity metric need not see missing classes, so it is asked the first alone. A metric that claims
    neither, FD, is asked both.
    """
    rows = []
    for metric in metrics:
        family, claim = metric.family, metric.output.claims
        own = frame[frame.metric == family]
        for check, some in (("images", own[own.disturbance != MISSING]), ("images and classes", own)):
            if check != "images" and claim == "fidelity":
                continue
            verdict, detail = _judged(some, family)
            rows.append(
                {
                    "experiment": f"{frame.dataset.iloc[0]} {frame.extractor.iloc[0]}", "case": "",
                    "title": f"{frame.dataset.iloc[0]} on {frame.extractor.iloc[0]}",
                    "desideratum": "eyes", "check": check,
                    "expected": "moves less under what nobody sees than under what anybody sees",
                    "metric": family, "claim": claim or "neither", "verdict": verdict, "detail": detail,
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _judged(own: pd.DataFrame, family: str) -> tuple[str, str]:
    if own.value.isna().any():
        return "no number", str(own.reason.dropna().iloc[0])
    worst, mildest = extremes(own, family)
    moved = moves(own, family)
    titles = {name: it.title for name, it in DISTURBANCES.items()} | {MISSING: "missing classes"}
    detail = f"{titles[worst]} moves it by {moved[worst]:+.3g}, {titles[mildest]} by {moved[mildest]:+.3g}"
    return ("pass" if passes(own, family) else "fail"), detail
