"""Geometric edits by resampling: what every learned editor must be better than.

Each pixel of the edited image is read at its place in the original by one kernel, with nothing done against the coarse
texture that fine texture turns into where an image is shrunk: that is what the kernel alone makes of it.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.data.edits.edit import GEOMETRIC, rounded
from benchbench.data.edits.geometry import Kernel, flip, matrix_of, warped


class _Resampling(nn.Module):
    reference: ClassVar[str] = "textbook"
    control: ClassVar[bool] = True
    edits: ClassVar[tuple[str, ...]] = GEOMETRIC
    kernel: ClassVar[Kernel]

    class Config(BaseModel, extra="forbid", frozen=True):
        """No hyper-parameters."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config

    def edit(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        """As `Editor.edit`."""
        return self._resampled(images, edit, strength, back=False)

    def undo(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        """As `Editor.undo`."""
        return self._resampled(images, edit, strength, back=True)

    def _resampled(self, images: Tensor, edit: str, strength: float, back: bool) -> Tensor:
        if edit == "flip":
            return flip(images, strength)
        matrix = matrix_of(edit, strength, images.shape[2], images.shape[3], back=back)
        where = images.device if images.device.type != "mps" else "cpu"  # MPS has no float64
        return rounded(warped(images.to(where), matrix, self.kernel, smooth=False)).to(images.device)


class Nearest(_Resampling):
    """Geometric edits by the nearest pixel."""

    kernel = "nearest"


class Bilinear(_Resampling):
    """Geometric edits by bilinear interpolation."""

    kernel = "bilinear"


class Bicubic(_Resampling):
    """Geometric edits by bicubic interpolation, a = −3/4."""

    reference: ClassVar[str] = "Keys 1981, Cubic convolution interpolation for digital image processing"
    kernel = "bicubic"
