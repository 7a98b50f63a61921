"""The warp: closed forms of a shift and of no warp, smoothness, and the statistics of its control points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Tensor

from benchbench.models.nn.warp import POINTS, displaced, random_warp, spread


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_no_amplitude_no_change(height: int, width: int) -> None:
    """Every pixel is read at its own place. Coordinates up to 40 go to [-1, 1] and back in float32, 40·2⁻²³ ≈ 5e-6 off
    at most a few times over, and neighbours differ by at most 2."""
    x = noise(2, 3, height, width)
    torch.testing.assert_close(random_warp(x, 0.0), x, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("down", "right"), [(0, 2), (3, 0), (-1, 4)])
def test_constant_displacement_shifts(down: int, right: int) -> None:
    """A constant field of whole pixels is a shift, with the border repeated: index clamping says the same. 16 pixels
    in float32, so 1e-4 as above. Constant control points are a constant field: bicubic weights sum to 1."""
    x = noise(2, 3, 12, 16)
    points = torch.tensor([down, right], dtype=torch.float32).view(1, 2, 1, 1).expand(2, 2, POINTS, POINTS)
    rows = (torch.arange(12) + down).clamp(0, 11)
    columns = (torch.arange(16) + right).clamp(0, 15)
    expected = x[:, :, rows][..., columns]
    torch.testing.assert_close(displaced(x, spread(points, 12, 16)), expected, atol=1e-4, rtol=0)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    """Bilinear reading half way between 0, 1, 4 gives ½ and 2½; beyond the border it is 4."""
    x = torch.tensor([[[[0.0, 1.0, 4.0]]]])
    field = torch.stack([torch.zeros(1, 1, 3), torch.full((1, 1, 3), 0.5)], dim=1)
    assert displaced(x, field).flatten().tolist() == pytest.approx([0.5, 2.5, 4.0], abs=1e-5)


def test_reading_is_that_of_scipy() -> None:
    """`scipy.ndimage.map_coordinates` of order 1 with repeated borders is the oracle, channel by channel, on a field
    of its own for every pixel: rows move by the first component, columns by the second, all channels alike."""
    x, field = noise(1, 3, 9, 13), 3 * noise(1, 2, 9, 13, seed=1)
    places = np.indices((9, 13)) + field[0].numpy()
    expected = [map_coordinates(channel.numpy(), places, order=1, mode="nearest") for channel in x[0]]
    torch.testing.assert_close(
        displaced(x, field)[0], torch.from_numpy(np.stack(expected)), atol=1e-4, rtol=0
    )


def test_outer_control_points_lie_on_the_corners() -> None:
    """On a 9×17 image the 5×5 points lie on every 2nd row and every 4th column, where bicubic interpolation keeps
    their values; float32."""
    points = noise(2, 2, POINTS, POINTS)
    torch.testing.assert_close(spread(points, 9, 17)[..., ::2, ::4], points, atol=1e-5, rtol=0)


@pytest.mark.costly
def test_displacements_have_the_standard_deviation_asked_for() -> None:
    """On ramps that count rows and columns, what is read is the place it was read at. At the centre of a 129×65
    image, a control point, it is normal around the centre with 2% of each side: 2.58 rows and 1.3 columns, 30 times
    less than the way to the border. The standard deviation of 800 draws is off by 1/√1600 = 2.5%, one sigma:
    10% are four."""
    n, height, width = 800, 129, 65
    rows = torch.arange(height).view(-1, 1).expand(height, width)
    columns = torch.arange(width).expand(height, width)
    x = torch.stack([rows, columns]).float().expand(n, -1, -1, -1)
    read = random_warp(x, 0.02, torch.Generator().manual_seed(0))[:, :, height // 2, width // 2]
    assert read[:, 0].std() == pytest.approx(0.02 * height, rel=0.1)
    assert read[:, 1].std() == pytest.approx(0.02 * width, rel=0.1)
    assert read[:, 0].mean() == pytest.approx(64, abs=4 * 0.02 * height / n**0.5)
    assert abs(torch.corrcoef(read.T)[0, 1]) < 4 / n**0.5


def test_a_seed_fixes_the_warp() -> None:
    """The same generator state gives the same bits, given or global; another seed and another image another warp."""
    x = noise(1, 3, 16, 16).expand(2, -1, -1, -1)
    first, again, other = (random_warp(x, 0.05, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    torch.manual_seed(1)
    assert torch.equal(first, random_warp(x, 0.05))
    assert (first - other).abs().max() > 0.01
    assert (first[0] - first[1]).abs().max() > 0.01
