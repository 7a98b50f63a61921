"""Metrics of pairs, each package on the same two images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from benchbench.metrics.pairs import paired
from calibration_rows.inputs import pairs
from calibration_rows.on_greys import grey_rows
from calibration_rows.row import Other, Row, Section

SMALL, NEAR, ODD, EVEN, LARGE, TWO = (
    "photograph 128×160, noise",
    "photograph 128×160, one level of one pixel",
    "photograph 177×203, more noise",
    "photograph 192×208, blur",
    "photograph 384×400, blur",
    "two photographs 128×160, noise and more noise",
)
WANG: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
"""What scikit-image's documentation names for Wang et al. 2004."""


def mean(of: Callable[..., Tensor], on: str, **options: Any) -> float:
    return float(of(*pairs()[on], **options).mean())


def unit(on: str) -> list[Tensor]:
    """Both sides as others take them: float64 in [0, 1]."""
    return [images.double() / 255 for images in pairs()[on]]


def of_skimage(name: str, on: str, luma: bool = False, **options: Any) -> float:
    """The mean over images of one of scikit-image's metrics; `luma` of its own conversion's Y, 16..235."""
    from skimage import metrics
    from skimage.color import rgb2ycbcr

    def plane(image: Tensor) -> np.ndarray:
        levels = image.permute(1, 2, 0).numpy()
        return np.asarray(rgb2ycbcr(levels)[..., 0] if luma else levels)

    both = zip(*pairs()[on], strict=True)
    return float(np.mean([getattr(metrics, name)(plane(y), plane(x), **options) for x, y in both]))


def of_torchmetrics(name: str, on: str, **options: Any) -> float:
    from torchmetrics.functional import image

    return float(getattr(image, name)(*unit(on), data_range=1.0, **options))


def of_piq(name: str, on: str, **options: Any) -> float:
    import piq

    return float(getattr(piq, name)(*unit(on), **options))


def ssim_rows() -> tuple[Row, ...]:
    call = "structural_similarity"
    return (
        Row(
            "ssim",
            SMALL,
            lambda: mean(paired.ssim, SMALL),
            (
                Other(
                    "scikit-image",
                    f"{call}(gaussian_weights, sigma=1.5, use_sample_covariance=False)",
                    lambda: of_skimage(call, SMALL, channel_axis=-1, data_range=255, **WANG),
                    "The paper's: Gaussian windows that lie within the image whole.",
                    1e-9,
                ),
                Other(
                    "scikit-image",
                    f"{call}()",
                    lambda: of_skimage(call, SMALL, channel_axis=-1, data_range=255),
                    "Even windows of 7×7, and variances over 48 instead of 49.",
                ),
                Other(
                    "torchmetrics",
                    "structural_similarity_index_measure",
                    lambda: of_torchmetrics("structural_similarity_index_measure", SMALL),
                    "The paper's window, but averages over those across the reflected border too.",
                ),
                Other(
                    "piq",
                    "ssim",
                    lambda: of_piq("ssim", SMALL),
                    "The paper's, on images below 384 pixels.",
                    1e-9,
                ),
            ),
        ),
        Row(
            "ssim",
            LARGE,
            lambda: mean(paired.ssim, LARGE),
            (
                Other(
                    "piq",
                    "ssim",
                    lambda: of_piq("ssim", LARGE),
                    "Shrinks images of 384 pixels and more first, to about 256: the authors' site advises it, the "
                    "paper does not.",
                ),
                Other(
                    "piq",
                    "ssim(downsample=False)",
                    lambda: of_piq("ssim", LARGE, downsample=False),
                    "The paper's.",
                    1e-9,
                ),
            ),
        ),
        Row(
            "ssim_y",
            SMALL,
            lambda: mean(paired.ssim, SMALL, y_channel=True),
            (
                Other(
                    "scikit-image",
                    f"rgb2ycbcr, {call}",
                    lambda: of_skimage(call, SMALL, luma=True, data_range=255, **WANG),
                    "BT.601 luma of 16 to 235, not rounded, peak 255.",
                    1e-6,
                ),
            ),
        ),
        Row(
            "ms_ssim",
            ODD,
            lambda: mean(paired.ms_ssim, ODD),
            (
                Other(
                    "torchmetrics",
                    "multiscale_structural_similarity_index_measure",
                    lambda: of_torchmetrics("multiscale_structural_similarity_index_measure", ODD),
                    "Takes the product of the scales of all channels together, we of each channel; and reflects "
                    "borders at the last scale.",
                ),
                Other(
                    "piq",
                    "multi_scale_ssim",
                    lambda: of_piq("multi_scale_ssim", ODD),
                    "Other borders where a side is odd on its way down.",
                ),
            ),
        ),
        Row(
            "ms_ssim",
            EVEN,
            lambda: mean(paired.ms_ssim, EVEN),
            (
                Other(
                    "piq", "multi_scale_ssim", lambda: of_piq("multi_scale_ssim", EVEN), "The paper's.", 1e-9
                ),
            ),
        ),
    )


