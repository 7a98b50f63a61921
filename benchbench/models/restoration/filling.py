"""Holes filled without learning: what every network for inpainting must be better than."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from pydantic import BaseModel
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.resize import to_uint8
from benchbench.models.restoration.inpainter import check_holes
from benchbench.models.restoration.restorer import told

LARGEST = 500_000
"""Missing pixels of an image beyond which its system of equations would take more than some gigabytes."""


class _Filling(nn.Module):
    undoes: ClassVar[tuple[str, ...]] = ("inpaint",)

    class Config(BaseModel, extra="forbid", frozen=True):
        """No hyper-parameters."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        told(spec, type(self).__name__)

    def inpaint(self, images: Tensor, holes: Tensor) -> Tensor:
        """As `Inpainter.inpaint`: image by image, on the CPU."""
        check_holes(images, holes)
        made = [
            self.filled(image.permute(1, 2, 0).numpy(), hole.numpy())
            if hole.any()
            else image.permute(1, 2, 0)
            for image, hole in zip(images.cpu(), holes[:, 0].cpu(), strict=True)
        ]
        stacked = torch.stack([torch.as_tensor(image) for image in made])
        return stacked.permute(0, 3, 1, 2).contiguous().to(images.device)

    def filled(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """One image, uint8 H×W×3, without its hole, bool H×W, of which some pixels are True and some are not."""
        raise NotImplementedError


class NearestFill(_Filling):
    """Each missing pixel as the nearest known one."""

    reference: ClassVar[str] = "textbook"

    def filled(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """As `_Filling.filled`: of several equally near the one that scipy's transform names."""
        nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
        made: np.ndarray = image[tuple(nearest)]
        return made


class Biharmonic(_Filling):
    """The smoothest surface that goes on where the image ends: its squared Laplacian is 0, as scikit-image solves it.

    One exact sparse system a hole, whatever its size: half a second for half of 256×256 pixels, some five for half of
    512×512.
    """

    reference: ClassVar[str] = (
        "Damelin & Hoang 2018, On Surface Completion and Image Inpainting by Biharmonic Functions: Numerical Aspects"
    )

    def filled(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """As `_Filling.filled`: all channels in one system, cut to the range of what is known, rounded to 8 bits."""
        missing = int(hole.sum())
        if missing > LARGEST:
            raise InputError(
                f"biharmonic solves one system for {missing:,} missing pixels at once, and with more than {LARGEST:,} "
                "that takes gigabytes of memory; give smaller images or holes, or take nearest-fill"
            )
        whole = np.where(hole[..., None], 0, image).astype(np.float64)
        made = inpaint_biharmonic(whole, hole, split_into_regions=True, channel_axis=-1)
        levels = torch.from_numpy(made).permute(2, 0, 1)[None]
        rounded: np.ndarray = to_uint8(levels)[0].permute(1, 2, 0).numpy()
        return rounded
