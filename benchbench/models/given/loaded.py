"""What every loader hands out: something that can be called for images, and all that its file says of how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

Takes = Literal["latents", "rng", "number"]
TakesLabels = Literal["no", "optional", "required"]


@dataclass
class Loaded:
    """A generator of somebody's.

    Attributes:
        title: What sentences call it.
        call: Makes images of what it takes and of labels or None.
        takes: What it is called with: "latents" of N images, an "rng" (`core.seeds.ImageRng`), or their "number".
        labels: Whether it can be told classes, and whether it must.
        sha256: Of the files that it came from; "" for what came from none.
        net: The modules that it computes with, as far as they are known; on which device they are matters.
        latent: The shape of one image's latents, where that is known.
        sizes: What the length of a latent vector may be, likeliest first, where the shape is not known.
        batch: How many images every call makes, where that is fixed.
        one_hot: Whether labels are rows with a one in them; None where trying tells.
        span: What black and white are; None where looking tells.
        outside: Where it computes, if not in this torch; a reason why nobody can count there.
        stored: Whether its weights are in its file.
        notes: What a reader should know.
    """

    title: str
    call: Callable[[Any, Tensor | None], Any]
    takes: Takes = "latents"
    labels: TakesLabels = "no"
    sha256: str = ""
    net: nn.Module | None = None
    latent: tuple[int, ...] | None = None
    sizes: Sequence[int] = ()
    batch: int | None = None
    one_hot: bool | None = None
    span: tuple[float, float] | None = None
    outside: str = ""
    stored: bool = False
    notes: list[str] = field(default_factory=list)
