"""The judges of the Gaussians: the planted point comes back, and what is no dot counts for no mode."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.data.builtin.points import GRID25, RING8, Grid25, Layout, Ring8, draw_dots
from benchbench.features.networks.points import ModesGrid25, ModesRing8

WITHIN = -4.5  # 3²/2
RING = ModesRing8()
MIDDLE = torch.tensor([[15.5, 25.5]])  # (row, column) of mode 0 of the ring, (1, 0): 10 pixels to the right


def largest(images: Tensor) -> Tensor:
    """The largest logit of each image under the judge of the ring."""
    logits = RING(images).logits
    assert logits is not None
    return logits.amax(dim=1)


def dot(level: float = 255, width: float = 1.2, background: float = 0) -> Tensor:
    """One dot on mode 0 by its formula, 32×32, on an even background."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    squares = (rows - 15.5) ** 2 + (columns - 25.5) ** 2
    grey = (background + level * torch.exp(-squares / (2 * width**2))).round().clamp(0, 255)
    return grey.to(torch.uint8).expand(1, 3, 32, 32)


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from([RING8, GRID25]),
    size=st.sampled_from([24, 32, 64]),
    x=st.floats(-1.1, 1.1),
    y=st.floats(-1.1, 1.1),
)
def test_the_planted_point_comes_back(layout: Layout, size: int, x: float, y: float) -> None:
    """Rounding to levels moves a centroid by 0.002 pixels at 32×32 and 0.004 at 24×24 (see the dataset's test), and
    under a window that weighs the centre more it does so by less than twice as much: 0.02 covers both. logits are
    −d²/2σ² of the point found, in float32."""
    point = torch.tensor([[x, y]], dtype=torch.float64) * 10 / layout.unit
    judge = RING if layout is RING8 else ModesGrid25()
    seen = judge(draw_dots(layout.to_pixels(point, size), size))
    unit = layout.unit * size / 32
    torch.testing.assert_close(seen.features[:, :2].double(), point, rtol=0, atol=0.02 / unit)
    squares = (seen.features[:, :2] - torch.tensor(layout.centres)).square().sum(1)
    assert seen.logits is not None
    torch.testing.assert_close(seen.logits[0], -squares / (2 * layout.sigma**2), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("source", "judge"), [(Ring8, ModesRing8), (Grid25, ModesGrid25)])
def test_real_images(source: type[Ring8 | Grid25], judge: type[ModesRing8 | ModesGrid25]) -> None:
    """A point of a round Gaussian in the plane lies within 3σ with probability 1 − exp(−4.5) = 98.89%; of 5,000 that
    share has a standard deviation of 0.15%, and four of them are let pass. Modes are 20σ apart and more, so the
    largest logit names the mode of every image."""
    held_out = source().load().held_out
    logits = torch.cat(
        [seen for part in held_out.images.split(256) if (seen := judge()(part).logits) is not None]
    )
    share, expected = float((logits.amax(1) >= WITHIN).double().mean()), 1 - math.exp(WITHIN)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 5000)
    assert torch.equal(logits.argmax(1), held_out.labels)


