"""Pieces of a photograph, images as files and as photographs in memory, and the images that a record keeps."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch import Tensor

from benchbench.data.photos import Photos
from benchbench.data.pipeline.fingerprint import pixel_digests


def astronaut(height: int, width: int, top: int = 60, left: int = 190) -> Tensor:
    """A piece of scikit-image's photograph, uint8 1×3×height×width: the face, where nothing else is said."""
    piece = data.astronaut()[top : top + height, left : left + width]
    return torch.from_numpy(piece.copy()).permute(2, 0, 1)[None]


def write_images(folder: Path, images: Sequence[Tensor], mode: str = "RGB") -> Path:
    """Images 1×3×H×W as 0.png, 1.png, … in a folder that is made."""
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image[0].permute(1, 2, 0).numpy()).convert(mode).save(folder / f"{i}.png")
    return folder


def photos_of(images: Sequence[Tensor]) -> Photos:
    """Images 1×3×H×W of any sizes, in memory, called 0.png, 1.png, …"""
    return Photos(
        [f"{i}.png" for i in range(len(images))],
        [(image.shape[2], image.shape[3]) for image in images],
        [pixel_digests(image)[0] for image in images],
        [False] * len(images),
        _held=list(images),
    )


def outputs_of(record: Path) -> dict[str, NDArray[np.uint8]]:
    """What `outputs.zip` of a record holds, H×W×3 by name, in its order."""
    with zipfile.ZipFile(record / "outputs.zip") as kept:
        return {name: np.asarray(Image.open(kept.open(name))) for name in kept.namelist()}