def error_rows() -> tuple[Row, ...]:
    call = "peak_signal_noise_ratio"
    return (
        Row(
            "psnr",
            TWO,
            lambda: mean(paired.psnr, TWO),
            (
                Other(
                    "scikit-image",
                    call,
                    lambda: of_skimage(call, TWO, data_range=255),
                    "An image at a time; the mean of both.",
                    1e-9,
                ),
                Other(
                    "torchmetrics",
                    call,
                    lambda: of_torchmetrics(call, TWO),
                    "One mean of squares over all images, then decibels: never more than the mean of each image's "
                    "decibels.",
                ),
                Other(
                    "torchmetrics",
                    f"{call}(dim=(1, 2, 3))",
                    lambda: of_torchmetrics(call, TWO, dim=(1, 2, 3)),
                    "The mean of each image's decibels, as papers report.",
                    1e-6,
                ),
            ),
        ),
        Row(
            "psnr",
            NEAR,
            lambda: mean(paired.psnr, NEAR),
            (
                Other(
                    "scikit-image", call, lambda: of_skimage(call, NEAR, data_range=255), "No constant.", 1e-9
                ),
                Other(
                    "piq",
                    "psnr",
                    lambda: of_piq("psnr", NEAR),
                    "Adds 1e-8 to the mean square: no more than 80 dB, which equal images have.",
                ),
            ),
        ),
        Row(
            "psnr_y",
            SMALL,
            lambda: mean(paired.psnr, SMALL, y_channel=True),
            (
                Other(
                    "scikit-image",
                    f"rgb2ycbcr, {call}",
                    lambda: of_skimage(call, SMALL, luma=True, data_range=255),
                    "BT.601 luma of 16 to 235, not rounded, peak 255, as super-resolution papers have it.",
                    1e-6,
                ),
                Other(
                    "piq",
                    "psnr(convert_to_greyscale=True)",
                    lambda: of_piq("psnr", SMALL, convert_to_greyscale=True),
                    "Luma of 0 to 255, whose errors are 255/219 times as large: 1.3 dB less.",
                ),
            ),
        ),
        Row(
            "mse",
            SMALL,
            lambda: mean(paired.mse, SMALL),
            (
                Other(
                    "scikit-image",
                    "mean_squared_error / 255²",
                    lambda: of_skimage("mean_squared_error", SMALL) / 255**2,
                    "Of grey levels; ours is of intensities in [0, 1].",
                    1e-9,
                ),
            ),
        ),
    )


SECTION = Section(
    "On pairs of images",
    "Parts of scikit-image's photograph `astronaut`: with seeded noise of 12 or 40 grey levels, or under a mean of "
    "5×5. torchmetrics and piq get float64 images in [0, 1], scikit-image the grey levels.",
    (*ssim_rows(), *error_rows(), *grey_rows()),
)
