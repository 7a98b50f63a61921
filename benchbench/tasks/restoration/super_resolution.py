"""Super-resolution: test images are made smaller, and a model makes them large again.

The protocol of papers since Timofte et al. 2013: originals cut to a multiple of the scale, small images by MATLAB's
antialiased bicubic, rounded to 8 bits; PSNR and SSIM on the luma (`psnr_y`), a border of as many pixels as the scale
left out (`_crop2`). `psnr_crop4` and its like are EDSR's variant on RGB with scale + 2 pixels left out (Lim et al.
2017, section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from benchbench.data.degrade.degradations import Downscaled
from benchbench.tasks.restoration.restoration import RestorationOptions, RestorationTask

SCALES = (2, 3, 4, 8)


class SuperResolution(RestorationTask):
    """Images made smaller by a whole factor, to be made large again."""

    name: ClassVar[str] = "super-resolution"
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {
        f"super-resolution:x{scale}{luma}": (f"psnr_{y}crop{scale}", "psnr_y", "psnr")
        for scale in SCALES
        for luma, y in (("", "y_"), ("-luma", ""))
    }

    class Options(RestorationOptions, frozen=True):
        """How much smaller."""

        scale: Literal[2, 3, 4, 8] = Field(
            default=2, description="how many times smaller a side is: 2, 3, 4 or 8"
        )

        luma: bool = Field(
            default=False, description="make only the luma smaller and compare it, as the older papers do"
        )

    options: Options

    @property
    def standard(self) -> Sequence[str]:  # type: ignore[override]
        """As `Task.standard`: on the luma without a border, on RGB as EDSR has it, and the distance of pieces."""
        scale = self.options.scale
        if self.options.luma:
            return (f"psnr_crop{scale}", f"ssim_crop{scale}")
        border = (
            f"psnr_y_crop{scale}",
            f"ssim_y_crop{scale}",
            f"psnr_crop{scale + 2}",
            f"ssim_crop{scale + 2}",
        )
        return (*border, "mse", "lpips", "fd")

    def degradation(self) -> Downscaled:
        """Smaller by the scale."""
        return Downscaled(self.options.scale, self.options.luma)
