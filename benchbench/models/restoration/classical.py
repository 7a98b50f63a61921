"""Classical denoisers of scikit-image and SciPy: Gaussian, median and bilateral filters, BayesShrink on wavelets,
non-local means, total variation.

Pattern: each has one strength. Where nobody sets it, it is the one among `candidates` with the highest mean PSNR on up
to 24 pieces of the images that are learned from, degraded as the task degrades: never on a test image. The noise level
that non-local means and BayesShrink ask for is that of the task where it is Gaussian, else scikit-image's estimate.

Trade-offs: none of them draws or learns weights; the strength that was chosen is in the record.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from scipy import ndimage
from skimage import restoration
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.models.restoration.restorer import RANGE, like, told

LEAST_NOISE = 1e-4
"""The smallest noise level that is taken for one, in [0, 1]."""

Plane = NDArray[np.float64]

PIECES = 24
"""Pieces of images that a strength is chosen on."""


class ClassicalDenoiser(nn.Module):
    """A filter with one strength.

    Attributes:
        candidates: The strengths that are tried where none is set.
        patch: The side of the pieces on which they are, in pixels.
        chosen: The strength that is used, and the mean PSNR of each candidate where one was chosen.
    """

    reference: ClassVar[str]
    undoes: ClassVar[tuple[str, ...]] = ("denoise", "deblock")
    patch: ClassVar[int] = 128
    pieces: ClassVar[int] = PIECES
    candidates: ClassVar[Sequence[float]]

    class Config(BaseModel, extra="forbid", frozen=True):
        """How strong."""

        strength: float | None = Field(
            default=None,
            gt=0,
            allow_inf_nan=False,
            description="of the filter, in its own unit; else chosen on the images that are learned from",
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.degradation = told(spec, type(self).__name__)
        self.chosen: dict[str, Any] = {}
        if config.strength is not None or len(self.candidates) == 1:
            self.chosen = {"strength": config.strength or self.candidates[0]}

    @property
    def ready(self) -> bool:
        """Whether the strength is known without images."""
        return bool(self.chosen)

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Choose the strength: the highest mean PSNR on pieces of images, uint8 RGB N×3×H×W."""
        pairs = [
            (self.degradation.of_image(image[None], number).float(), image[None].float())
            for number, image in enumerate(train.cpu())
        ]
        means = {
            strength: float(np.mean([psnr(self._levels(one, strength), other) for one, other in pairs]))
            for strength in self.candidates
        }
        best = max(means, key=lambda strength: means[strength])
        self.chosen = {"strength": best, "chosen_among": {f"{s:g}": round(v, 3) for s, v in means.items()}}

    def restore(self, degraded: Tensor) -> Tensor:
        """As `Restorer.restore`."""
        made = torch.cat([self._levels(one[None].float(), self.chosen["strength"]) for one in degraded.cpu()])
        return like(degraded, made.to(degraded.device))

    def _levels(self, levels: Tensor, strength: float) -> Tensor:
        """One image filtered, float32 grey levels 1×3×H×W; of a grey one a channel, and it is repeated."""
        grey = all(torch.equal(levels[:, 0], levels[:, other]) for other in (1, 2))
        image = levels[0, : 1 if grey else 3].numpy().astype(np.float64) / RANGE
        with warnings.catch_warnings():
            # On images of a few pixels: that rows look like channels, and that wavelets have no room.
            warnings.simplefilter("ignore")
            made = self.filtered(image[0] if grey else image, strength, None if grey else 0)
        # scikit-image leaves dimensions of one pixel out.
        out = (
            torch.from_numpy(
                np.asarray(made, dtype=np.float32).reshape(image[0].shape if grey else image.shape)
            )
            * RANGE
        )
        return out.expand(1, 3, -1, -1).contiguous() if grey else out[None]

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """An image filtered.

        Args:
            image: float64 around 0..1, H×W, or 3×H×W where `channel_axis` is 0.
            strength: In the filter's own unit.
            channel_axis: 0 for a colour image, None for a grey one.

        Returns:
            Of the same shape.
        """
        raise NotImplementedError

    def noise(self, image: Plane, channel_axis: int | None) -> float:
        """The standard deviation of the noise, in [0, 1]."""
        sigma = getattr(self.degradation, "strength", None)
        if getattr(self.degradation, "kind", "") == "gaussian" and sigma is not None:
            return float(sigma) / RANGE
        estimate: Any = restoration.estimate_sigma
        found = float(estimate(image, channel_axis=channel_axis, average_sigmas=True))
        return found if found > LEAST_NOISE else LEAST_NOISE  # of a flat image it is not a number


