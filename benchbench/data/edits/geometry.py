"""Geometric edits: where each pixel of the edited image comes from, the way back, and what is still there.

All but `flip` are a homography about the centre of the image, 3×3, from places in the edited image to places in the
original; the way back is its inverse matrix. Places are in pixels, x to the right and y down, 0 at the centre. What
comes from outside the image is mirrored at its edge, so that no edge of a canvas is seen beside the edit. `flip`
mirrors a centred band of columns and is its own inverse, pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Matrix = NDArray[np.float64]
Kernel = Literal["nearest", "bilinear", "bicubic"]
_MARGIN = 1e-6  # of a pixel: what lies on the edge lies within, whatever the last digits of a cosine are


def _crop(share: float, height: int, width: int) -> Matrix:
    return np.diag([1 - share, 1 - share, 1.0])


def _rotate(degrees: float, height: int, width: int) -> Matrix:
    # Quarter turns without the last digit of a cosine: they are permutations of the pixels of a square.
    quarters, rest = divmod(degrees, 90)
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        cos, sin = -sin, cos
    # Counterclockwise on the screen, where y points down.
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _scale(factor: float, height: int, width: int) -> Matrix:
    return np.diag([1 / factor, 1 / factor, 1.0])


def _translate(pixels: float, height: int, width: int) -> Matrix:
    return np.array([[1, 0, -pixels], [0, 1, 0], [0, 0, 1.0]])


def _perspective(share: float, height: int, width: int) -> Matrix:
    x, y = width / 2, height / 2
    corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
    moved = [(-x + share * width, -y), (x - share * width, -y), *corners[2:]]
    rows, wanted = [], []
    for (u, v), (a, b) in zip(moved, corners, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -a * u, -a * v], [0, 0, 0, u, v, 1, -b * u, -b * v]]
        wanted += [a, b]
    return np.append(np.linalg.solve(np.array(rows), np.array(wanted)), 1.0).reshape(3, 3)


MATRICES: Mapping[str, Callable[[float, int, int], Matrix]] = {
    "crop": _crop,
    "rotate": _rotate,
    "scale": _scale,
    "translate": _translate,
    "perspective": _perspective,
}
"""By name: (strength, height, width) to the homography from the edited image to the original."""


def matrix_of(edit: str, strength: float, height: int, width: int, *, back: bool = False) -> Matrix:
    """The homography of an edit, from places in what comes out to places in what goes in.

    Args:
        edit: A name among `MATRICES`.
        strength: In the unit of the edit.
        height: Of the images, in pixels.
        width: Likewise.
        back: That of the way back.

    Returns:
        float64 3×3, of places (x, y, 1) about the centre.
    """
    matrix = MATRICES[edit](strength, height, width)
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64) if back else matrix


def places(matrix: Matrix, height: int, width: int, offset: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """Where the pixels of the image that comes out lie in the one that goes in.

    Args:
        matrix: As `matrix_of` gives it.
        height: Of the images, in pixels.
        width: Likewise.
        offset: Added to the places of pixels in what comes out, (x, y) in pixels.

    Returns:
        float64 2×H×W: x and y, in pixels from the centre of the pixel at the top left.
    """
    middle = (width - 1) / 2, (height - 1) / 2
    x = np.arange(width) - middle[0] + offset[0]
    y = np.arange(height) - middle[1] + offset[1]
    points = np.stack([*np.meshgrid(x, y), np.ones((height, width))]).reshape(3, -1)
    mapped = matrix @ points
    found: Matrix = mapped[:2] / mapped[2] + np.array(middle)[:, None]
    return found.reshape(2, height, width)


def shrinks(matrix: Matrix, height: int, width: int) -> float:
    """By how much the image is shrunk where it is shrunk most, at least 1: pixels that one step passes."""
    here = places(matrix, height, width)
    steps = (places(matrix, height, width, offset) - here for offset in ((1.0, 0.0), (0.0, 1.0)))
    return max(1.0, *(float(np.hypot(*step).max()) for step in steps))


def resampled(images: Tensor, at: Matrix, kernel: Kernel) -> Tensor:
    """Images read at places, by the kernels of `torch.nn.functional.grid_sample`, mirrored outside.

    Args:
        images: N×C×H×W of any real dtype.
        at: As `places` returns them.
        kernel: "bicubic" is Keys' with a = −0.75.

    Returns:
        float64 N×C×H×W on the same device, neither rounded nor clipped.
    """
    height, width = images.shape[2:]
    x, y = torch.from_numpy(at).to(images.device)
    # A place half a pixel outside is −1 or 1.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(
        images.double(),
        grid.expand(len(images), -1, -1, -1),
        mode=kernel,
        padding_mode="reflection",
        align_corners=False,
    )


def warped(images: Tensor, matrix: Matrix, kernel: Kernel = "bicubic", *, smooth: bool = True) -> Tensor:
    """Images under a homography.

    Args:
        images: N×C×H×W of any real dtype.
        matrix: As `matrix_of` gives it.
        kernel: As in `resampled`.
        smooth: Whether a pixel that covers several is their mean, over as many points a side; else it is read at its
            centre, and fine texture turns into coarse.

    Returns:
        float64 N×C×H×W on the same device, neither rounded nor clipped.
    """
    height, width = images.shape[2:]
    points = math.ceil(shrinks(matrix, height, width) - _MARGIN) if smooth else 1
    steps = [(i + 0.5) / points - 0.5 for i in range(points)]
    total = torch.zeros(images.shape, dtype=torch.float64, device=images.device)
    for offset in ((x, y) for y in steps for x in steps):
        total += resampled(images, places(matrix, height, width, offset), kernel)
    return total / points**2


def flip(images: Tensor, share: float) -> Tensor:
    """A centred band of columns mirrored left to right; flipped again it is the same image.

    Args:
        images: N×C×H×W of any dtype.
        share: Of the width that the band has; 1 mirrors the whole image.

    Returns:
        The same shape and dtype.
    """
    width = images.shape[3]
    left = min(round((1 - share) * width / 2), width // 2)  # as many columns stay on either side
    band = images[..., left : width - left].flip(-1)
    return torch.cat([images[..., :left], band, images[..., width - left :]], dim=-1)


def kept(edit: str, strength: float, height: int, width: int, *, of: Literal["edited", "back"]) -> Tensor:
    """Where an image shows what the original shows, and nothing that is mirrored at its edge.

    Args:
        edit: The name of a geometric edit.
        strength: In its unit.
        height: Of the images, in pixels.
        width: Likewise.
        of: "edited": the edited image. "back": the original after edit and undo, where what left the image is lost.

    Returns:
        bool H×W.
    """
    if edit == "flip":
        return torch.ones(height, width, dtype=torch.bool)
    x, y = places(matrix_of(edit, strength, height, width, back=of == "back"), height, width)
    inside = (np.abs(x - (width - 1) / 2) <= (width - 1) / 2 + _MARGIN) & (
        np.abs(y - (height - 1) / 2) <= (height - 1) / 2 + _MARGIN
    )
    return torch.from_numpy(inside)


class Window(NamedTuple):
    """A rectangle of pixels: rows from `top` up to `bottom`, columns from `left` up to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def pixels(self) -> int:
        """How many it has."""
        return (self.bottom - self.top) * (self.right - self.left)

    def of(self, images: Tensor) -> Tensor:
        """Its part of images ...×H×W."""
        return images[..., self.top : self.bottom, self.left : self.right]


