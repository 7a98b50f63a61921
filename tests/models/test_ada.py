"""Adaptive augmentation: what each operation does to pixels, how often it is done, how the probability moves."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.models.gan.ada import AdaptiveAugmentation, coloured, hue_rotation, moved, warped


def pictures(n: int, channels: int = 3, height: int = 8, width: int = 8, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def of(rows: list[list[float]]) -> Tensor:
    return torch.tensor([rows])


def test_at_probability_0_nothing_is_done() -> None:
    """Bit for bit."""
    x = pictures(5)
    assert torch.equal(AdaptiveAugmentation(0.6, 100)(x), x)


def test_geometry_by_hand() -> None:
    """x to -x mirrors; a quarter turn is `torch.rot90`; two pixels to the right take what is two pixels to the left,
    and the border's mirror beyond it; half a pixel is the mean of two. Interpolation at pixel centres up to float32
    rounding of places: 1e-5."""
    x = pictures(1, height=6, width=6)
    close = {"atol": 1e-5, "rtol": 0}
    flip = of([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(warped(x, flip), x.flip(3), **close)
    turn = of([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # what is seen at (x, y) comes from (-y, x)
    torch.testing.assert_close(warped(x, turn), torch.rot90(x, 1, (2, 3)), **close)
    right = of([[1.0, 0, -2], [0, 1, 0], [0, 0, 1]])
    expected = torch.cat([x[..., :2].flip(3), x[..., :4]], 3)
    torch.testing.assert_close(warped(x, right), expected, **close)
    half = of([[1.0, 0, -0.5], [0, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(warped(x, half)[..., 1:], (x[..., 1:] + x[..., :-1]) / 2, **close)


def test_of_unequal_sides() -> None:
    """Places are counted in pixels from the centre, so a mirror stays one whatever the sides; float32 rounding."""
    x = pictures(1, height=5, width=8)
    down = of([[1.0, 0, 0], [0, -1, 0], [0, 0, 1]])
    torch.testing.assert_close(warped(x, down), x.flip(2), atol=1e-5, rtol=0)


@settings(max_examples=15, deadline=None)
@given(st.floats(-math.pi, math.pi))
def test_hue_turns_around_grey(angle: float) -> None:
    """Greys stay, lengths stay, the angle of what is at right angles to grey is the one that was asked for; a third
    of a turn takes red to green. float32: 1e-5."""
    turn = hue_rotation(torch.tensor([angle]))[0]
    torch.testing.assert_close(turn @ torch.ones(4), torch.ones(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(turn @ turn.T, torch.eye(4), atol=1e-5, rtol=0)
    chroma = torch.tensor([1.0, -1, 0, 0]) / math.sqrt(2)
    assert (chroma @ turn @ chroma).item() == pytest.approx(math.cos(angle), abs=1e-5)
    third = hue_rotation(torch.tensor([2 * math.pi / 3]))[0]
    torch.testing.assert_close(third[:3, 0], torch.tensor([0.0, 1, 0]), atol=1e-5, rtol=0)


def test_how_often_images_are_changed() -> None:
    """Appendix B at p = 0.1. A flip leaves half of those it is drawn for, a quarter turn one in four, a shift of 8
    pixels by round(U[-1, 1]) pixels each way one in four; the two rotations leave (√(1 - p))² together; so images
    stay with probability (1 - p/2)(1 - ¾p)²(1 - p)⁴, and colours with (1 - p)⁴ (1 - p/2). 4,000 images: 5 standard
    errors of 0.008. An identity that was drawn is a warp to the same places, 1e-4 off at most."""
    torch.manual_seed(0)
    x, p = pictures(4000), torch.tensor(0.1)

    def kept(y: Tensor) -> float:
        return float(((y - x).abs().amax((1, 2, 3)) < 1e-4).float().mean())

    assert kept(moved(x, p)) == pytest.approx((1 - 0.05) * (1 - 0.075) ** 2 * 0.9**4, abs=0.04)
    assert kept(coloured(x, p)) == pytest.approx(0.9**4 * (1 - 0.05), abs=0.04)


def test_moments_of_the_colours() -> None:
    """At p = 1 black-to-white images become s(±x) + b in luma, with log2 s ~ N(0, ½²), b ~ N(0, 0.2²), ± even: E = 0
    and E[y²] = x² E[s²] + E[b²s²], b before s as brightness comes first: (1 + 0.04) exp(2 (½ ln 2)²) = 1.3226 for x =
    1. The standard deviation of y² over s is about 1.6; 20,000 images: 5 standard errors of 0.012. Grey stays grey:
    hue and saturation leave the axis."""
    torch.manual_seed(0)
    made = coloured(torch.ones(20_000, 1, 1, 1), torch.tensor(1.0)).flatten()
    assert made.square().mean().item() == pytest.approx(
        1.04 * math.exp(2 * (0.5 * math.log(2)) ** 2), abs=0.06
    )
    assert made.mean().item() == pytest.approx(0, abs=5 * 1.15 / math.sqrt(20_000))
    grey = coloured(torch.full((50, 3, 2, 2), 0.5), torch.tensor(1.0))
    torch.testing.assert_close(grey, grey[:, :1].expand_as(grey), atol=1e-4, rtol=1e-4)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        colour = coloured(pictures(3, 1).expand(-1, 3, -1, -1), torch.tensor(1.0))
        torch.manual_seed(4)
        torch.testing.assert_close(
            coloured(pictures(3, 1), torch.tensor(1.0)), colour[:, :1], atol=1e-4, rtol=1e-4
        )


def test_gradients_come_through() -> None:
    """To every image: the generator learns through what the discriminator sees."""
    torch.manual_seed(0)
    augmentation, x = AdaptiveAugmentation(0.6, 100), pictures(6).requires_grad_()
    augmentation.p.fill_(0.8)
    augmentation(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.flatten(1).any(1).all()


def test_pixels_keep_their_places_under_autocast() -> None:
    """The same draws with and without bfloat16 around them give the same images, bit for bit."""
    augmentation, x = AdaptiveAugmentation(0.6, 100), pictures(6)
    augmentation.p.fill_(1)
    torch.manual_seed(0)
    expected = augmentation(x)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augmentation(x), expected)


def test_the_probability_follows_the_signs() -> None:
    """Equation 1: three of four positive scores are r = ½, below the target of 0.6: p falls, but not under 0. Five of
    six are ⅔, above it: p rises by 6 of 100 images. Each change forgets what was seen; nothing seen changes
    nothing."""
    ada = AdaptiveAugmentation(0.6, 100)
    ada.observe(torch.tensor([3.0, 0.1, 2.0, -1.0]))
    assert ada.overfitting.item() == 0.5
    ada.adjust()
    assert (ada.p.item(), ada.seen.item()) == (0, 0)
    for _ in range(2):
        ada.observe(torch.tensor([3.0, 0.1, 2.0, 1, 5, -1.0]))
        ada.adjust()
    assert ada.p.item() == pytest.approx(0.12, abs=1e-6)
    ada.adjust()
    assert ada.p.item() == pytest.approx(0.12, abs=1e-6)
    ada.observe(-torch.ones(4))
    ada.adjust()
    assert ada.p.item() == pytest.approx(0.08, abs=1e-6)
    for _ in range(3):
        ada.observe(torch.ones(60))
        ada.adjust()
    assert ada.p.item() == 1