@pytest.mark.parametrize("size", [24, 32, 128])
def test_what_shows_no_dot(size: int) -> None:
    """None of these is a point on the plane, so no image is within three standard deviations of a mode: blank, white
    and grey images, noise, two dots on two modes, all eight, the mean of the data (what blurs all modes into one),
    a line through a mode, a dot in one colour only. Numbers stay finite."""
    dots = draw_dots(RING8.to_pixels(torch.tensor(RING8.centres), size), size)
    noise = torch.randint(
        0, 256, (3, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    line = dots[0].clone()
    line[:, size // 2] = 255
    red = dots[0].clone()
    red[1:] = 0
    flat = [torch.full((3, size, size), level, dtype=torch.uint8) for level in (0, 1, 128, 255)]
    none = [
        *flat,
        *noise,
        dots[0] | dots[3],
        dots[0] | dots[1],
        dots.amax(0),
        dots.float().mean(0).byte(),
        line,
        red,
    ]
    seen = RING(torch.stack(none))
    assert seen.logits is not None
    assert torch.isfinite(seen.features).all()
    assert torch.isfinite(seen.logits).all()
    assert (seen.logits.amax(1) < -1e5).all()
    assert (largest(dots) >= WITHIN).all()


@pytest.mark.parametrize(
    ("image", "counts"),
    [
        (dot(level=0.52 * 255), True),
        (dot(level=0.48 * 255), False),
        (dot(width=1.2 * 1.33), True),
        (dot(width=1.2 * 1.40), False),
        (dot(width=1.2 * 0.68), True),
        (dot(width=1.2 * 0.60), False),
        (dot(level=247, background=8), True),
        (dot(level=246, background=9), False),
    ],
)
def test_how_far_from_ideal_a_dot_may_be(image: Tensor, counts: bool) -> None:
    """Closed form, relative distance to the ideal dot, at most ½: 1 − a for a dot of a times its brightness;
    √(1 + s² − 4s²/(1 + s²)) for one s times as wide: 0.465 (1.33), 0.558 (1.40), 0.448 (0.68), 0.559 (0.60); for a
    background b, √(1024 b² + …)/542 where the dot lies b lower: 0.46 (8), 0.52 (9). Its centre is still found."""
    assert bool(largest(image) >= WITHIN) is counts
    torch.testing.assert_close(
        RING(image).features[:, :2], torch.tensor([[1.0, 0.0]]), rtol=0, atol=0.02 / 10
    )


def test_noise_on_top() -> None:
    """What a generator leaves around its dot, here uniform noise of up to 10 levels: its mean of 5 levels and spread
    of 3 are √(25 + 9) · 32 / 542 = 0.34 of the dot, below ½. Under the window noise of 3 levels in some 10 pixels
    moves the centre by about 2 · 3 · √10 · 0.85 / 1150 = 0.014 pixels; 0.1 is far from it, and from 0.75, 3σ."""
    noise = torch.randint(0, 11, (50, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    images = (dot().long() + noise).clamp(max=255).to(torch.uint8)
    seen = RING(images)
    assert (largest(images) >= WITHIN).all()
    torch.testing.assert_close(
        seen.features[:, :2], torch.tensor([[1.0, 0.0]]).expand(50, 2), rtol=0, atol=0.1 / 10
    )


@pytest.mark.parametrize("shape", [(2, 3, 32, 31), (2, 3, 16, 16), (1, 3, 129, 129)])
def test_images_it_cannot_read(shape: tuple[int, ...]) -> None:
    """One sentence with what it reads and what it got."""
    with pytest.raises(
        MetricFailed, match="modes_ring8 finds dots in square images of 24 to 128 pixels; these are"
    ):
        RING(torch.zeros(shape, dtype=torch.uint8))


def test_identity() -> None:
    """Frozen when the judges were written: the digest of their constants stands where a network has its weights'."""
    described = RING.describe()
    assert described["weights_source"] == "closed form, no weights"
    assert (described["resize"], described["precision"]) == ("none", "float32")
    assert described["weights_sha256"] == "cae858ce9b4c9f93f43db3a6a37c2c15dda0556bd4818b1ef822ea8bb3e3be43"
    assert ModesGrid25().weights_sha256 == "c86fc5a1f985c6efec1ad20dc64e12fea6f8652f90d17d21b3562bca3aa92001"


@pytest.mark.parametrize(("source", "judge"), [(Ring8, ModesRing8), (Grid25, ModesGrid25)])
def test_what_is_no_dot_is_far_from_real_points(
    source: type[Ring8 | Grid25], judge: type[ModesRing8 | ModesGrid25]
) -> None:
    """The third coordinate: noise has its brightest spot anywhere, among the real points too, and still no real image
    is nearer to it than neighbouring modes are to each other; of real images, which differ from the ideal dot by
    rounding alone (at most half a level in 3·32² values, against a norm of a dot of over 900), it is below a tenth
    of that."""
    real = judge()(source().load().train.images[:500]).features
    layout = judge.layout
    spacing = float(torch.nn.functional.pdist(torch.tensor(layout.centres)).min())
    noise = judge()(
        torch.randint(0, 256, (50, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    )
    assert float(torch.cdist(noise.features, real).min()) > 0.9 * spacing
    assert float(real[:, 2].max()) < 0.1 * spacing
    blank = judge()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).features
    assert float(torch.cdist(blank, real).min()) > 0.9 * spacing
