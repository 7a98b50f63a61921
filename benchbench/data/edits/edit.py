"""The thirteen edits by name, what a strength of each means, and how one is carried out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.images import check_images
from benchbench.data.edits import content, geometry, pixels

Kind = Literal["geometric", "pixels", "content"]


@dataclass(frozen=True)
class Edit:
    """An edit.

    Attributes:
        about: What it does, and what its strength is.
        kind: "geometric": pixels go elsewhere, and there is a way back. "pixels": they change where they are.
            "content": what is in the image changes.
        unit: Of a strength, for an axis.
        strengths: The five of the ladder, from the mildest on.
        low: The smallest strength that is possible.
        high: The largest.
        neutral: The strength that changes nothing.
    """

    about: str
    kind: Kind
    unit: str
    strengths: tuple[float, float, float, float, float]
    low: float
    high: float
    neutral: float = 0.0

    @property
    def middle(self) -> float:
        """The strength that is used where nobody says which."""
        return self.strengths[2]


EDITS = {
    "crop": Edit(
        "the middle of the image, enlarged to its size; strength: the share of each side that is cut off",
        "geometric", "share cut off", (0.02, 0.05, 0.1, 0.25, 0.5), 0, 0.9,
    ),
    "rotate": Edit(
        "turned counterclockwise about the centre; strength: degrees",
        "geometric", "degrees", (1, 5, 15, 45, 90), -360, 360,
    ),
    "flip": Edit(
        "a centred band of columns mirrored left to right; strength: the share of the width that it has, 1 for all",
        "geometric", "share of the width", (0.1, 0.25, 0.5, 0.75, 1), 0, 1,
    ),
    "scale": Edit(
        "made smaller or larger about the centre; strength: the factor of the sides",
        "geometric", "factor", (0.98, 0.95, 0.9, 0.75, 0.5), 0.1, 10, 1,
    ),
    "translate": Edit(
        "moved to the right; strength: pixels",
        "geometric", "pixels", (0.5, 1, 2.5, 8, 16), -9999, 9999,
    ),
    "perspective": Edit(
        "tilted: both upper corners move in; strength: by how much, as a share of the width",
        "geometric", "share of the width", (0.01, 0.03, 0.05, 0.1, 0.2), 0, 0.45,
    ),
    "colour": Edit(
        "hues turned, value and saturation kept; strength: degrees of the circle of hues",
        "pixels", "degrees of hue", (5, 15, 45, 90, 180), -360, 360,
    ),
    "brightness": Edit(
        "every level raised, and cut off at white and black; strength: grey levels",
        "pixels", "grey levels", (4, 8, 16, 32, 64), -255, 255,
    ),
    "blur": Edit(
        "Gaussian blur; strength: its standard deviation in pixels",
        "pixels", "σ in pixels", (0.5, 1, 1.5, 2.5, 5), 0, 100,
    ),
    "noise": Edit(
        "Gaussian noise, each image's own; strength: its standard deviation in grey levels",
        "pixels", "σ of 255", (4, 8, 16, 32, 64), 0, 255,
    ),
    "background": Edit(
        "the background replaced by a gradient of two colours, each image's own; strength: how opaque it is",
        "content", "opacity", (0.1, 0.25, 0.5, 0.75, 1), 0, 1,
    ),
    "object": Edit(
        "the object moved to the right; strength: by how much, as a share of the width",
        "content", "share of the width", (0.01, 0.02, 0.05, 0.1, 0.25), -1, 1,
    ),
    "erase": Edit(
        "a rectangle somewhere made grey; strength: its share of the area",
        "content", "share of the area", (0.01, 0.03, 0.1, 0.25, 0.5), 0, 1,
    ),
}  # fmt: skip
NEEDS_ALPHA = ("background", "object")
GEOMETRIC = tuple(name for name, edit in EDITS.items() if edit.kind == "geometric")
EXACT = (*GEOMETRIC, "colour", "brightness", "blur")
"""Those of which there is one right answer: no randomness, and no object that must be known."""
_IN_PIXELS = ("translate",)
_SPLINE = 5
_STEPS = 2**20


def checked(name: str, strength: float) -> float:
    """A strength that the edit of this name can have.

    Args:
        name: Of an edit.
        strength: In its unit.

    Returns:
        The same as a float.

    Raises:
        InputError: There is no such edit, or it cannot be so strong.
    """
    if name not in EDITS:
        raise unknown_name("edit", name, EDITS)
    edit = EDITS[name]
    if not (math.isfinite(strength) and edit.low <= strength <= edit.high):
        raise InputError(
            f"{name} cannot have the strength {strength:g}; give one from {edit.low:g} to {edit.high:g} ({edit.unit})"
        )
    return float(strength)


def apply(
    images: Tensor,
    name: str,
    strength: float,
    *,
    indices: Sequence[int] | None = None,
    alpha: Tensor | None = None,
) -> Tensor:
    """Images after an edit.

    Args:
        images: uint8 RGB N×3×H×W of any size, on the CPU.
        name: Of the edit, one of `EDITS`.
        strength: In its unit.
        indices: The numbers of the images, which what is random depends on; by default from 0.
        alpha: uint8 N×1×H×W, 255 where an image shows its object and nothing of the white behind it; for the edits that
            must know.

    Returns:
        uint8 RGB of the same shape. Rounded and cut off once, at the end.

    Raises:
        InputError: There is no such edit or it cannot be so strong, or it needs the alpha and there is none.
    """
    check_images(images)
    strength = checked(name, strength)
    numbers = range(len(images)) if indices is None else indices
    if not images.numel():
        return images
    if name in NEEDS_ALPHA and alpha is None:
        raise InputError(
            f"{name} must know what is object and what is background, and these images have no alpha; use images "
            "that have one, as those of openmoji"
        )
    if name == "erase":
        return content.erased(images, strength, numbers)
    if name == "noise":
        return pixels.noise(images, strength, numbers)
    if alpha is not None and name in NEEDS_ALPHA:
        if name == "object":
            return rounded(content.moved(images, strength, alpha))
        return rounded(content.background(images, strength, alpha, numbers))
    if name in geometry.MATRICES:
        return rounded(
            geometry.warped(images, geometry.matrix_of(name, strength, images.shape[2], images.shape[3]))
        )
    return rounded(exact(images, name, strength))


def undo(images: Tensor, name: str, strength: float) -> Tensor:
    """Images after the way back from a geometric edit.

    Args:
        images: uint8 RGB N×3×H×W, as `apply` returns them.
        name: Of the edit, one of `GEOMETRIC`.
        strength: The one that it had.

    Returns:
        uint8 RGB of the same shape; where the image had left its frame, what is mirrored there.

    Raises:
        InputError: The edit has no way back, or as `apply`.
    """
    check_images(images)
    strength = checked(name, strength)
    if name not in GEOMETRIC:
        raise InputError(f"{name} has no way back; these have one: {', '.join(GEOMETRIC)}")
    if name == "flip" or not images.numel():
        return geometry.flip(images, strength)
    matrix = geometry.matrix_of(name, strength, images.shape[2], images.shape[3], back=True)
    return rounded(geometry.warped(images, matrix))


def exact(images: Tensor, name: str, strength: float, finer: int = 1) -> Tensor:
    """The right answer of an edit, in float64: neither rounded nor cut off.

    Args:
        images: N×3×H×W, levels of any real dtype; for a geometric edit `finer` times as fine as what is asked for, and
            else as fine.
        name: Of the edit, one of `EXACT`.
        strength: In its unit; pixels are those of what is asked for.
        finer: The edited images are the means of so many by so many pixels of the fine ones, which are read from the
            spline of degree 5 through their pixels.

    Returns:
        float64 N×3×(H/finer)×(W/finer) for the geometric ones but `flip`; else of the shape of `images`.

    Raises:
        InputError: There is no one right answer, or as `apply`.
    """
    strength = checked(name, strength)
    if name not in EXACT:
        raise InputError(f"{name} has no one right answer; these have: {', '.join(EXACT)}")
    if name == "flip":
        return geometry.flip(images.double(), strength)
    if name == "colour":
        return pixels.hue(images, strength)
    if name == "brightness":
        return pixels.brightness(images, strength)
    if name == "blur":
        return pixels.blurred(images, strength)
    height, width = images.shape[2:]
    scaled = strength * finer if name in _IN_PIXELS else strength
    matrix = geometry.matrix_of(name, scaled, height, width)
    points = math.ceil(geometry.shrinks(matrix, height, width) - 1e-6)
    steps = [(i + 0.5) / points - 0.5 for i in range(points)]
    fine = np.zeros(images.shape)
    planes = images.double().numpy()
    for offset in ((x, y) for y in steps for x in steps):
        at = geometry.places(matrix, height, width, offset)[::-1]
        for total, image in zip(
            fine.reshape(-1, height, width), planes.reshape(-1, height, width), strict=True
        ):
            total += map_coordinates(image, at, order=_SPLINE, mode="reflect")
    return averaged(torch.from_numpy(fine / points**2), finer)


def averaged(images: Tensor, finer: int) -> Tensor:
    """The means of `finer` by `finer` pixels, float64 N×C×(H/finer)×(W/finer); what is left over at the right and at
    the bottom is cut off."""
    height, width = (side // finer * finer for side in images.shape[2:])
    return torch.nn.functional.avg_pool2d(images[..., :height, :width].double(), finer)


def rounded(images: Tensor) -> Tensor:
    """Levels to the nearest whole ones, cut off at 0 and 255: uint8. What lies half-way but for the last digits of
    float64 is half-way on every machine, and goes to the even level."""
    return images.mul(_STEPS).round().div(_STEPS).round().clamp(0, 255).to(torch.uint8)
