"""VIF, GMSD and FSIM: what they say of equal, flat and unrelated images, and of which images they say nothing. What
they compute is held to others in tests/parity."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.pairs.fsim import FSIM, fsim
from benchbench.metrics.pairs.gmsd import GMSD, gmsd
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.metrics.pairs.vif import VIF, vif

ALL = (vif, gmsd, fsim)
CLASSES: dict[Callable[..., Tensor], type[PairedMetric]] = {vif: VIF, gmsd: GMSD, fsim: FSIM}


def shades(seed: int, n: int = 3, height: int = 48, width: int = 61) -> Tensor:
    """Smooth colours with some grain, as photographs have, uint8."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 9, 9, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (smooth * 200 + 40 * torch.rand(n, 3, height, width, generator=rng)).to(torch.uint8)


def flat(level: int, size: int = 48) -> Tensor:
    return torch.full((2, 3, size, size), level, dtype=torch.uint8)


def test_equal_images_have_the_best_value() -> None:
    """GMSD and FSIM are exact, by definition; VIF has the script's 1e-10 beside a variance, which leaves 1e-9 of it."""
    x = shades(0)
    assert gmsd(x, x).tolist() == [0.0] * 3
    assert fsim(x, x).tolist() == [1.0] * 3
    torch.testing.assert_close(vif(x, x), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("metric", "sign"), [(vif, -1), (gmsd, 1), (fsim, -1)])
def test_more_noise_is_worse(metric: Callable[..., Tensor], sign: int) -> None:
    """Noise of 0, 4, 8, 16 and 32 levels, the same noise made larger: each image is worse at each step."""
    x = shades(0)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.stack([metric(x + sigma * noise, x, levels=True) for sigma in (0, 4, 8, 16, 32)])
    assert (found.diff(dim=0) * sign > 0).all()


