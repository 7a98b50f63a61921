"""Pixels are missing: the degradation of inpainting, as `core.protocols.Degradation` has it.

An image that is scored has one mask in each bin of hole ratios, drawn by its own number (`masks.mask`). All bins draw
from the same stream, so the larger hole of an image contains its smaller ones: what a bin costs is not a matter of
where its holes happen to lie.

What a model learns from are pieces of images, and the holes of a whole image are as wide as many of them. So the masks
of pieces are drawn on planes of one, two or four times their sides, and each piece has a window of such a plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.seeds import image_generator
from benchbench.data.degrade.degradations import WholeImages
from benchbench.data.degrade.masks import KINDS, MASKS, RATIOS, mask, pixels_of

Kind = Literal["centre", "boxes", "strokes", "text"]
Bin = Literal["1-10", "10-20", "20-30", "30-40", "40-50", "50-60"]

BINS: Sequence[str] = tuple(f"{low}-{high}" for low, high in RATIOS)
"""The bins as options and rows name them, in percent of the pixels."""

HOLE = 128
"""The grey level that models are given in the place of missing pixels."""

SCORED, LEARNED = 0, 1
"""The seeds of masks: of images that are scored, whatever the seed of the run, and of pieces that are learned from."""

FACTORS = (1, 2, 4)
"""How many times larger than a piece the plane is that its mask is cut from."""

TOGETHER = 4
"""So many pieces have windows of one plane: to draw strokes and text takes longer than to cut them out."""

MOST_MISSING = 0.75
"""Of a piece that is learned from."""


@dataclass(frozen=True)
class Holed(WholeImages):
    """With pixels missing.

    Attributes:
        kind: Of the masks.
        ratios: The bins that an image is masked in, each a number from 1 to 6; () for "centre".
    """

    kind: Kind
    ratios: tuple[int, ...] = ()
    scale: int = 1

    @property
    def name(self) -> str:
        """As rows name it: "strokes", in a single bin "strokes-20-30"."""
        return f"{self.kind}-{BINS[self.ratios[0] - 1]}" if len(self.ratios) == 1 else self.kind

    def each(self) -> list[Holed]:
        """The same in one bin after the other."""
        return [Holed(self.kind, (ratio,)) for ratio in self.ratios] or [self]

    def hole(self, height: int, width: int, number: int) -> Tensor:
        """The missing pixels of an image that is scored.

        Args:
            height: Of the image, in pixels.
            width: Likewise.
            number: The image's own, from 0 on: all randomness comes from it; of several bins it chooses one, too.

        Returns:
            bool 1×1×H×W, True where a pixel is missing; not to be written to.

        Raises:
            InputError: The image is too small to have such a hole.
        """
        ratio = self.ratios[number % len(self.ratios)] if self.ratios else None
        return _hole(height, width, self.kind, ratio, number)

    def of_image(self, image: Tensor, number: int) -> Tensor:
        """As `Degradation.of_image`: uint8, missing pixels `HOLE`."""
        image = image.cpu()
        return image.masked_fill(self.hole(image.shape[2], image.shape[3], number), HOLE)

    def of_patches(self, levels: Tensor) -> Tensor:
        """As `Degradation.of_patches`: masks as `drawn` has them."""
        holes = drawn(len(levels), levels.shape[2], levels.shape[3], (self.kind,)).to(levels.device)
        return levels.round().clamp(0, 255).masked_fill(holes, float(HOLE))

    def settings(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "kind": "holes",
            "holes": self.kind,
            "ratios": [BINS[ratio - 1] for ratio in self.ratios],
            "unit": "percent of the pixels",
            "level": HOLE,
            "seed": SCORED,
            "stream": "of each image, by the digest of its pixels",
        }

    def taught(self) -> dict[str, Any]:
        """As `Degrades.taught`: the kind alone, for pieces have holes of every bin."""
        return {"kind": "holes", "holes": self.kind}

    def too_small(self, height: int, width: int) -> str | None:
        """Why an image of this size has no such hole, as the end of a sentence; None where it has."""
        total = height * width
        if total == 1:
            return "has a single pixel, and a hole leaves something around it"
        for ratio in self.ratios:
            low, high = pixels_of(total, ratio)
            if low > high:
                return f"is {width}×{height}: no number of its {total} pixels is {BINS[ratio - 1]} percent of them"
        return None


@lru_cache(maxsize=1)
def _hole(height: int, width: int, kind: Kind, ratio: int | None, number: int) -> Tensor:
    """As `Holed.hole`, kept: whoever degrades an image, puts back what was known of it and compares its missing pixels
    asks for the same one, and to draw it may take longer than to fill it."""
    return mask(height, width, kind, ratio, image_generator(SCORED, number, MASKS))[None]


def drawn(n: int, height: int, width: int, kinds: Sequence[str] = KINDS) -> Tensor:
    """Masks of pieces that are learned from; all randomness comes from torch's global generator.

    Args:
        n: How many.
        height: Of a piece, in pixels.
        width: Likewise.
        kinds: From which the kind of each plane is drawn, its bin from all six.

    Returns:
        bool n×1×height×width on the CPU; of each some pixels are missing, and at most three quarters.

    Raises:
        InputError: Pieces are too small to have holes of every bin.
    """
    found: list[Tensor] = []
    while len(found) < n:
        kind = kinds[_draw(len(kinds))]
        ratio = None if kind == "centre" else 1 + _draw(len(RATIOS))
        factor = FACTORS[_draw(len(FACTORS))]
        generator = image_generator(LEARNED, _draw(2**62), MASKS)
        plane = mask(factor * height, factor * width, kind, ratio, generator)
        found += _windows(plane, height, width, min(TOGETHER, n - len(found)))
    return torch.stack(found) if found else torch.zeros(0, 1, height, width, dtype=torch.bool)


def _windows(plane: Tensor, height: int, width: int, n: int) -> list[Tensor]:
    """Up to `n` windows of a mask, bool 1×height×width each, some of whose pixels are missing and at most three
    quarters; none where the mask has no such window. A plane as large as a piece always has one."""
    steps = max(1, height // 8), max(1, width // 8)
    shares = F.avg_pool2d(plane[None].double(), (height, width), stride=steps)[0, 0]
    fit = ((shares > 0) & (shares <= MOST_MISSING)).nonzero()
    chosen = fit[torch.randint(len(fit), (n,))].tolist() if len(fit) else []
    return [
        plane[:, down * steps[0] :, across * steps[1] :][:, :height, :width].clone()
        for down, across in chosen
    ]


def _draw(below: int) -> int:
    return int(torch.randint(below, ()))
