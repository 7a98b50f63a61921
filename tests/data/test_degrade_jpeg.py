"""JPEG degradation against other software."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

from benchbench.core.errors import InputError
from benchbench.data.degrade.jpeg import jpeg, jpeg_settings


@pytest.fixture(scope="module")
def smooth() -> Tensor:
    """Four colour images whose sides are no multiples of the 16 pixels that a block of 4:2:0 has."""
    coarse = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (37, 50), mode="bilinear").mul(255).to(torch.uint8)


@pytest.mark.filterwarnings("ignore:.*TorchVision are deprecated")
@pytest.mark.parametrize("quality", [1, 10, 40, 100])
def test_pixels_are_those_of_another_encoder(smooth: Tensor, quality: int) -> None:
    """torchvision calls libjpeg by itself, 4:2:0 by default, one channel for grey: every pixel is the same."""
    theirs = [decode_jpeg(encode_jpeg(image, quality), ImageReadMode.RGB) for image in smooth]
    assert torch.equal(jpeg(smooth, quality), torch.stack(theirs))
    grey = smooth[:, :1].expand(-1, 3, -1, -1).contiguous()
    theirs = [decode_jpeg(encode_jpeg(image[:1], quality), ImageReadMode.RGB) for image in grey]
    found = jpeg(grey, quality)
    assert torch.equal(found, torch.stack(theirs))
    assert torch.equal(found[:, 0], found[:, 2])


def test_an_image_is_degraded_by_itself(smooth: Tensor) -> None:
    """One pixel, none, and one image of a batch: the others make no difference."""
    assert torch.equal(jpeg(smooth, 10)[2:3], jpeg(smooth[2:3], 10))
    assert jpeg(smooth[:0], 10).shape == (0, 3, 37, 50)
    assert torch.equal(
        jpeg(torch.full((1, 3, 1, 1), 128, dtype=torch.uint8), 10), torch.full((1, 3, 1, 1), 128)
    )


def test_a_lower_quality_loses_more(smooth: Tensor) -> None:
    """By the meaning of the word."""
    errors = [(jpeg(smooth, q).double() - smooth.double()).abs().mean() for q in (5, 10, 40, 100)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_no_such_quality(smooth: Tensor, quality: int) -> None:
    """One sentence; Pillow would take 0 for something else."""
    with pytest.raises(InputError, match=f"{quality} is not possible"):
        jpeg(smooth, quality)


def test_the_record_says_how() -> None:
    """Quality and encoder, as words and numbers."""
    told = jpeg_settings(10)
    assert told["quality"] == 10
    assert str(told["encoder"]).startswith("libjpeg")
