"""DiffAugment against loops over single images, and the ranges that its draws must fill."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.protocols import unchanged
from benchbench.training.step.diffaugment import (
    brightness,
    contrast,
    cutout,
    diffaugment,
    saturation,
    translate,
)


def images(n: int = 5, channels: int = 3, height: int = 6, width: int = 8, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_identity_at_zero() -> None:
    """No brightness added, factors of one, no shift and an empty box give the image back: exactly where nothing
    is computed, to float32 rounding (1e-6 of values up to 1) where a mean is taken off and added again."""
    x, zero, one = images(), torch.zeros(5, dtype=torch.int64), torch.ones(5)
    assert torch.equal(brightness(x, zero.float()), x)
    assert torch.equal(translate(x, zero, zero), x)
    assert torch.equal(cutout(x, zero, zero, 0, 0), x)
    torch.testing.assert_close(saturation(x, one), x, atol=1e-6, rtol=0)
    torch.testing.assert_close(contrast(x, one), x, atol=1e-6, rtol=0)
    assert diffaugment("") is unchanged


def test_grey_has_no_saturation() -> None:
    """One channel is its own mean, so 0·factor + x = x to the bit, whatever the factor."""
    x = images(channels=1)
    assert torch.equal(saturation(x, torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0])), x)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1, 6, 8), (3, 5, 7), (3, 8, 8)]))
def test_against_single_images(seed: int, shape: tuple[int, int, int]) -> None:
    """The oracle goes through the images and their pixels one by one, in Python floats; float32 rounding of
    values below 3 is below 1e-6, and shifts and boxes only copy, so they are exact."""
    channels, height, width = shape
    x = images(3, channels, height, width, seed)
    draw = torch.Generator().manual_seed(seed)
    amount = torch.rand(3, generator=draw)
    down, right = (torch.randint(-3, 4, (3,), generator=draw) for _ in range(2))
    top, left = (torch.randint(-2, 6, (3,), generator=draw) for _ in range(2))
    bright, saturated, contrasted = brightness(x, amount), saturation(x, amount), contrast(x, amount)
    moved, cut = translate(x, down, right), cutout(x, top, left, 3, 4)
    for i in range(3):
        a = float(amount[i])
        whole = float(x[i].double().mean())
        for row in range(height):
            for column in range(width):
                pixel = [float(x[i, c, row, column]) for c in range(channels)]
                grey = sum(pixel) / channels
                r, s = row - int(down[i]), column - int(right[i])
                inside = 0 <= r < height and 0 <= s < width
                t, u = int(top[i]), int(left[i])
                lost = t <= row < t + 3 and u <= column < u + 4
                for c in range(channels):
                    at = (i, c, row, column)
                    assert float(bright[at]) == pytest.approx(pixel[c] + a, abs=1e-6)
                    assert float(saturated[at]) == pytest.approx((pixel[c] - grey) * a + grey, abs=1e-6)
                    assert float(contrasted[at]) == pytest.approx((pixel[c] - whole) * a + whole, abs=1e-6)
                    assert float(moved[at]) == (float(x[i, c, r, s]) if inside else 0)
                    assert float(cut[at]) == (0 if lost else pixel[c])


def test_a_shift_pads_with_zeros() -> None:
    """One down, two to the left, written with slices."""
    x = images(1)
    moved = translate(x, torch.tensor([1]), torch.tensor([-2]))
    assert torch.equal(moved[:, :, 1:, :-2], x[:, :, :-1, 2:])
    assert moved[:, :, 0].abs().sum() == moved[:, :, :, -2:].abs().sum() == 0


def test_ranges_of_the_colours() -> None:
    """From 4,000 draws. A constant grey image has no saturation or contrast, so what moves it is brightness:
    uniform on [-1/2, 1/2). An image of one channel with values ±1 has mean b and spread 1 times the contrast,
    uniform on [1/2, 3/2). Extremes of 4,000 uniform draws are within 0.005 of the ends but for odds of 1e-8,
    means within 5/√(12·4000) = 0.023."""
    torch.manual_seed(0)
    color = diffaugment("color")
    flat = color(torch.zeros(4000, 3, 2, 2))
    shift = flat[:, 0, 0, 0]
    torch.testing.assert_close(flat, shift.view(-1, 1, 1, 1).expand_as(flat), atol=1e-6, rtol=0)
    checker = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).expand(4000, 1, 2, 2)
    made = color(checker)
    factor = (made[:, 0, 0, 0] - made[:, 0, 0, 1]) / 2
    for values, low, high in ((shift, -0.5, 0.5), (factor, 0.5, 1.5)):
        assert low - 1e-6 <= values.min() < low + 0.005
        assert high - 0.005 < values.max() <= high + 1e-6
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.023)


def test_saturation_ranges_over_zero_to_two() -> None:
    """Colours (1, 0, -1) keep their mean under brightness, and contrast stretches them together with the rest of
    the image; against the image's grey half the ratio of channel spread is saturation alone, [0, 2)."""
    torch.manual_seed(0)
    x = torch.zeros(4000, 3, 2, 2)
    x[:, 0, 0], x[:, 2, 0] = 1, -1  # the upper row has colour
    x[:, :, 1, 0], x[:, :, 1, 1] = 1, -1  # the lower has light and dark
    made = diffaugment("color")(x)
    factor = (made[:, 0, 0, 0] - made[:, 2, 0, 0]) / (made[:, 0, 1, 0] - made[:, 0, 1, 1])
    assert -1e-5 <= factor.min() < 0.01
    assert 1.99 < factor.max() <= 2 + 1e-5


