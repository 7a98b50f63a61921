"""Image conventions: rounding, ranges and shapes at the border of a room."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, quantize, to_signed


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_quantize_undoes_to_signed(seed: int) -> None:
    """uint8 -> [-1, 1] -> uint8 is the identity: x/127.5 - 1 is within float32 noise (1e-7) of a grid whose
    step is 1/127.5, so rounding lands on the same level, exactly."""
    images = torch.randint(
        0, 256, (2, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    assert torch.equal(quantize(to_signed(images)), images)


def test_quantize_rounds_and_clamps() -> None:
    """Hand values: (x + 1) * 127.5 at x = 0 is 127.5, which rounds half to even to 128; 0.9999 of the way to
    the next level rounds up where truncation would stay; beyond ±1 clamps."""
    x = torch.tensor([0.0, 99.9999 / 127.5 - 1, -3.0, 3.0]).reshape(1, 1, 1, 4)
    assert quantize(x)[0, 0, 0].tolist() == [128, 100, 0, 255]


def test_quantize_gives_rgb_for_grey() -> None:
    """One channel in, three equal ones out: across a room border images are RGB."""
    out = quantize(torch.linspace(-1, 1, 6).reshape(1, 1, 2, 3))
    assert out.shape == (1, 3, 2, 3)
    assert torch.equal(out[:, 0], out[:, 2])


def test_nan_pixels_are_refused() -> None:
    """A NaN cast to uint8 would be an arbitrary grey level; it must be an error that names the model."""
    with pytest.raises(InputError, match="NaN pixels"):
        quantize(torch.full((1, 3, 2, 2), float("nan")))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.zeros(2, 3, 4, 4), "must be uint8 in 0..255 but are float32"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "have 2×1×4×4"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "have 3×4×4"),
    ],
)
def test_wrong_images_are_named(images: torch.Tensor, sentence: str) -> None:
    """The message says what came instead of uint8 N×3×H×W."""
    with pytest.raises(InputError, match=sentence):
        check_images(images)
