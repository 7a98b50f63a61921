"""Denoising: noise is added to test images, and a model takes it away.

The protocol of Zhang et al. 2017 (DnCNN): white Gaussian noise of standard deviation 15, 25 or 50 on the grey levels,
neither clipped nor rounded, so that noisy images are no images of 8 bits; outputs are scored as they come. With
`clipped=true` noisy images are rounded and clipped, as a file would hold them: another task with another name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from benchbench.core.errors import InputError
from benchbench.data.degrade.degradations import Noise, Noisy
from benchbench.tasks.restoration.restoration import RestorationOptions, RestorationTask

STRENGTHS = {"gaussian": (25.0, 255.0), "saltpepper": (0.1, 1.0), "poisson": (30.0, 1e6)}
"""Of each kind of noise the strength where none is said, and the largest."""


class Denoise(RestorationTask):
    """Images with noise, which is to be taken away."""

    name: ClassVar[str] = "denoise"
    standard: ClassVar[Sequence[str]] = ("psnr", "ssim", "mse")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {"denoise": ("psnr", "ssim")}

    class Options(RestorationOptions, frozen=True):
        """Which noise."""

        noise: Noise = Field(default="gaussian", description="gaussian, saltpepper or poisson")
        sigma: float | None = Field(
            default=None,
            gt=0,
            allow_inf_nan=False,
            description="standard deviation of Gaussian noise in grey levels; 25 where nothing is said",
        )
        strength: float | None = Field(
            default=None,
            gt=0,
            allow_inf_nan=False,
            description="of other noise: the share of values that are lost, 0.1; the photons of white, 30",
        )
        clipped: bool = Field(default=False, description="round and clip noisy images to 8 bits")

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        own = self.options
        if own.sigma is not None and (own.noise != "gaussian" or own.strength is not None):
            raise InputError(
                "sigma is the strength of Gaussian noise; of other noise give strength, and one of the two"
            )
        most = STRENGTHS[own.noise][1]
        if self._strength > most:
            raise InputError(
                f"{own.noise} noise of strength {self._strength:g} is not possible; give at most {most:g}"
            )

    @property
    def _strength(self) -> float:
        given = self.options.sigma if self.options.strength is None else self.options.strength
        return STRENGTHS[self.options.noise][0] if given is None else given

    def degradation(self) -> Noisy:
        """Noise of the kind and strength."""
        return Noisy(self.options.noise, self._strength, self.options.clipped)
