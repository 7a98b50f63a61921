"""Pose error: closed forms of lines, another implementation, colour against place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.metrics.pairs.pose import PoseError, chamfer_distance, edges, pose_error

LIGHT, DARK = (250, 220, 190), (95, 60, 40)


def figure(skin: tuple[int, int, int], shift: int = 0, size: int = 32) -> Tensor:
    """A face drawn in black outlines on white at 8 times the size, as emoji are: uint8 1×3×size×size."""
    big = Image.new("RGB", (8 * size, 8 * size), "white")
    draw = ImageDraw.Draw(big)
    at, k = 8 * shift, size / 32

    def circle(x: float, y: float, r: float, **colours: Any) -> None:
        box = [8 * k * (x - r) + at, 8 * k * (y - r), 8 * k * (x + r) + at, 8 * k * (y + r)]
        draw.ellipse(box, width=int(8 * k), **colours)

    circle(15, 16, 10, fill=skin, outline="black")
    circle(12, 13, 1.5, fill="black")
    circle(18, 13, 1.5, fill="black")
    draw.line([8 * k * 11 + at, 8 * k * 20, 8 * k * 19 + at, 8 * k * 20], fill="black", width=int(8 * k))
    small = np.asarray(big.resize((size, size), Image.Resampling.BOX))
    return torch.from_numpy(small.copy()).permute(2, 0, 1)[None]


def border(at: int, size: int = 32) -> Tensor:
    """Black left of column `at`, white right of it, mid-grey between: its edge is that one column."""
    images = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    images[..., at] = 128
    images[..., at + 1 :] = 255
    return images


@pytest.mark.parametrize("d", [0, 1, 3, 8])
def test_a_shifted_line_is_as_far_as_it_was_shifted(d: int) -> None:
    """Closed form: the nearest point of a straight line to one parallel to it is straight across."""
    assert pose_error(border(10), border(10 + d)).item() == d
    assert pose_error(border(10).transpose(2, 3), border(10 + d).transpose(2, 3)).item() == d


def test_both_ways_count() -> None:
    """By hand: from the one pixel of a to b it is 0, from the two of b to a 0 and 4, mean 2: half of it is 1."""
    a, b = np.zeros((2, 5, 9), bool)
    a[2, 2] = b[2, 2] = b[2, 6] = True
    assert chamfer_distance(a, b) == chamfer_distance(b, a) == 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.floats(0.02, 0.5))
def test_distance_is_that_of_all_pairs(seed: int, share: float) -> None:
    """Another implementation: every distance between two edge pixels, the least of each row and of each column. Roots
    of the same integers on both sides, summed in another order: 1e-12."""
    a, b = np.random.default_rng(seed).random((2, 11, 8)) < share
    a[3, 4] = b[7, 1] = True
    between = cdist(np.argwhere(a), np.argwhere(b))
    expected = (between.min(0).mean() + between.min(1).mean()) / 2
    assert chamfer_distance(a, b) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_it_is_a_symmetric_distance_of_each_image(seed: int) -> None:
    """0 for equal images, the same either way round, and no image's value depends on its batch: the same numbers from
    the same pixels, hence equality. It is float64."""
    images = torch.randint(
        0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    x, y = images.split(3)
    together = pose_error(x, y)
    assert pose_error(x, x).tolist() == [0.0] * 3
    torch.testing.assert_close(pose_error(y, x), together, rtol=0, atol=1e-12)  # a sum in another order
    assert torch.equal(torch.cat([pose_error(x[i : i + 1], y[i : i + 1]) for i in range(3)]), together)
    assert together.dtype == torch.float64


@pytest.mark.parametrize("size", [32, 64])
def test_place_counts_and_colour_does_not(size: int) -> None:
    """The property it is for: the same face in another skin is less than half as far off as the same face a tenth of
    the picture aside. It is not 0: a dark fill beside a black line has a weaker edge there."""
    here = figure(LIGHT, size=size)
    recoloured = pose_error(figure(DARK, size=size), here).item()
    shifted = pose_error(figure(LIGHT, shift=size // 10, size=size), here).item()
    assert recoloured < shifted / 2
    assert pose_error(figure(DARK, shift=size // 10, size=size), here).item() > 1.5 * recoloured


@pytest.mark.parametrize(("low", "high"), [(100, 151), (0, 255), (30, 81)])
def test_contrast_does_not_count(low: int, high: int) -> None:
    """Edges are of luma stretched to its own range: two grey levels for black and white, a fifth of the range apart
    (51 levels) or more, give the same edges to the pixel. Grey levels are integers, so the image is two-coloured."""
    mask = figure(LIGHT)[:, :1].expand(1, 3, 32, 32) > 127
    grey = torch.where(mask, high, low).to(torch.uint8)
    black = torch.where(mask, 255, 0).to(torch.uint8)
    assert edges(black).any()
    assert np.array_equal(edges(grey), edges(black))


def test_rounding_noise_is_no_edge() -> None:
    """A blank image that is one level off here and there has no edges; stretched to the full range it would be
    covered with them, and lie near every truth."""
    nearly = torch.randint(
        200, 202, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    assert not edges(nearly).any()


def test_nothing_drawn_is_as_wrong_as_can_be() -> None:
    """By definition: the image's diagonal where one has edges and the other none, 0 where neither has."""
    blank = torch.full((1, 3, 24, 32), 255, dtype=torch.uint8)
    drawn = figure(LIGHT)[:, :, :24]
    assert pose_error(blank, drawn).item() == pose_error(drawn, blank).item() == math.hypot(24, 32)
    assert pose_error(blank, blank - 40).item() == 0


def test_images_that_are_no_pairs() -> None:
    """Another size, floats and grey planes are each refused with what they are."""
    x = figure(LIGHT)
    with pytest.raises(InputError, match="1×3×32×32 and 1×3×16×32"):
        pose_error(x, x[:, :, :16])
    with pytest.raises(InputError, match="uint8"):
        pose_error(x.float(), x)
    with pytest.raises(InputError, match="RGB"):
        pose_error(x, x[:, :1])


def test_the_metric_is_shown_pairs_with_the_truth() -> None:
    """It is one of the numbers on pairs; a border that is cut takes the edges there with it."""
    x, y = figure(LIGHT), figure(LIGHT, shift=2)
    metric = PoseError(crop_border=4)
    assert metric.needs == {"truth"}
    assert metric.name == "pose_error_crop4"
    cut = (slice(None), slice(None), slice(4, 28), slice(4, 28))
    assert torch.equal(metric.of_pairs(x, y), pose_error(x[cut], y[cut]))
