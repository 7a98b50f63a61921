"""Which pixels of an image are missing, for inpainting.

`centre` is the square of half the sides that Pathak et al. 2016 (Context Encoders) take out. The others are irregular,
and their share of the image lies in one of the six bins of Liu et al. 2018 (partial convolutions, section 4.2):

    boxes     rectangles anywhere, of a twelfth to a third of each side
    strokes   free-form strokes after the code of Yu et al. 2019 (DeepFill v2): 4 to 12 steps of about an eighth of the
              diagonal, in zigzag 2π/5 ± 2π/15 to either side of a heading, by brushes 12 to 40 pixels wide where the
              shorter side has 256; they stop at the border
    text      words in Pillow's own bitmap font, a twelfth to a quarter of the shorter side high

Pattern: how many pixels shall be missing is drawn uniformly from the bin; shapes are laid over each other until so many
are, and the last one ends where the number is reached. So the share lies in its bin exactly, whatever the size.

A mask is a function of size, kind, bin and the generator that belongs to the image
(`core.seeds.image_generator`, stream `MASKS`). The bitmap font has its pixels in Pillow itself: no version of a font
library changes a mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
from PIL import ImageFont
from torch import Tensor

from benchbench.core.errors import InputError, unknown_name

MASKS = 2
"""The stream of `core.seeds.image_generator` that masks are drawn from."""
RATIOS = ((1, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60))
"""The bins of Liu et al. 2018, in percent of the pixels that are missing: above the first, at most the second."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def mask(height: int, width: int, kind: str, ratio: int | None, generator: np.random.Generator) -> Tensor:
    """The missing pixels of one image.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        kind: One of `KINDS`.
        ratio: Which of the six `RATIOS`, from 1 to 6; None for "centre", which has a share of its own.
        generator: The image's own; "centre" draws nothing.

    Returns:
        bool 1×height×width, True where the pixel is missing; some are, and not all.

    Raises:
        InputError: No such kind, no such bin, or an image so small that no number of its pixels is in the bin.
    """
    if kind not in KINDS:
        raise unknown_name("kind of mask", kind, KINDS)
    if min(height, width) < 1:
        raise InputError(f"images of {width}×{height} hold no pixels that could be missing")
    if kind == "centre":
        return _centre(height, width, ratio)
    if ratio is None or ratio not in range(1, len(RATIOS) + 1):
        raise InputError(
            f"masks of the kind {kind!r} need a hole ratio from 1 to {len(RATIOS)}, the bins of Liu et al. 2018, "
            f"and not {ratio}"
        )
    low, high = pixels_of(height * width, ratio)
    if low > high:
        raise InputError(
            f"no share of the {height * width} pixels of a {width}×{height} image lies above {RATIOS[ratio - 1][0]}% "
            f"and is at most {RATIOS[ratio - 1][1]}%; give larger images or another hole ratio"
        )
    wanted = int(generator.integers(low, high, endpoint=True))
    missing = np.zeros(height * width, dtype=bool)
    while wanted:
        for places in _SHAPES[kind](height, width, generator):
            new = places[~missing[places]][:wanted]
            missing[new] = True
            wanted -= len(new)
    return torch.from_numpy(missing.reshape(1, height, width))


def pixels_of(total: int, ratio: int) -> tuple[int, int]:
    """The smallest and the largest number of missing pixels, of `total`, whose share is in a bin; the smallest is the
    larger one where there is none."""
    low, high = RATIOS[ratio - 1]
    return low * total // 100 + 1, high * total // 100


