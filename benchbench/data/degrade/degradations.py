"""What tasks of restoration do to images, as `core.protocols.Degradation` has it: each with its name, its settings for
the record, and how it is done to an image that is scored and to patches that are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from benchbench.core.colour import grey_of_luma, ycbcr
from benchbench.core.images import is_grey
from benchbench.core.protocols import Degradation
from benchbench.core.seeds import image_generator
from benchbench.data.degrade.jpeg import jpeg, jpeg_settings
from benchbench.data.degrade.noise import NOISE, gaussian, poisson, salt_and_pepper
from benchbench.data.degrade.resize import imresize, mod_crop, to_uint8

NOISE_SEED = 0
"""Of the noise that is scored, whatever the seed of the run: every model and every seed is given the same images."""


class Degrades(Degradation, Protocol):
    """A degradation that says what it does, and what is compared."""

    def settings(self) -> dict[str, Any]:
        """What is done, JSON-able: for run.json and for keys."""

    def taught(self) -> dict[str, Any]:
        """What of it a model learns, JSON-able: weights depend on it, and on nothing else of the settings."""

    def original(self, image: Tensor) -> Tensor:
        """What an output is compared with: of an image, uint8 RGB 1×3×H×W, a part or another form of it."""

    def compared(self, made: Tensor) -> Tensor:
        """What of an output is compared: of uint8 or float32 grey levels, 1×3×H×W."""


class WholeImages:
    """What most degradations share: images are compared as they are, and all of the settings is learned."""

    scale: int

    def settings(self) -> dict[str, Any]:
        """As `Degrades.settings`."""
        raise NotImplementedError

    def taught(self) -> dict[str, Any]:
        """As `Degrades.taught`: all of it."""
        return self.settings()

    def original(self, image: Tensor) -> Tensor:
        """As `Degrades.original`: cut at the bottom and at the right, so that the scale divides both sides."""
        return mod_crop(image, self.scale)

    def compared(self, made: Tensor) -> Tensor:
        """As `Degrades.compared`: the output as it is."""
        return made


@dataclass(frozen=True)
class Downscaled(WholeImages):
    """Smaller by a whole factor, as MATLAB's antialiased bicubic does it, rounded to 8 bits.

    Attributes:
        scale: How many times smaller.
        luma: Whether only the luma is made smaller and compared, as the tables of the older papers have it (Dong et al.
            2014): rounded to 8 bits before, and not once it is small. Models are given the grey image of that luma.
    """

    scale: int
    luma: bool = False

    @property
    def name(self) -> str:
        """As rows name it."""
        return f"x{self.scale}{'-luma' if self.luma else ''}"

    def original(self, image: Tensor) -> Tensor:
        """As `Degrades.original`; of the luma, as three equal channels, where only that is compared. That of a grey
        image are its levels as they are, as the papers' scripts take them."""
        cut = mod_crop(image, self.scale)
        if not self.luma or is_grey(cut):
            return cut
        return to_uint8(ycbcr(cut.double())[:, :1]).expand_as(cut)

    def compared(self, made: Tensor) -> Tensor:
        """As `Degrades.compared`; the luma of a grey output, in 8 bits."""
        return to_uint8(ycbcr(made.double())[:, :1]).expand_as(made) if self.luma else made

    def of_image(self, image: Tensor, number: int) -> Tensor:
        """As `Degradation.of_image`: uint8. In float64, so that every machine rounds to the same levels."""
        small = self._smaller(image.cpu().double())
        return grey_of_luma(small).float() if self.luma else to_uint8(small)

    def of_patches(self, levels: Tensor) -> Tensor:
        """As `Degradation.of_patches`."""
        return to_uint8(self._smaller(levels)).to(levels)

    def _smaller(self, levels: Tensor) -> Tensor:
        height, width = (side // self.scale for side in levels.shape[2:])
        return imresize(levels, height, width)

    def settings(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "kind": "downscaled",
            "scale": self.scale,
            "kernel": "cubic with antialiasing as MATLAB's imresize, "
            f"{'not rounded' if self.luma else 'rounded to 8 bits'}",
            "originals": f"{'the luma in 8 bits, ' if self.luma else ''}cut at the bottom and at the right to a "
            "multiple of the scale",
        }

    def taught(self) -> dict[str, Any]:
        """As `Degrades.taught`: the same whichever is compared."""
        return Downscaled(self.scale).settings()


@dataclass(frozen=True)
class Blocked(WholeImages):
    """Out of a JPEG file."""

    quality: int
    scale: int = 1

    @property
    def name(self) -> str:
        """As rows name it."""
        return f"q{self.quality}"

    def of_image(self, image: Tensor, number: int) -> Tensor:
        """As `Degradation.of_image`: uint8."""
        return jpeg(image, self.quality)

    def of_patches(self, levels: Tensor) -> Tensor:
        """As `Degradation.of_patches`: patches of one channel are encoded as grey images."""
        images = to_uint8(levels).expand(-1, 3, -1, -1)
        return jpeg(images, self.quality)[:, : levels.shape[1]].to(levels)

    def settings(self) -> dict[str, Any]:
        """For run.json."""
        return jpeg_settings(self.quality)


Noise = Literal["gaussian", "saltpepper", "poisson"]
_UNITS = {"gaussian": "grey levels", "saltpepper": "share of values", "poisson": "photons of white"}


@dataclass(frozen=True)
class Noisy(WholeImages):
    """With noise.

    Attributes:
        kind: Which noise.
        strength: The standard deviation in grey levels, the share of values that are lost, or the photons of white.
        clipped: Whether the noisy image is one of 8 bits, rounded and clipped.
    """

    kind: Noise
    strength: float
    clipped: bool = False
    scale: int = 1

    @property
    def name(self) -> str:
        """As rows name it."""
        what = {"gaussian": "sigma", "saltpepper": "saltpepper", "poisson": "poisson"}[self.kind]
        return f"{what}{self.strength:g}{'-clipped' if self.clipped else ''}"

    def of_image(self, image: Tensor, number: int) -> Tensor:
        """As `Degradation.of_image`: uint8 where it is clipped, else float32."""
        make = {"gaussian": gaussian, "saltpepper": salt_and_pepper, "poisson": poisson}[self.kind]
        noisy = make(image[0].cpu(), self.strength, image_generator(NOISE_SEED, number, NOISE))[None]
        return to_uint8(noisy) if self.clipped else noisy.float()

    def of_patches(self, levels: Tensor) -> Tensor:
        """As `Degradation.of_patches`."""
        if self.kind == "gaussian":
            noisy = levels + self.strength * torch.randn_like(levels)
        elif self.kind == "poisson":
            photons = torch.poisson(levels * (self.strength / 255))
            noisy = photons * (255 / self.strength)
        else:
            draws = torch.rand_like(levels)
            extreme = torch.where(draws < self.strength / 2, 0.0, 255.0)
            noisy = torch.where(draws < self.strength, extreme, levels)
        return to_uint8(noisy).to(levels) if self.clipped else noisy

    def settings(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "kind": self.kind,
            "strength": self.strength,
            "unit": _UNITS[self.kind],
            "levels": "rounded and clipped to 8 bits" if self.clipped else "neither rounded nor clipped",
            "seed": NOISE_SEED,
            "stream": "of each image, by the digest of its pixels",
        }
