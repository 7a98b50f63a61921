"""What tasks of restoration do to images, as `core.protocols.Degradation` has it: each with its name, its settings for
the record, and how it is done to an image that is scored and to patches that are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from benchbench.core.protocols import Degradation
from benchbench.core.seeds import image_generator
from benchbench.data.degrade.jpeg import jpeg, jpeg_settings
from benchbench.data.degrade.noise import NOISE, gaussian, poisson, salt_and_pepper
from benchbench.data.degrade.resize import imresize, to_uint8

NOISE_SEED = 0
"""Of the noise that is scored, whatever the seed of the run: every model and every seed is given the same images."""


class Degrades(Degradation, Protocol):
    """A degradation that says what it does."""

    def settings(self) -> dict[str, Any]:
        """What is done, JSON-able: for run.json and for keys."""


@dataclass(frozen=True)
class Downscaled:
    """Smaller by a whole factor, as MATLAB's antialiased bicubic does it, rounded to 8 bits."""

    scale: int

    @property
    def name(self) -> str:
        """As rows name it."""
        return f"x{self.scale}"

    def of_image(self, image: Tensor, number: int) -> Tensor:
        """As `Degradation.of_image`: uint8. In float64, so that every machine rounds to the same levels."""
        return to_uint8(self._smaller(image.cpu().double()))

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
            "kernel": "cubic with antialiasing as MATLAB's imresize, rounded to 8 bits",
            "originals": "cut at the bottom and at the right to a multiple of the scale",
        }


@dataclass(frozen=True)
class Blocked:
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
class Noisy:
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
