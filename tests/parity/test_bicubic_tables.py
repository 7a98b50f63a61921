"""The published bicubic rows of the super-resolution papers, from the images and the kernel alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchbench.data.degrade.resize import imresize, mod_crop, to_uint8
from benchbench.metrics.pairs.paired import luma, psnr, ssim


@pytest.fixture(scope="module")
def set5(shared_data: Path) -> list[Tensor]:
    """The five images, uint8 1×3×H×W; skipped where they are not at hand: they are no part of the project."""
    files = sorted((shared_data / "set5").glob("*.png"))
    if len(files) != 5:
        pytest.skip("Set5 is not at hand (a folder set5 in BENCHBENCH_DATA)")
    return [
        torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None] for file in files
    ]


@pytest.mark.parametrize(
    ("scale", "decibel", "similarity"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)]
)
def test_set5_bicubic(set5: list[Tensor], scale: int, decibel: float, similarity: float) -> None:
    """Kim et al. 2016 (VDSR), table 2, as Dong et al. 2014 compute it: luma rounded to 8 bits, the small image not
    rounded, the large one rounded, a border of `scale` pixels shaved."""
    found = []
    for image in set5:
        y = to_uint8(luma(mod_crop(image, scale)))
        height, width = y.shape[2:]
        small = imresize(y.double(), height // scale, width // scale)
        large = to_uint8(imresize(small, height, width))
        found.append(
            [float(metric(large, y, crop_border=scale)) for metric in (psnr, ssim)],
        )
    assert np.mean(found, 0) == pytest.approx([decibel, similarity], abs=0.01)
    assert np.mean(found, 0)[1] == pytest.approx(similarity, abs=0.0005)
