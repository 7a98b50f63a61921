"""scikit-image's photographs and textures as contents and styles: they ship inside its wheel, so no download.

Contents that are evaluated are two photographs, the astronaut and the coffee; a model that learns sees square crops, at
several scales, of five other colour photographs. Styles are two pictures that share neither colours nor shapes: stained
tissue (brown and violet outlines on white) and gravel (grey, edges everywhere).

The files are read by path from the installed package: scikit-image's own functions look into a download cache first,
which may hold other versions. From 0.23.0 to 0.26.0 the wheels hold the same bytes; the fingerprint tells of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.images import is_grey
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset, Split
from benchbench.data.domains import Domains
from benchbench.data.photos import Photos
from benchbench.data.pipeline.decode import UnusableError, decode_image, resize_images
from benchbench.data.pipeline.fingerprint import combine, pixel_digests

CONTENTS = ("astronaut.png", "coffee.png")
STYLES = {"ihc.png": 1.0, "gravel.png": 0.5}  # the part of the shorter side that is shown: stones, not sand
TRAINING = ("chelsea.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg", "hubble_deep_field.jpg")
SCALES = (1.0, 0.75, 0.5)  # side of a crop, in shorter sides of its photograph
STEP = 0.25  # the largest distance between neighbouring crops, in sides of the crop
SIDE = 128
SMALLEST, LARGEST = 32, 256  # below, nothing can be recognised; the gravel that is shown is 256×256

Picture = NDArray[np.uint8]  # H×W×3


class Photographs:
    """Two photographs to be shown in two styles, 128×128, and crops of five others; ships with scikit-image."""

    reference: ClassVar[str] = (
        "van der Walt et al., scikit-image: image processing in Python, PeerJ 2:e453 (2014), "
        "https://doi.org/10.7717/peerj.453; the motorcycle: Scharstein et al., High-Resolution Stereo Datasets, "
        "GCPR 2014"
    )
    licence: ClassVar[str] = "CC0 and public domain; the motorcycle is from the Middlebury 2014 benchmark"

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Domains:
        """Domain A "content", B "style" (the same two pictures in both splits), uint8 RGB size×size."""
        side = SIDE if size is None else size
        if not SMALLEST <= side <= LARGEST:
            raise InputError(
                f"photographs are shown at {SMALLEST} to {LARGEST} pixels, as the smallest of them, the gravel, is "
                f"{LARGEST} wide; choose such a --size instead of {side}"
            )
        content = Dataset(
            "content",
            _split(_crops(side)),
            _split(_squares(dict.fromkeys(CONTENTS, 1.0), side)),
            native=side,
        )
        styles = _split(_squares(STYLES, side))
        return Domains(
            name="photographs",
            a=content,
            b=Dataset("style", styles, styles, native=side),
            paired_train=False,
            paired_held_out=False,
            styles=True,
            notes=(
                "cropped to squares and resized by Pillow's LANCZOS filter",
                "three of the five photographs whose crops are shown in training came out of JPEG files, which are "
                "lossy and may differ in last digits between decoders",
            ),
            source={"kind": "package", "package": _package(), "size": side},
        )

    def photos(self, size: int | None = None, progress: Progress = SILENT) -> tuple[Photos | None, Photos]:
        """The five photographs that are learned from, and the two that are tested on, at their own sizes; with `size`
        their centred squares at size×size."""
        train, test = (_photos(names, size) for names in (TRAINING, CONTENTS))
        return train, test


def _photos(names: Sequence[str], size: int | None) -> Photos:
    images = [
        torch.from_numpy(_chw(_read(name))[None].copy() if size is None else _squares({name: 1.0}, size))
        for name in names
    ]
    return Photos(
        names=names,
        sizes=[(image.shape[2], image.shape[3]) for image in images],
        digests=[digest for image in images for digest in pixel_digests(image.numpy())],
        grey=[is_grey(image) for image in images],
        source={"kind": "package", "package": _package(), "size": size},
        _held=images,
    )


def _crops(side: int) -> Picture:
    """Squares of each training photograph: as large as its shorter side and, where these are not smaller than `side`,
    three quarters and half of that, in a lattice that overlaps by three quarters."""
    cut = [
        resize_images(np.stack([_chw(crop) for crop in _lattice(picture, whole)]), side)
        for picture in map(_read, TRAINING)
        for whole in (round(scale * min(picture.shape[:2])) for scale in SCALES)
        if whole >= side
    ]
    return np.concatenate(cut)


def _lattice(picture: Picture, side: int) -> Iterator[Picture]:
    height, width = picture.shape[:2]
    for top in _places(height, side):
        for left in _places(width, side):
            yield picture[top : top + side, left : left + side]


def _places(length: int, side: int) -> list[int]:
    """Evenly spaced starts of pieces of `side`, the first and the last at the ends."""
    free = length - side
    return [round(place) for place in np.linspace(0, free, 1 + int(np.ceil(free / (STEP * side))))]


def _squares(shares: Mapping[str, float], side: int) -> Picture:
    """The centred square of each picture, of this share of its shorter side."""
    return np.concatenate(
        [resize_images(_chw(_centre(_read(name), share))[None], side) for name, share in shares.items()]
    )


def _centre(picture: Picture, share: float) -> Picture:
    height, width = picture.shape[:2]
    whole = round(share * min(height, width))
    top, left = (height - whole) // 2, (width - whole) // 2
    return picture[top : top + whole, left : left + whole]


def _read(name: str) -> Picture:
    path = Path(str(files("skimage.data").joinpath(name)))
    if not path.is_file():
        raise InputError(
            f"this {_package()} came without its picture {name}; "
            "install it from PyPI: pip install --force-reinstall scikit-image"
        )
    try:
        return decode_image(path)[0]
    except UnusableError as error:
        raise InputError(f"{path} {error}; run pip install --force-reinstall scikit-image") from error


def _package() -> str:
    return f"scikit-image {version('scikit-image')}"


def _chw(picture: Picture) -> Picture:
    return picture.transpose(2, 0, 1)


def _split(images: Picture) -> Split:
    return Split(torch.from_numpy(images), None, combine(pixel_digests(images), None))
