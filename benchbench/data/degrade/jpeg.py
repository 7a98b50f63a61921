"""Images out of a JPEG file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import is_grey

QUALITIES = range(1, 101)


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Images as they come back from a JPEG file: by the encoder that Pillow has, with the tables of the Independent
    JPEG Group for the quality, and chroma at half the sides in both directions (4:2:0). Where an image is grey it is
    encoded as one, as Dong et al. 2015 (ARCNN) do.

    Args:
        images: uint8 RGB, N×3×H×W.
        quality: 1 to 100.

    Returns:
        uint8 RGB of the same shape, on the CPU.

    Raises:
        InputError: No such quality.
    """
    if quality not in QUALITIES:
        raise InputError(f"a JPEG quality of {quality} is not possible; give one from 1 to 100")
    degraded = []
    for image in images.cpu():
        mode = "L" if is_grey(image[None]) else "RGB"
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        file = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(file, formats=["JPEG"]) as decoded:
            degraded.append(torch.from_numpy(np.array(decoded.convert("RGB"))).permute(2, 0, 1))
    return torch.stack(degraded) if degraded else images.cpu()


def jpeg_settings(quality: int) -> dict[str, Any]:
    """What `jpeg` did, for run.json: the settings, and which library did it."""
    turbo = features.version_feature("libjpeg_turbo")
    encoder = f"libjpeg {features.version('jpg')}" if turbo is None else f"libjpeg-turbo {turbo}"
    return {
        "kind": "jpeg",
        "quality": quality,
        "subsampling": "4:2:0, grey images as one channel",
        "encoder": encoder,
    }
