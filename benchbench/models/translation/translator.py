"""What models from image to image share: directions, image conventions, and the way there and back.

A family writes `turn`, from float images to float images, and its losses. Inside, images are float32 in [-1, 1] with as
many channels as the data of both domains needs; outside they are uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, get_args

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, quantize, to_signed
from benchbench.core.protocols import Batch, Direction, ImageSpec
from benchbench.core.seeds import ImageRng

BOTH: tuple[Direction, ...] = get_args(Direction)


def opposite(direction: Direction) -> Direction:
    """The way back."""
    return BOTH[1 - BOTH.index(direction)]


def signed_images(images: Tensor, spec: ImageSpec, device: torch.device, title: str = "images") -> Tensor:
    """uint8 RGB of the size in `spec` to float32 in [-1, 1] with its channels, on `device`."""
    check_images(images, title)
    if images.shape[2:] != (spec.height, spec.width):
        raise InputError(
            f"this model was built for {spec.width}×{spec.height} images but these are "
            f"{images.shape[3]}×{images.shape[2]}; resize them or train a model of that size"
        )
    return to_signed(images.to(device), spec.channels)


class OneWayConfig(BaseModel, extra="forbid", frozen=True):
    """What models of one direction share."""

    direction: Direction = Field(default="AtoB", description="which domain the model is shown; AtoB or BtoA")


class ImageToImage(nn.Module):
    """A `Translator`; the family sets `paired` and writes `turn`.

    directions: one for a model built with a `OneWayConfig`, else both.
    """

    paired: ClassVar[bool]

    def __init__(self, config: BaseModel, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.directions: Sequence[Direction] = (
            (config.direction,) if isinstance(config, OneWayConfig) else BOTH
        )

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """Float images of one domain, N×channels×H×W in [-1, 1], to float32 images of the other, the same shape."""
        raise NotImplementedError

    def ordered(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """(source, target) of a model of one direction, from what domains A and B gave."""
        return (a, b) if self.directions[0] == "AtoB" else (b, a)

    def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """uint8 RGB to uint8 RGB; `InputError` for a direction this model does not have or another size."""
        return quantize(self.turn(self.signed(images), self.checked(direction), rng))

    def signed(self, images: Tensor) -> Tensor:
        """uint8 RGB of the size the model was built for to float32 on the model's device."""
        return signed_images(images, self.spec, next(self.parameters(), images).device)

    def checked(self, direction: Direction) -> Direction:
        """`direction` if this model has it."""
        if direction not in self.directions:
            raise InputError(
                f"this {type(self).__name__} has no direction {direction!r}; it has {' and '.join(self.directions)}"
            )
        return direction


class TwoWay(ImageToImage):
    """A model of both directions; `Cyclic`. Deterministic families only: no way back would know the noise."""

    def cycle(self, images: Tensor, direction: Direction, disturb: Callable[[Tensor], Tensor]) -> Tensor:
        """There and back in float32, with `disturb` in between; uint8 RGB."""
        back = opposite(self.checked(direction))
        nothing = ImageRng(0, range(0))
        there = self.turn(self.signed(images), direction, nothing)
        return quantize(self.turn(disturb(there), back, nothing))


class Identity(TwoWay):
    """The control row of translation and stylization: the output is the input.

    What a model must beat: on two domains that look alike it scores well, on cycle and identity error perfectly.
    """

    reference: ClassVar[str] = "control row, no paper"
    paired = False

    class Config(BaseModel, extra="forbid", frozen=True):
        """No hyper-parameters."""

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """`x` itself."""
        return x

    def show_styles(self, styles: Tensor) -> None:
        """No style changes anything."""

    def stylize(self, contents: Tensor, style: int, rng: ImageRng) -> Tensor:
        """`contents` themselves."""
        return check_images(contents).clone()


def conv_weights(network: nn.Module, std: float = 0.02) -> None:
    """Convolutions from N(0, std²) with zero biases, norms from N(1, std²): as Radford et al. 2016, Isola et al. 2017
    (appendix 6.2) and Zhu et al. 2017 (appendix 7.1) begin."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)


def least_squares(scores: Tensor, target: float) -> Tensor:
    """(D − target)², mean over all places and images (Mao et al. 2017, equation 9, without its ½)."""
    return (scores - target).square().mean()


def both_domains(batch: Batch) -> tuple[Tensor, Tensor]:
    """(x, y) of a translator's batch; `InputError` if it is of one domain."""
    if batch.y is None:
        raise InputError("a model from image to image learns from two domains but the batch has one")
    return batch.x, batch.y


def mirrored(*images: Tensor) -> tuple[Tensor, ...]:
    """Row i of each N×C×H×W tensor turned left to right, or of none, with probability ½: pairs stay pairs."""
    coins = torch.rand(len(images[0]), 1, 1, 1, device=images[0].device) < 0.5
    return tuple(torch.where(coins, x.flip(3), x) for x in images)