def test_translation_is_an_eighth() -> None:
    """On 16×8, ones for pixels: an image loses |down| rows and |right| columns, at most 2 and 1, all of the
    5·3 shifts occurring in 600 draws but for odds of 15·(14/15)^600 < 1e-16."""
    torch.manual_seed(0)
    made = diffaugment("translation")(torch.ones(600, 1, 16, 8))
    lost_rows = [(int((image[0].sum(1) == 0).sum()), int(image[0].sum(1)[0] == 0)) for image in made]
    assert {rows for rows, _ in lost_rows} == {0, 1, 2}
    assert {first for rows, first in lost_rows if rows} == {0, 1}  # both upwards and downwards
    assert {int((image[0].sum(0) == 0).sum()) for image in made} == {0, 1}


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 6)])
def test_share_that_cutout_takes(height: int, width: int) -> None:
    """Closed form, as the paper's code draws it: a box of s = ⌊h/2 + ½⌋ whose corner is uniform on
    {-⌊s/2⌋, …, h - s mod 2 - ⌊s/2⌋} hides on average mean(overlap) rows, columns likewise and independently.
    The share's spread is below 0.1, so with 40,000 draws five standard errors are 0.0025; a corner that is one
    pixel off would show as 0.005."""

    def hidden(side: int) -> float:
        size = int(side / 2 + 0.5)
        starts = range(-(size // 2), side - size % 2 - size // 2 + 1)
        return sum(min(side, start + size) - max(0, start) for start in starts) / len(starts) / side

    torch.manual_seed(0)
    made = diffaugment("cutout")(torch.ones(40_000, 2, height, width))
    assert float((made == 0).float().mean()) == pytest.approx(hidden(height) * hidden(width), abs=0.0025)
    assert torch.equal(made[:, 0], made[:, 1])
    largest = int(height / 2 + 0.5) * int(width / 2 + 0.5)
    assert int((made[:, 0] == 0).flatten(1).sum(1).max()) == largest


def test_gradients_flow() -> None:
    """Through all three policies at once: a generator must feel its discriminator. For given draws the map is
    affine in x, half its squared length a quadratic, whose central difference along a random direction is exact
    but for cancellation: 1e-16·10² / 1e-4 = 1e-10 in float64, 1e-6 leaves room. A pixel that was shifted out
    gets nothing."""
    augment = diffaugment("color,translation,cutout")
    x = images().double().requires_grad_()
    step = images(seed=1).double()

    def at(y: Tensor) -> Tensor:
        torch.manual_seed(3)
        return augment(y).square().sum() / 2

    (gradient,) = torch.autograd.grad(at(x), x)
    with torch.no_grad():
        difference = (at(x + 1e-4 * step) - at(x - 1e-4 * step)) / 2e-4
    assert float((gradient * step).sum()) == pytest.approx(float(difference), rel=1e-6)
    (alone,) = torch.autograd.grad(translate(x, torch.full((5,), 2), torch.zeros(5).long()).sum(), x)
    assert alone[:, :, -2:].abs().sum() == 0
    assert (alone[:, :, :-2] == 1).all()


def test_every_call_and_image_draws_anew() -> None:
    """Real and generated images must not share their draws; the generator's state decides all of it."""
    augment = diffaugment("color, translation,cutout")
    x = images(1).expand(4, -1, -1, -1)
    torch.manual_seed(0)
    first, second = augment(x), augment(x)
    assert first.shape == x.shape
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(0)
    assert torch.equal(augment(x), first)


@pytest.mark.parametrize("policy", ["colour", "color,colour", "color;cutout"])
def test_unknown_names(policy: str) -> None:
    """The sentence has all known ones."""
    with pytest.raises(InputError, match=r"unknown augmentation .* Known: color, cutout, translation"):
        diffaugment(policy)
