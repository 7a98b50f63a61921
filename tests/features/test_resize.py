"""Resize protocols against values worked out by hand; against other packages in tests/parity."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchbench.features import resize

ALL = [resize.tf1, resize.clean, resize.torch_bilinear]


def row(*levels: int) -> Tensor:
    """One image of equal rows: uint8 1×3×4×len(levels)."""
    return torch.tensor(levels, dtype=torch.uint8).expand(1, 3, 4, len(levels)).contiguous()


def test_enlarging_a_row_by_two() -> None:
    """[0, 100] to four pixels. TF1 samples at x = 0, ½, 1, 1½ (clamped to 1): 0, 50, 100, 100. Half-pixel
    centres sample at −¼, ¼, ¾, 1¼ (clamped): 0, 25, 75, 100. Exact in float32."""
    images = row(0, 100)
    assert resize.tf1(images, 4)[0, 0, 0].tolist() == [0, 50, 100, 100]
    assert resize.torch_bilinear(images, 4)[0, 0, 0].tolist() == [0, 25, 75, 100]


def test_halving_shows_aliasing() -> None:
    """Stripes of 0 and 200, halved. TF1 keeps every other pixel: all 0. Bilinear without antialiasing means
    pairs: all 100. Antialiased bicubic spans 8 pixels, symmetric about a pair's centre, so its weights on odd
    and on even pixels sum to ½ each: 100 away from the border (float32 weights: 1e-3)."""
    stripes = torch.tensor([0, 200], dtype=torch.uint8).repeat(16).expand(1, 3, 32, 32).contiguous()
    assert resize.tf1(stripes, 16).unique().tolist() == [0]
    assert resize.torch_bilinear(stripes, 16).unique().tolist() == [100]
    middle = resize.clean(stripes, 16)[..., 4:-4]
    assert (middle - 100).abs().max() < 1e-3


@pytest.mark.parametrize("function", ALL)
def test_constant_stays_and_range_holds(function: Callable[[Tensor, int], Tensor]) -> None:
    """Weights sum to one, so a constant survives and edges stay in 0..255 (float32 weights: 1e-4)."""
    flat = torch.full((2, 3, 9, 13), 77, dtype=torch.uint8)
    out = function(flat, 21)
    assert out.shape == (2, 3, 21, 21)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, torch.full_like(out, 77), atol=1e-4, rtol=0)
    edge = function(row(0, 0, 255, 255), 31)
    assert edge.min() >= -1e-4
    assert edge.max() <= 255 + 1e-4


@pytest.mark.parametrize("function", ALL)
def test_same_size_is_untouched(function: Callable[[Tensor, int], Tensor]) -> None:
    """Every protocol is the identity at the target size."""
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(function(images, 16), images.float())
