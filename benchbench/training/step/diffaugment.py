"""Differentiable augmentation of what a discriminator sees (Zhao et al. 2020, arXiv:2006.10738).

The policies and their ranges are those of the paper's code: color (brightness, saturation, contrast),
translation by up to 1/8 of a side, cutout of a square of 1/2 of a side. Each image of a batch gets its own
draw, from torch's global generator of the images' device, so a training that saves the generator repeats it;
each call draws anew, so real and generated images are augmented independently.

Pattern: pure functions of (images, amounts) below, one amount an image; `diffaugment` draws the amounts.
Images are float N×C×H×W in [-1, 1]; the results leave that range, as in the paper's code, and what is shifted
in or cut out is 0, mid-grey.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchbench.core.errors import unknown_name
from benchbench.core.names import split_names
from benchbench.core.protocols import unchanged

TRANSLATION = 1 / 8  # of a side, largest shift
CUTOUT = 1 / 2  # of a side, what is cut out


def diffaugment(policy: str) -> Callable[[Tensor], Tensor]:
    """The augmentation of `policy`: names separated by commas, applied in that order; "" leaves images as they
    are. Raises `InputError` for a name that is none of color, translation, cutout."""
    names = policy_names(policy)
    if not names:
        return unchanged
    for name in names:
        if name not in _POLICIES:
            raise unknown_name("augmentation", name, _POLICIES)

    def augment(x: Tensor) -> Tensor:
        for name in names:
            x = _POLICIES[name](x)
        return x

    return augment


def policy_names(policy: str) -> list[str]:
    """The augmentations that `policy` names, in that order."""
    return list(split_names(policy)) if policy.strip() else []


def brightness(x: Tensor, amount: Tensor) -> Tensor:
    """x + amount; amount (N,), 0 changes nothing."""
    return x + _an_image(amount, x)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Distance of the channels from their mean at each pixel, times factor (N,); 1 changes nothing.

    With one channel there is nothing to saturate: every factor gives x back.
    """
    mean = x.mean(1, keepdim=True)
    return (x - mean) * _an_image(factor, x) + mean


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Distance of an image's values from their mean, times factor (N,); 1 changes nothing."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * _an_image(factor, x) + mean


def translate(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Image i moved down[i] pixels down and right[i] to the right, int64 (N,); zeros come in."""
    n, channels, height, width = x.shape
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - right[:, None]
    inside = _outer((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
    rows = rows.clamp(0, height - 1)[:, None, :, None].expand(n, channels, height, width)
    columns = columns.clamp(0, width - 1)[:, None, None, :].expand(n, channels, height, width)
    return x.gather(2, rows).gather(3, columns) * inside


def cutout(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Zeros in a box of height×width whose corner is at (top, left), int64 (N,); it may stick out."""
    rows = torch.arange(x.shape[2], device=x.device) - top[:, None]
    columns = torch.arange(x.shape[3], device=x.device) - left[:, None]
    return x * ~_outer((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))


def _color(x: Tensor) -> Tensor:
    """Brightness by [-1/2, 1/2), saturation by [0, 2), contrast by [1/2, 3/2), in this order."""
    # In one row: several ranks tell what belongs to images by the first side (`training.step.whole_batch`).
    draws = torch.rand(3 * len(x), device=x.device).view(3, len(x))
    return contrast(saturation(brightness(x, draws[0] - 0.5), draws[1] * 2), draws[2] + 0.5)


def _translation(x: Tensor) -> Tensor:
    """Whole pixels in both directions, each uniform on what `TRANSLATION` of the side allows."""
    most_down, most_right = (int(side * TRANSLATION + 0.5) for side in x.shape[2:])
    return translate(x, _integers(-most_down, most_down, x), _integers(-most_right, most_right, x))


def _cutout(x: Tensor) -> Tensor:
    """A box whose centre is uniform on the image, so that on average less than a quarter of it is lost."""
    height, width = (int(side * CUTOUT + 0.5) for side in x.shape[2:])
    top = _integers(0, x.shape[2] - height % 2, x) - height // 2
    left = _integers(0, x.shape[3] - width % 2, x) - width // 2
    return cutout(x, top, left, height, width)


def _integers(low: int, high: int, x: Tensor) -> Tensor:
    """One an image, uniform on {low, …, high}."""
    return torch.randint(low, high + 1, (len(x),), device=x.device)


def _an_image(amounts: Tensor, x: Tensor) -> Tensor:
    return amounts.to(x.dtype).view(-1, 1, 1, 1)


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    """Masks N×H and N×W to their product N×1×H×W."""
    return (rows[:, :, None] & columns[:, None, :])[:, None]


_POLICIES: dict[str, Callable[[Tensor], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
