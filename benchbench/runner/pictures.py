"""The pictures of a cell: what a person looks at before believing a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from torch import Tensor

from benchbench.tasks.pictures import Columns, Neighbours, Picture, Reconstructions, Samples, Stylizations
from benchbench.views.grid import (
    save_neighbours,
    save_reconstructions,
    save_samples,
    save_samples_by_class,
    save_stylizations,
    save_translations,
)


def write_pictures(folder: Path, title: str, pictures: Sequence[Picture]) -> list[dict[str, str]]:
    """Each as `<kind>.png`, and what run.json says of them. title: of the model and its variant."""
    artefacts = []
    for picture in pictures:
        file = f"{picture.kind}.png"
        _draw(picture, folder / file, title)
        artefacts.append({"file": file, "kind": picture.kind, "caption": picture.caption})
    return artefacts


@singledispatch
def _draw(picture: Any, path: Path, title: str) -> None:
    raise TypeError(f"nobody knows how to draw a {type(picture).__name__}; a task may hand out Columns")


@_draw.register
def _(picture: Samples, path: Path, title: str) -> None:
    generated, real = _hwc(picture.generated), _hwc(picture.real)
    if picture.asked is None or picture.labels is None:
        save_samples(path, generated, real, title)
        return
    own, labels = picture.asked.cpu().numpy(), picture.labels.numpy()
    save_samples_by_class(path, generated, own, real, labels, picture.classes, title)


@_draw.register
def _(picture: Neighbours, path: Path, title: str) -> None:
    heading = f"{title}: samples, and beside each the nearest training images on {picture.judge}"
    save_neighbours(path, _hwc(picture.samples), [_hwc(near) for near in picture.near], heading)


@_draw.register
def _(picture: Reconstructions, path: Path, title: str) -> None:
    save_reconstructions(path, _hwc(picture.originals), _hwc(picture.outputs), title)


@_draw.register
def _(picture: Stylizations, path: Path, title: str) -> None:
    outputs = [_hwc(own) for own in picture.outputs]
    save_stylizations(path, _hwc(picture.contents), _hwc(picture.styles), outputs, title)


@_draw.register
def _(picture: Columns, path: Path, title: str) -> None:
    sections = [
        (section.heading, [(label, _hwc(images)) for label, images in section.columns])
        for section in picture.sections
    ]
    save_translations(path, sections, title)


def _hwc(images: Tensor) -> Any:
    return images.permute(0, 2, 3, 1).cpu().numpy()
