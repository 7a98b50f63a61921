"""What a generator of somebody's returned, as images: which of its dimensions are which, what black and white are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchbench.core.arrays import dtype_text, shape_text, tensor_of
from benchbench.core.errors import InputError, NotImagesError
from benchbench.core.images import quantize
from benchbench.models.given.settings import Layout

SLACK = 1e-3
"""How far beyond the ends rounding may carry a tanh or a sigmoid, with room to spare."""

Span = tuple[float, float]
SPANS: tuple[Span, ...] = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
LEVELS: Span = (0.0, 255.0)
_LARGEST = 8192


class NoImagesError(Exception):
    """A generator did not take what it was given, or made no images of it."""


def batch_of(made: Any, n: int, title: str) -> Tensor:
    """The one tensor of four dimensions that a generator made for `n` images; `NoImagesError` if it is none."""
    if isinstance(made, Mapping) or (isinstance(made, tuple | list) and not _is_numbers(made)):
        raise NoImagesError(
            f"{title} returns a {type(made).__name__} of {len(made)} things, and must return one tensor of images"
        )
    try:
        images = tensor_of(made, f"what {title} returns")
    except InputError as error:
        raise NoImagesError(
            f"{title} returns a {type(made).__name__}, and must return one tensor of images"
        ) from error
    if images.ndim != 4 or len(images) != n or not images.numel() or max(images.shape) > max(_LARGEST, n):
        raise NoImagesError(f"{title} returns {shape_text(images)} for {n} images, and must return N×3×H×W")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise NoImagesError(
            f"{title} returns {dtype_text(images)}, and must return floats or uint8 in 0..255"
        )
    return images if images.dtype == torch.uint8 else images.float()


def _is_numbers(made: Any) -> bool:
    """Nested lists of numbers, which are an array in other clothes."""
    while isinstance(made, list) and made:
        made = made[0]
    return isinstance(made, int | float)


def layout_of(images: Tensor, stated: Layout | None, title: str) -> Layout:
    """Where the channels are; `NoImagesError` where no dimension can be theirs."""
    found: Layout | None = stated
    if found is None:
        found = "NCHW" if images.shape[1] in (1, 3) else "NHWC" if images.shape[3] in (1, 3) else None
    if found is None or images.shape[1 if found == "NCHW" else 3] not in (1, 3):
        raise NoImagesError(
            f"{title} returns {shape_text(images)}, and must return images of 1 or 3 channels, N×C×H×W or N×H×W×C"
        )
    return found


def span_of(images: Tensor, title: str) -> Span:
    """What black and white seem to be, the narrowest of the usual ones; `InputError` where none of them fits."""
    if images.dtype == torch.uint8:
        return LEVELS
    check_finite(images, title, InputError)
    low, high = images.min().item(), images.max().item()
    for span in SPANS if low < 0 else SPANS[1:]:
        if within(images, span):
            return span
    raise InputError(
        f"{title} returns floats from {low:.3g} to {high:.3g}, and what black and white are is not seen; say it, as in "
        "--set range=-1,1 (or 0,1 or 0,255), and what lies beyond is cut off"
    )


def levels_of(images: Tensor, layout: Layout, span: Span, title: str, *, stated: bool) -> Tensor:
    """uint8 RGB N×3×H×W of what was returned. stated: whether somebody said the span; else what lies beyond what was
    seen in the first images is refused."""
    if layout == "NHWC":
        images = images.permute(0, 3, 1, 2)
    if images.dtype == torch.uint8:
        return images.expand(-1, 3, -1, -1).contiguous()
    check_finite(images, title, NotImagesError)
    low, high = images.min().item(), images.max().item()
    if not stated and not within(images, span):
        raise NotImagesError(
            f"{title} returns floats from {low:.3g} to {high:.3g}, and its first images lay in "
            f"[{span[0]:g}, {span[1]:g}]; say what black and white are, as in --set range=-1,1 (or 0,1 or 0,255)"
        )
    return quantize((images - span[0]) * (2 / (span[1] - span[0])) - 1)


def check_finite(images: Tensor, title: str, error: type[InputError]) -> None:
    """`error` for images that are no numbers."""
    if not images.isfinite().all():
        raise error(f"{title} returns values that are not numbers (NaN or infinite)")


def within(images: Tensor, span: Span) -> bool:
    """Whether all of them lie between these ends, up to rounding."""
    slack = SLACK * (span[1] - span[0]) / 2
    return bool((images >= span[0] - slack).all() and (images <= span[1] + slack).all())
