"""The pictures of a cell: what a person looks at before believing a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchbench.core.seeds import permutation
from benchbench.metrics.metric import Evidence
from benchbench.runner.plan import Plan
from benchbench.views.grid import (
    save_neighbours,
    save_reconstructions,
    save_samples,
    save_samples_by_class,
    save_stylizations,
    save_translations,
)

GRID = 64  # images a panel of samples.png
POOL = 256  # images among which those of each class are found for samples.png
COPIED = 8  # samples in neighbours.png
NEAREST = 5  # training images beside each
PAIRS = 32  # pairs in reconstructions.png


class Neighbours(NamedTuple):
    """The training images nearest to the first samples: indices int64 (samples, nearest) and the judge's name."""

    indices: Tensor
    judge: str


class TranslationPanel(NamedTuple):
    """A direction of a translation: its heading, and columns of as many images each under their labels."""

    heading: str
    columns: list[tuple[str, Tensor]]


class Stylizations(NamedTuple):
    """Contents N×3×H×W, style pictures K×3×H×W, and K×N×3×H×W, each content in each style."""

    contents: Tensor
    styles: Tensor
    outputs: Tensor


class Pictured(NamedTuple):
    """The images behind the pictures, uint8 RGB N×3×H×W: samples with the classes they were asked to be, their
    nearest training images, originals with their reconstructions, translations with their sources, contents in styles;
    None where the cell has no such thing."""

    samples: Tensor | None = None
    asked: Tensor | None = None
    neighbours: Neighbours | None = None
    reconstructions: tuple[Tensor, Tensor] | None = None
    translations: Sequence[TranslationPanel] = ()
    stylizations: Stylizations | None = None


def nearest_training(evidence: Evidence) -> Neighbours | None:
    """By Euclidean distance in the features of the first extractor (by name) that kept them on both sides.

    A sample that equals its neighbour is a copy, whatever the metrics say. None where no metric needed features.
    """
    for judge, side in sorted(evidence.generated.items()):
        real = evidence.reference.get(judge)
        if side.features is not None and real is not None and real.features is not None:
            distances = torch.cdist(side.features[:COPIED].double(), real.features.double())
            k = min(NEAREST, distances.shape[1])
            return Neighbours(distances.topk(k, largest=False).indices.cpu(), judge)
    return None


def write_pictures(folder: Path, plan: Plan, pictured: Pictured) -> None:
    """`samples.png`, `neighbours.png`, `reconstructions.png`, `translations.png`, `stylizations.png`: those there are
    images for."""
    title = f"{plan.model} {plan.variant}".strip()
    if pictured.samples is not None:
        _write_samples(folder / "samples.png", plan, pictured.samples, pictured.asked, title)
        if pictured.neighbours is not None:
            indices, judge = pictured.neighbours
            near = [_hwc(plan.one_domain.train.images[own]) for own in indices]
            heading = f"{title}: samples, and beside each the nearest training images on {judge}"
            save_neighbours(folder / "neighbours.png", _hwc(pictured.samples[: len(near)]), near, heading)
    if pictured.reconstructions is not None:
        originals, outputs = pictured.reconstructions
        save_reconstructions(folder / "reconstructions.png", _hwc(originals), _hwc(outputs), title)
    if pictured.translations:
        panels = [
            (panel.heading, [(label, _hwc(images)) for label, images in panel.columns])
            for panel in pictured.translations
        ]
        save_translations(folder / "translations.png", panels, title)
    if pictured.stylizations is not None:
        contents, styles, outputs = pictured.stylizations
        save_stylizations(
            folder / "stylizations.png", _hwc(contents), _hwc(styles), [_hwc(own) for own in outputs], title
        )


def _write_samples(path: Path, plan: Plan, samples: Tensor, asked: Tensor | None, title: str) -> None:
    held_out = plan.one_domain.held_out
    beside = torch.from_numpy(permutation(0, len(held_out))[:POOL])
    generated, real = _hwc(samples), _hwc(held_out.images[beside])
    if asked is None or held_out.labels is None:
        save_samples(path, generated, real, title)
        return
    own, labels = asked[: len(generated)].numpy(), held_out.labels[beside].numpy()
    save_samples_by_class(path, generated, own, real, labels, plan.one_domain.classes, title)


def _hwc(images: Tensor) -> Any:
    return images.permute(0, 2, 3, 1).cpu().numpy()
