"""The artefacts of a cell: pictures that a person looks at before believing a number, and single images."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from benchbench.results.manifest import Artefact
from benchbench.tasks.pictures import (
    Columns,
    ImageFiles,
    Neighbours,
    Picture,
    Reconstructions,
    Samples,
    SingleImages,
    Stylizations,
)
from benchbench.views.grid import (
    save_neighbours,
    save_reconstructions,
    save_samples,
    save_samples_by_class,
    save_stylizations,
    save_translations,
)


def artefacts_of(pictures: Sequence[Picture]) -> list[Artefact]:
    """What run.json says of them, in their order. `ValueError` where a kind is no word, or would be two files of one
    name."""
    for picture in pictures:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", picture.kind):
            raise ValueError(
                f"the kind of an artefact is a word, which names its file; {picture.kind!r} is none"
            )
    found = [Artefact(file=_file(own), kind=own.kind, caption=own.caption) for own in pictures]
    twice = [file for file, n in Counter(own.file for own in found).items() if n > 1]
    if twice:
        raise ValueError(f"two artefacts of one kind would both be {twice[0]}; give each a kind of its own")
    return found


def write_pictures(folder: Path, title: str, pictures: Sequence[Picture]) -> None:
    """Each as `<kind>.png` or, single images, `<kind>.npz`. title: of the model and its variant."""
    for picture, artefact in zip(pictures, artefacts_of(pictures), strict=True):
        path = folder / artefact.file
        if path.exists():
            raise ValueError(f"a record has a {artefact.file} already; an artefact needs another kind")
        _draw(picture, path, title)


def _file(picture: Picture) -> str:
    suffix = {SingleImages: "npz", ImageFiles: "zip"}.get(type(picture), "png")
    return f"{picture.kind}.{suffix}"


@singledispatch
def _draw(picture: Any, path: Path, title: str) -> None:
    raise TypeError(
        f"nobody knows how to draw a {type(picture).__name__}; a task may hand out Columns and SingleImages"
    )


@_draw.register
def _(picture: SingleImages, path: Path, title: str) -> None:
    """As `np.load` and `benchbench evaluate` read it: `images` uint8 N×H×W×3, `labels` int64 (N,). The same images
    give the same bytes: no time is in the archive."""
    arrays = {"images": _hwc(picture.images)}
    if picture.labels is not None:
        arrays["labels"] = picture.labels.cpu().numpy()
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with _member(archive, f"{name}.npy") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


@_draw.register
def _(picture: ImageFiles, path: Path, title: str) -> None:
    """PNG files; the same images give the same pixels, and no time is in the archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, image in zip(_as_png(picture.names), picture.images, strict=True):
            with _member(archive, name) as file:
                Image.fromarray(_hwc(image)[0]).save(file, "PNG")


def _as_png(names: Sequence[str]) -> list[str]:
    """Names of files that end in .png: in place of what they end in, or behind it where two would be called alike."""
    plain = [str(PurePosixPath(name).with_suffix(".png")) for name in names]
    often = Counter(plain)
    return [
        own if often[own] == 1 or name == own else f"{name}.png"
        for name, own in zip(names, plain, strict=True)
    ]


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    """A file in the archive, open for writing, that says no time."""
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(member, "w", force_zip64=True)


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
    heading = f"{title}: samples, and beside each the nearest training images on {picture.extractor}"
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