def test_vif_of_another_contrast() -> None:
    """Closed form in each window, where an output is a times the original and its noise 0: log(1 + a² v/2) against
    log(1 + v/2), which for a < 1 lies between a² and 1 and for a > 1 between 1 and a². A constant changes nothing. An
    original without contrast leaves nothing to ask for, and an output without any tells nothing."""
    x = shades(0).double()
    less, more, brighter = (vif(x * a + b, x, levels=True) for a, b in ((0.5, 0), (1.5, 0), (1, 20)))
    assert ((less > 0.25) & (less < 1)).all()
    assert ((more > 1) & (more < 2.25)).all()
    torch.testing.assert_close(brighter, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert vif(flat(90), flat(30)).isnan().all()
    assert vif(flat(90), shades(0, 2, 48, 48)).tolist() == [0, 0]
    assert (vif(x, shades(1), levels=True) < 0.1).all()


def test_gmsd_of_an_edge_and_of_none() -> None:
    """Closed form: between two flat images the interior has no gradient on either side, so that GMS is 1 but for the
    border, where the black beyond makes one: the ring of an n×n map is 4(n − 1) positions. At an edge of it
    Prewitt's length is the level L itself, at a corner √2 · 2/3 of it."""
    a, b, n = 60.0, 120.0, 24

    def gms(factor: float) -> float:
        return (2 * a * b * factor**2 + 170) / ((a**2 + b**2) * factor**2 + 170)

    ring, corners = gms(1), gms(math.sqrt(2) * 2 / 3)
    values = torch.tensor([1.0] * (n - 2) ** 2 + [ring] * 4 * (n - 2) + [corners] * 4, dtype=torch.float64)
    found = gmsd(flat(60), flat(120))
    torch.testing.assert_close(found, values.std(correction=0).expand(2), rtol=1e-10, atol=0)


def test_fsim_needs_a_line_or_an_edge() -> None:
    """Two flat images have no phase to be congruent anywhere: no pixel counts, and there is no number."""
    assert fsim(flat(60), flat(120)).isnan().all()
    x = shades(0, 2, 48, 48)
    assert ((fsim(x, flat(60)) >= 0) & (fsim(x, flat(60)) < 0.9)).all()


@pytest.mark.parametrize("metric", [gmsd, fsim])
def test_symmetry(metric: Callable[..., Tensor]) -> None:
    """Both are symmetric in their arguments, to the rounding of sums."""
    x, y = shades(0), shades(1)
    torch.testing.assert_close(metric(x, y), metric(y, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", ALL)
def test_a_turn_changes_little(metric: Callable[..., Tensor]) -> None:
    """A transposed pair has the same windows, gradients and orientations: 1e-9 is rounding."""
    x, y = shades(0, height=49, width=49), shades(1, height=49, width=49)
    torch.testing.assert_close(metric(x.mT, y.mT), metric(x, y), rtol=0, atol=1e-9)


@pytest.mark.parametrize("metric", ALL)
def test_the_batch_does_not_matter(metric: Callable[..., Tensor]) -> None:
    """An image's value is its own: alone, in a batch, in another order. 1e-12 is the order of sums."""
    x, y = shades(0, n=7), shades(1, n=7)
    together = metric(x, y)
    alone = torch.cat([metric(x[i : i + 1], y[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    assert together.dtype == torch.float64


@pytest.mark.parametrize("metric", ALL)
def test_grey_images_and_levels(metric: Callable[..., Tensor]) -> None:
    """R = G = B and one channel are one image, as the weights of the luma sum to 1 to rounding; whole levels are the
    image; levels have to be said."""
    x, y = (shades(seed)[:, :1] for seed in (0, 1))
    torch.testing.assert_close(
        metric(x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1)), metric(x, y), rtol=0, atol=1e-10
    )
    assert torch.equal(metric(x.float(), y, levels=True), metric(x, y))
    with pytest.raises(InputError, match="must be uint8"):
        metric(x.float(), y)


@pytest.mark.parametrize(("metric", "least"), [(vif, 41), (gmsd, 6), (fsim, 12)])
def test_images_that_are_too_small(metric: Callable[..., Tensor], least: int) -> None:
    """One pixel fewer is refused in a sentence with the size, the least one is not; the class says the same size."""
    x, y = shades(0, 1, least, 64), shades(1, 1, least, 64)
    assert torch.isfinite(metric(x, y)).all()
    with pytest.raises(MetricFailed, match=rf"at least {least}×{least} but has {least - 1}×64"):
        metric(x[:, :, 1:], y[:, :, 1:])
    assert CLASSES[metric].smallest == least


@pytest.mark.parametrize("metric", ALL)
def test_what_are_no_pairs(metric: Callable[..., Tensor]) -> None:
    """Another size, another number of images, none at all, and a level that is not a number."""
    x = shades(0)
    broken = x.double()
    broken[0, 0, 0, 0] = math.nan
    for a, b in ((x, x[:2]), (x, x[..., 1:]), (x[:0], x[:0]), (x[0], x[0])):
        with pytest.raises(InputError):
            metric(a, b)
    with pytest.raises(InputError, match="not finite"):
        metric(broken, x, levels=True)


@pytest.mark.parametrize("metric", ALL)
def test_the_class_streams_pairs_through_its_function(metric: Callable[..., Tensor]) -> None:
    """The mean of the function's values, within the range that the class declares, from levels as from images."""
    x, y, own = shades(0), shades(1), CLASSES[metric]()
    reader = PairReader({own.name: own.of_pairs})
    reader.update(x, y)
    assert own.compute(Evidence(pairs={"truth": reader.compute()})).value == pytest.approx(
        float(metric(x, y).mean()), rel=1e-12
    )
    reader = PairReader({own.name: own.of_pairs})
    reader.update(x.double() + 0.25, y)
    assert reader.compute().of(own.name).tolist() == metric(x.double() + 0.25, y, levels=True).tolist()


@pytest.mark.parametrize(
    ("metric", "words"), [(vif, "originals are flat"), (fsim, "neither image has a line")]
)
def test_pairs_without_a_number_fail_and_say_why(metric: Callable[..., Tensor], words: str) -> None:
    """NaN is never averaged: the sentence counts the pairs and says what they lack."""
    own = CLASSES[metric]()
    reader = PairReader({own.name: own.of_pairs})
    reader.update(flat(10), flat(10))
    with pytest.raises(MetricFailed, match=rf"2 of 2 pairs have no finite {own.name}.*{words}"):
        own.compute(Evidence(pairs={"truth": reader.compute()}))
