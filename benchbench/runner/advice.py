"""What pairs of restored images and references look like, where that is not what a protocol takes them for.

Pure functions. `signs` looks at one pair and says what is odd about it, `Signs` counts over pairs and makes a sentence
of what most of them show; `why_unlike` explains two sizes that differ. Nothing here changes a number.

Thresholds are wide: they tell slips (a border that was cut off, red in the place of blue, a shift by half a pixel) from
outputs that are merely bad, and stay silent on what interpolation, noise and JPEG do to photographs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.colour import luma
from benchbench.data.degrade.resize import cut_to
from benchbench.data.pipeline.image_stream import Size
from benchbench.tasks.restoration.super_resolution import SCALES

COLOURED = 4.0
"""Levels between the largest and the smallest channel, in means over blocks of 32 pixels, from which on an image is in
colour: what JPEG and noise add to a grey image is less there."""
BLOCK = 32
TIMES = 10.0
"""So many times the squared error of the pixels beside it makes a border far worse: 10 dB."""
MIDDLE = 384
SHIFT = 0.3
"""Pixels. What aligned interpolation leaves is below 0.1, half of the smallest mistake is 0.25."""


def why_unlike(output: Size, reference: Size, scale: int) -> str | None:
    """Why an output has another size than its reference, both (H, W), as the end of a sentence that names them; None
    where nobody can guess. scale: of super-resolution, 1 elsewhere; the reference is cut to its multiple.

    >>> why_unlike((64, 64), (256, 256), 4)
    'the output is as large as the low-resolution input: give what the model made of it'
    """
    whole = cut_to(reference, scale)
    low = (whole[0] // scale, whole[1] // scale)
    others = [k for k in SCALES if k != scale]
    if output == low and scale > 1:
        return "the output is as large as the low-resolution input: give what the model made of it"
    if found := [k for k in others if k < scale and output == (low[0] * k, low[1] * k)]:
        return f"the output is the input made {found[0]} times larger: the outputs are not of --scale {scale}"
    if found := [k for k in SCALES if output == _divided(reference, k)]:
        return f"the output is {found[0]} times smaller, as inputs of --scale {found[0]} are: give what was made of it"
    if scale > 1 and (found := [k for k in others if output == cut_to(reference, k)]):
        return f"the output has the size of outputs of --scale {found[0]}"
    if found := [k for k in SCALES if _divided(output, k) == whole]:
        return (
            f"the output is {found[0]} times larger: the reference looks like its input; give the originals"
        )
    if output == reference[::-1]:
        return "the output is turned by 90 degrees; turn it back"
    lack = whole[0] - output[0]
    if lack != whole[1] - output[1] or lack <= 0:
        return None
    if lack == scale > 1:
        return (
            f"the reference is larger by exactly the scale, {scale} pixels: a row and a column of the low-resolution "
            "image, or half as much on each side, was lost; give whole outputs"
        )
    if lack % 2 == 0 and lack // 2 <= max(4 * scale, 16):
        return (
            f"a border of {lack // 2} pixel{'s' * (lack > 2)} is missing on each side: the outputs are shaved already; "
            "give whole ones, for metrics with _crop in their names leave the border out themselves"
        )
    return None


def _divided(size: Size, k: int) -> Size:
    return size[0] // k, size[1] // k


def fits_when_cut(output: Size, reference: Size) -> list[int]:
    """The scales to whose multiple the reference, both (H, W), has to be cut for the output to be as large.

    >>> fits_when_cut((60, 60), (61, 60)), fits_when_cut((60, 60), (70, 60))
    ([2, 3, 4], [])
    """
    return [k for k in SCALES if output == cut_to(reference, k)]


def signs(output: Tensor, reference: Tensor, border: int) -> set[str]:
    """What is odd about one pair, by the keys of `SENTENCES`. output, reference: uint8 3×H×W of one size. border: how
    many pixels are looked at as a border."""
    if torch.equal(output, reference):
        return {"equal"}
    x, y = output.float(), reference.float()
    if x.max() <= 1 and y.max() > 2:
        return {"dark"}
    return _colours(x, y) | _borders(x, y, border)


def _colours(x: Tensor, y: Tensor) -> set[str]:
    cx, cy = _colour(x), _colour(y)
    plain = [torch.equal(image[0], image[1]) and torch.equal(image[0], image[2]) for image in (x, y)]
    if plain[0] or plain[1]:
        return {"grey"} if cy > COLOURED else {"coloured"} if cx > COLOURED else set()
    errors = float((x - y).square().mean())
    if cy > 2 * COLOURED and 2 * float((x.flip(0) - y).square().mean()) < errors:
        return {"swapped"}
    if (
        cy > 2 * COLOURED
        and 4 * cx < cy
        and 2 * float((luma(x[None]) - luma(y[None])).square().mean()) < errors
    ):
        return {"faded"}
    return set()


def _colour(image: Tensor) -> float:
    """How far the channels of an image, float 3×H×W, lie apart in levels, without what noise does to single pixels."""
    height, width = (max(1, side // BLOCK) for side in image.shape[1:])
    means = F.adaptive_avg_pool2d(image[None], (height, width))[0]
    return float((means.amax(0) - means.amin(0)).mean())


def _borders(x: Tensor, y: Tensor, border: int) -> set[str]:
    """What the outermost pixels say, beside as many that lie next to them."""
    if not border or min(x.shape[1:]) < 8 * border:
        return set()
    (rim_x, inner_x), (rim, inner) = (
        (_ring(image, 0, border), _ring(image, border, 2 * border)) for image in (x, y)
    )
    at, beside = float((rim_x - rim).square().mean()), float((inner_x - inner).square().mean())
    if float(rim.std()) < 5:  # on a plain ground all may be right, or nothing tells
        return set()
    if at == 0 < beside:
        return {"copied"}
    if float((rim_x.amax(1) - rim_x.amin(1)).max()) <= 2:
        return {"frame"}
    return {"worse"} if at > TIMES * beside and at > 1 else set()


def _ring(image: Tensor, start: int, stop: int) -> Tensor:
    """3×N: the pixels from `start` to `stop` pixels off the border of a 3×H×W image."""
    height, width = image.shape[1:]
    across, down = slice(start, width - start), slice(stop, height - stop)
    strips = (
        image[:, start:stop, across],
        image[:, height - stop : height - start, across],
        image[:, down, start:stop],
        image[:, down, width - stop : width - start],
    )
    return torch.cat([strip.flatten(1) for strip in strips], 1)


def shift(output: Tensor, reference: Tensor, window: int = 5) -> tuple[float, float] | None:
    """By how many pixels an output lies to the right of its reference, and below it; None where the images do not tell.

    One step of Lucas & Kanade 1981 over the whole image: the differences of the smoothed images as a multiple of the
    gradients, beside a change of tones (a quadratic in the levels), which on a ramp would look like a shift. Blur and
    noise are no shift to it, for neither is odd in any direction. It is linear: it underrates shifts beyond the window.

    output, reference: uint8 3×H×W of one size. window: side of the mean filter in pixels, odd.
    """
    if min(output.shape[1:]) < 3 * window:
        return None
    x, y = (F.avg_pool2d(luma(_middle(image)[None]), window, stride=1)[0, 0] for image in (output, reference))
    gradients = torch.stack([y[1:-1, 2:] - y[1:-1, :-2], y[2:, 1:-1] - y[:-2, 1:-1]]) / 2
    levels = y[1:-1, 1:-1].flatten() / 255
    tones = torch.stack([torch.ones_like(levels), levels, levels.square()])
    rows, differences = gradients.flatten(1), (y - x)[1:-1, 1:-1].flatten()
    # What tones explain of the gradients and of the differences is taken out of both.
    both = torch.cat([rows, differences[None]])
    explained = both @ tones.T @ torch.linalg.pinv(tones @ tones.T)
    *rest, differences = (both - explained @ tones).unbind()
    rows = torch.stack(rest)
    matrix = rows @ rows.T / rows.shape[1]
    if float(torch.linalg.eigvalsh(matrix)[0]) < 0.5:  # levels² a pixel²: flat, or stripes in one direction
        return None
    right, down = torch.linalg.solve(matrix, rows @ differences / rows.shape[1]).tolist()
    return right, down


def _middle(image: Tensor) -> Tensor:
    """At most 384×384 pixels: a shift is that of all, and these tell it."""
    top, left = (max(0, side - MIDDLE) // 2 for side in image.shape[1:])
    return image[:, top : top + MIDDLE, left : left + MIDDLE]


SENTENCES = {
    "equal": "{n} of {of} outputs equal their references pixel by pixel: they are no restorations",
    "grey": "{n} of {of} outputs are grey where their references are in colour: of these only metrics on the luma "
    "(psnr_y, ssim_y) mean something",
    "coloured": "{n} of {of} outputs are in colour where their references are grey: one side was "
    "converted; give both as the model saw them",
    "faded": "{n} of {of} outputs have next to no colour, so their PSNR on RGB is far below that on the luma: they "
    "look like grey images that were saved as colour; compare psnr_y and ssim_y",
    "swapped": "{n} of {of} outputs come much closer with red and blue exchanged: they look saved in the order of "
    "OpenCV, BGR",
    "dark": "{n} of {of} outputs hold nothing but the levels 0 and 1: they look like numbers from 0 to 1 that were "
    "saved as whole ones",
    "copied": "{n} of {of} outputs equal their references in the outer {border} pixels and nowhere else: the border "
    "looks copied, which helps every metric that does not leave it out",
    "frame": "{n} of {of} outputs have a frame of one colour, {border} pixels or wider: the border was lost on the "
    "way, and metrics that do not leave it out suffer",
    "worse": "{n} of {of} outputs are far worse (10 dB) in the outer {border} pixels than in those beside them: "
    "compare only metrics that leave the border out",
}
"""What is said of a sign. n: how many pairs show it; of: of how many; border: how many pixels were looked at."""

ANY = frozenset({"equal", "grey", "coloured"})
"""Signs of which one pair is worth a word; the others count where half of the pairs show them."""


class Signs:
    """What a pass over pairs shows.

    border: how many pixels are looked at as a border: the scale of super-resolution, 1 elsewhere, 0 where it says
    nothing.
    """

    def __init__(self, border: int) -> None:
        self.border = border
        self._n = 0
        self._seen: Counter[str] = Counter()
        self._shifts: list[tuple[float, float]] = []

    def update(self, outputs: Tensor, references: Tensor) -> None:
        """Look at pairs, uint8 N×3×H×W each."""
        for x, y in zip(outputs.cpu(), references.cpu(), strict=True):
            self._n += 1
            self._seen.update(signs(x, y, self.border))
            if (found := shift(x, y, 2 * self.border + 3)) is not None:
                self._shifts.append(found)

    @classmethod
    def merged(cls, parts: Sequence[Signs]) -> Signs:
        """What passes over parts of the pairs showed, as one pass over all."""
        whole = cls(parts[0].border)
        for part in parts:
            whole._n += part._n
            whole._seen.update(part._seen)
            whole._shifts += part._shifts
        return whole

    def sentences(self) -> list[str]:
        """What a reader should know, a sentence each; nothing where all looks right."""
        said = [
            text.format(n=self._seen[sign], of=self._n, border=self.border)
            for sign, text in SENTENCES.items()
            if (self._seen[sign] > 0 if sign in ANY else 2 * self._seen[sign] >= max(1, self._n))
        ]
        if 2 * len(self._shifts) >= max(1, self._n):
            right, down = (float(part) for part in np.median(self._shifts, axis=0))
            if np.hypot(right, down) > SHIFT:
                said.append(
                    f"outputs lie about {abs(right):.1f} pixels to the {'right' if right > 0 else 'left'} of their "
                    f"references and {abs(down):.1f} {'below' if down > 0 else 'above'} them: what made the inputs or "
                    "the outputs takes pixels from elsewhere, as every second pixel of an image does"
                )
        return said
