"""What the owner of a generator may say of it; what is not said is found out, and said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from benchbench.core.bounds import MOST_LATENT

Distribution = Literal["normal", "uniform", "sphere"]
Layout = Literal["NCHW", "NHWC"]
Labels = Literal["auto", "none", "numbers", "one-hot"]
_Side = Annotated[int, Field(ge=1, le=MOST_LATENT)]


def _ends(given: Any) -> Any:
    """Two numbers; also as one types them, "0,1"."""
    if isinstance(given, str):
        given = given.strip("[] ").split(",")
    if not isinstance(given, Sequence):
        return given
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError) as error:
        raise ValueError("give what black and white are, as in 0,1 or -1,1 or 0,255") from error
    if not low < high:
        raise ValueError("give what black is, and then what white is, which is more")
    return low, high


class Stated(BaseModel, extra="forbid", frozen=True):
    """What is said of a generator.

    Attributes:
        latent: The length of a latent vector, or the shape of one image's latents; None to find it out.
        distribution: Of latents: standard normal numbers, uniform on [-1, 1), or normal ones scaled to the sphere of
            radius √latent.
        range: What black and white are in its images; None to look. What lies beyond is cut off where it was said.
        layout: Where the channels of its images are; None to look.
        labels: How it is told classes, or "none" for never; "auto" to find it out.
        args: What the class or function takes that makes it, by name.
        sha256: Of its files, filled in; whoever states it has it checked.
    """

    latent: _Side | tuple[_Side, ...] | None = Field(
        default=None, description="length of a latent vector, or its shape"
    )
    distribution: Distribution = Field(default="normal", description="of latents")
    range: Annotated[tuple[float, float] | None, BeforeValidator(_ends)] = Field(
        default=None, description="what black and white are: -1,1 or 0,1 or 0,255"
    )
    layout: Layout | None = Field(default=None, description="of images: NCHW or NHWC")
    labels: Labels = Field(default="auto", description="how it is told classes")
    args: dict[str, Any] = Field(default_factory=dict, description="what makes it takes, args.NAME=VALUE")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="of its files; filled in")