def psnr(made: Tensor, clean: Tensor) -> float:
    """In dB, of grey levels."""
    return float(-10 * ((made - clean) / RANGE).square().mean().clamp_min(1e-12).log10())


class GaussianFilter(ClassicalDenoiser):
    """Blurring by a Gaussian; its strength is the standard deviation in pixels."""

    reference: ClassVar[str] = "textbook"
    candidates = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 2.0, 2.5)

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """As `ClassicalDenoiser.filtered`."""
        sigma = (strength, strength) if channel_axis is None else (0.0, strength, strength)
        made: Plane = ndimage.gaussian_filter(image, sigma)
        return made


class MedianFilter(ClassicalDenoiser):
    """The median of a square; its strength is the side in pixels."""

    reference: ClassVar[str] = "Tukey 1977, Exploratory Data Analysis"
    candidates = (1, 3, 5, 7, 9)

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """As `ClassicalDenoiser.filtered`."""
        side = max(1, round(strength))
        made: Plane = ndimage.median_filter(
            image, size=(side, side) if channel_axis is None else (1, side, side)
        )
        return made


class BilateralFilter(ClassicalDenoiser):
    """The bilateral filter; its strength is the standard deviation of levels, in [0, 1]; that in space is 3 pixels."""

    reference: ClassVar[str] = "Tomasi & Manduchi 1998, Bilateral Filtering for Gray and Color Images, ICCV"
    candidates = (0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.7)

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """As `ClassicalDenoiser.filtered`; of levels from 0 on, as scikit-image asks for."""
        lowest = min(0.0, float(image.min()))
        made: Plane = restoration.denoise_bilateral(
            np.moveaxis(image, 0, -1) - lowest if channel_axis == 0 else image - lowest,
            win_size=9,
            sigma_color=strength,
            sigma_spatial=3,
            channel_axis=-1 if channel_axis == 0 else None,
        )
        return (np.moveaxis(made, -1, 0) if channel_axis == 0 else made) + lowest


class WaveletBayesShrink(ClassicalDenoiser):
    """BayesShrink: soft thresholds on wavelets, one a band; its strength is by what the noise level is multiplied."""

    reference: ClassVar[str] = "Chang, Yu & Vetterli 2000, Adaptive Wavelet Thresholding, IEEE TIP"
    candidates = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5)

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """As `ClassicalDenoiser.filtered`."""
        made: Plane = restoration.denoise_wavelet(
            image,
            sigma=strength * self.noise(image, channel_axis),
            method="BayesShrink",
            mode="soft",
            rescale_sigma=True,
            channel_axis=channel_axis,
        )
        return made


class NonLocalMeans(ClassicalDenoiser):
    """Non-local means: patches of 5×5 in windows of 13×13; its strength is h over the noise level."""

    reference: ClassVar[str] = "Buades, Coll & Morel 2005, A Non-Local Algorithm for Image Denoising, CVPR"
    candidates = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """As `ClassicalDenoiser.filtered`."""
        sigma = self.noise(image, channel_axis)
        made: Plane = restoration.denoise_nl_means(
            image,
            patch_size=5,
            patch_distance=6,
            h=strength * sigma,
            sigma=sigma,
            fast_mode=True,
            channel_axis=channel_axis,
        )
        return made


class TotalVariation(ClassicalDenoiser):
    """Total variation, by Chambolle's projection; its strength is the weight."""

    reference: ClassVar[str] = (
        "Rudin, Osher & Fatemi 1992; Chambolle 2004, An Algorithm for Total Variation Minimization"
    )
    candidates = (0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.3)

    def filtered(self, image: Plane, strength: float, channel_axis: int | None) -> Plane:
        """As `ClassicalDenoiser.filtered`."""
        denoise: Any = restoration.denoise_tv_chambolle
        made: Plane = denoise(image, weight=strength, channel_axis=channel_axis)
        return made
