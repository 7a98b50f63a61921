"""Interpolation: what every network for super-resolution must be better than. `bicubic` is MATLAB's, the row that
papers print; `lanczos`, `bilinear` and `nearest` are Pillow's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.resize import imresize, to_uint8
from benchbench.models.restoration.restorer import told


class _Interpolation(nn.Module):
    reference: ClassVar[str]
    undoes: ClassVar[tuple[str, ...]] = ("super-resolution",)

    class Config(BaseModel, extra="forbid", frozen=True):
        """No hyper-parameters."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.scale = told(spec, type(self).__name__).scale


class Bicubic(_Interpolation):
    """Bicubic interpolation as MATLAB's imresize, a = -1/2."""

    reference: ClassVar[str] = "Keys 1981, Cubic convolution interpolation for digital image processing"

    def restore(self, degraded: Tensor) -> Tensor:
        """As `Restorer.restore`."""
        height, width = (side * self.scale for side in degraded.shape[2:])
        made = imresize(degraded.double(), height, width)
        return to_uint8(made) if degraded.dtype == torch.uint8 else made.float()


class _Pillow(_Interpolation):
    how: ClassVar[Image.Resampling]

    def restore(self, degraded: Tensor) -> Tensor:
        """As `Restorer.restore`."""
        height, width = (side * self.scale for side in degraded.shape[2:])
        if degraded.dtype != torch.uint8:  # Pillow has floats in one channel only
            planes = [
                np.asarray(Image.fromarray(plane.cpu().numpy()).resize((width, height), self.how))
                for plane in degraded.flatten(0, 1)
            ]
            return (
                torch.from_numpy(np.stack(planes))
                .reshape(*degraded.shape[:2], height, width)
                .to(degraded.device)
            )
        made = [
            Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).resize((width, height), self.how)
            for image in degraded
        ]
        return (
            torch.from_numpy(np.stack([np.asarray(image) for image in made]))
            .permute(0, 3, 1, 2)
            .to(degraded.device)
        )


class Lanczos(_Pillow):
    """Lanczos interpolation with three lobes, as Pillow does it."""

    reference: ClassVar[str] = "Duchon 1979, Lanczos Filtering in One and Two Dimensions"
    how = Image.Resampling.LANCZOS


class Bilinear(_Pillow):
    """Bilinear interpolation, as Pillow does it."""

    reference: ClassVar[str] = "textbook"
    how = Image.Resampling.BILINEAR


class Nearest(_Pillow):
    """Each pixel repeated."""

    reference: ClassVar[str] = "textbook"
    how = Image.Resampling.NEAREST
