"""YCbCr of BT.601 in studio range, as super-resolution papers have it."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import rgb2ycbcr

from benchbench.core.colour import grey_of_luma, luma, luma_of_grey, rgb, ycbcr
from benchbench.metrics.pairs.paired import psnr


def levels(seed: int = 0) -> torch.Tensor:
    """Seeded colours, uint8 2×3×9×7."""
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 3, 9, 7), np.uint8)
    return torch.from_numpy(pixels)


def test_as_scikit_image_has_it() -> None:
    """scikit-image's rgb2ycbcr has the same matrix on [0, 1], and rounds nothing either."""
    images = levels()
    theirs = rgb2ycbcr(images.permute(0, 2, 3, 1).numpy())
    ours = ycbcr(images.double()).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours - theirs).max() < 1e-3  # its matrix has three decimals, as MATLAB's
    assert np.abs(luma(images)[:, 0].numpy() - theirs[..., 0]).max() < 1e-3


def test_there_and_back() -> None:
    """The inverse of the matrix, in both precisions: no level of 8 bits is another one afterwards."""
    images = levels()
    assert (rgb(ycbcr(images.double())) - images).abs().max() < 1e-10
    assert torch.equal(rgb(ycbcr(images.float())).round().to(torch.uint8), images)


def test_the_luma_that_is_scored_is_the_luma_that_is_learned() -> None:
    """`luma`, which metrics read, is the first plane of `ycbcr`; of grey images `luma_of_grey` is it, too, and black,
    white are 16, 235 (the row of the matrix sums to 219)."""
    images = levels()
    assert (ycbcr(images.double())[:, :1] - luma(images)).abs().max() < 1e-10
    grey = images[:, :1].double()
    assert (luma_of_grey(grey) - luma(images[:, :1].expand(-1, 3, -1, -1))).abs().max() < 1e-10
    assert luma_of_grey(torch.tensor([0.0, 255.0], dtype=torch.float64)).round(decimals=9).tolist() == [
        16,
        235,
    ]
    assert (grey_of_luma(luma_of_grey(grey)) - grey).abs().max() < 1e-10


def test_a_difference_in_one_channel_weighs_as_in_the_metric() -> None:
    """Closed form: 51 levels of blue are 51 · 24.966 / 255 of luma; the PSNR on Y is that of this difference."""
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    blue = black.clone()
    blue[:, 2] = 51
    expected = 20 * np.log10(255 / (51 * 24.966 / 255))
    assert abs(float(psnr(blue, black, y_channel=True)) - expected) < 1e-9
    assert abs(float((ycbcr(blue.double()) - ycbcr(black.double()))[0, 0, 0, 0]) - 51 * 24.966 / 255) < 1e-12