def largest_window(mask: Tensor, margin: int = 0) -> Window:
    """The largest rectangle of a mask, less a margin at each side that is no edge of the image.

    Args:
        mask: bool H×W.
        margin: Pixels that are cut off where the image goes on: what kernels read beyond.

    Returns:
        The first of the largest ones; without any pixel where there is none.
    """
    height, width = mask.shape
    above = np.zeros(width, dtype=int)
    best = Window(0, 0, 0, 0)
    for row, own in enumerate(mask.numpy()):
        above = (above + 1) * own
        best = max(best, _under(above, row + 1), key=lambda window: window.pixels)
    top, left = best.top + margin * (best.top > 0), best.left + margin * (best.left > 0)
    bottom = best.bottom - margin * (best.bottom < height)
    right = best.right - margin * (best.right < width)
    return Window(top, bottom, left, right) if top < bottom and left < right else Window(0, 0, 0, 0)


def _under(heights: NDArray[np.int_], bottom: int) -> Window:
    """The largest rectangle that stands on row `bottom` within columns of these heights."""
    best, open_columns = Window(0, 0, 0, 0), list[tuple[int, int]]()
    for column, tall in enumerate([*heights.tolist(), 0]):
        start = column
        while open_columns and open_columns[-1][1] >= tall:
            start, high = open_columns.pop()
            window = Window(bottom - high, bottom, start, column)
            best = max(best, window, key=lambda found: found.pixels)
        open_columns.append((start, tall))
    return best