def _centre(height: int, width: int, ratio: int | None) -> Tensor:
    if ratio is not None:
        raise InputError("a mask in the centre is a square of half the sides; it takes no hole ratio")
    if height * width == 1:
        raise InputError("an image of 1×1 pixel has no centre that could be missing and leave something")
    rows, columns = max(1, height // 2), max(1, width // 2)
    top, left = (height - rows) // 2, (width - columns) // 2
    missing = torch.zeros(1, height, width, dtype=torch.bool)
    missing[:, top : top + rows, left : left + columns] = True
    return missing


def _boxes(height: int, width: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """A rectangle: the places of its pixels in the image as one line, row by row."""
    rows, columns = (
        int(generator.integers(max(1, side // 12), max(1, side // 3), endpoint=True))
        for side in (height, width)
    )
    top, left = (
        int(generator.integers(0, side - own, endpoint=True))
        for side, own in ((height, rows), (width, columns))
    )
    inside = np.arange(top, top + rows)[:, None] * width + np.arange(left, left + columns)
    yield inside.ravel()


def _strokes(height: int, width: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """A stroke, segment by segment, each from its beginning to its end."""
    heading, side = generator.uniform(0, 2 * math.pi), generator.choice((-1, 1))
    spread = generator.uniform(0, 2 * math.pi / 15)
    brush = max(1.0, generator.uniform(12, 40) / 256 * min(height, width))
    step = math.hypot(height, width) / 8
    here = generator.uniform((0, 0), (height, width))
    for _ in range(int(generator.integers(4, 12, endpoint=True))):
        angle = heading + side * generator.uniform(2 * math.pi / 5 - spread, 2 * math.pi / 5 + spread)
        side = -side
        length = float(np.clip(generator.normal(step, step / 2), 0, 2 * step))
        there = np.clip(here + length * np.array([math.sin(angle), math.cos(angle)]), 0, (height, width))
        yield _segment(height, width, here, there, brush / 2)
        here = there


def _segment(height: int, width: int, start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """The pixels whose centres are at most `radius` from a line, and the one that it begins in, in its direction."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(start, end) + radius), (height, width)).astype(int)
    y, x = np.meshgrid(*(np.arange(a, b) + 0.5 for a, b in zip(low, high, strict=True)), indexing="ij")
    points, along = np.stack([y.ravel(), x.ravel()], 1) - start, end - start
    share = points @ along / max(float(along @ along), 1e-12)
    near = np.hypot(*(points - np.clip(share, 0, 1)[:, None] * along).T) <= radius
    order = np.argsort(share[near], kind="stable")
    places = (np.floor(y.ravel()) * width + np.floor(x.ravel())).astype(int)[near][order]
    first = np.minimum(start.astype(int), (height - 1, width - 1))
    begin = int(first[0] * width + first[1])
    return np.concatenate([[begin], places[places != begin]])


def _text(height: int, width: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """A word of 3 to 8 letters somewhere, cut at the border; letter by letter, each from left to right."""
    letters = [
        LETTERS[i] for i in generator.integers(len(LETTERS), size=generator.integers(3, 8, endpoint=True))
    ]
    short = min(height, width)
    size = int(generator.integers(max(1, short // 12), max(1, short // 4), endpoint=True))
    glyphs = [_letter(letter, size) for letter in letters]
    advance = glyphs[0].shape[1]
    top = int(generator.integers(1 - size, height))
    left = int(generator.integers(1 - advance * len(glyphs), width))
    for glyph in glyphs:
        x, y = np.nonzero(glyph.T)
        x, y = x + left, y + top
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        yield y[inside] * width + x[inside]
        left += advance


@lru_cache(maxsize=1024)
def _letter(letter: str, size: int) -> np.ndarray:
    """A letter of the bitmap font, enlarged to a height of `size` pixels by the nearest pixel; bool size×width."""
    drawn = ImageFont.load_default_imagefont().getmask(letter)
    pixels = np.array(drawn, dtype=np.uint8).reshape(drawn.size[::-1]) > 0
    high, wide = pixels.shape
    rows, columns = (
        (2 * np.arange(count) + 1) * side // (2 * count)
        for count, side in ((size, high), (max(1, size * wide // high), wide))
    )
    found: np.ndarray = pixels[np.ix_(rows, columns)]
    return found


_SHAPES: dict[str, Callable[[int, int, np.random.Generator], Iterator[np.ndarray]]] = {
    "boxes": _boxes,
    "strokes": _strokes,
    "text": _text,
}
KINDS = ("centre", *_SHAPES)
