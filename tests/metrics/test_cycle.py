"""Cycle errors: the identity control in closed form, a model that hides everything, and what is missing."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import quantize, to_signed
from benchbench.core.protocols import Direction, ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.pairs.cycle import (
    CYCLE,
    CYCLE_EXACT,
    CYCLE_NOISE,
    NOISE,
    CycleGrowthNoise,
    CycleGrowthRounded,
    CycleMAE,
    IdentityMAE,
    add_noise,
    round_levels,
)
from benchbench.metrics.pairs.paired import mae
from benchbench.models.translation.translator import BOTH, Identity, TwoWay

SPEC = ImageSpec(16, 16, False, 0)


class Hiding(TwoWay):
    """Says nothing but mid-grey to the eye, and hides the whole image in a thousandth of the amplitude."""

    paired = False
    level = 1 / 255  # level 128

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        return self.level + x / 1000 if direction == "AtoB" else (x - self.level) * 1000


def errors(model: TwoWay, images: Tensor, direction: Direction = "AtoB") -> Evidence:
    """Cycle errors of each image, in the three ways of the module."""
    rng = ImageRng(0, range(len(images)))
    ways = {
        CYCLE: round_levels,
        CYCLE_EXACT: lambda x: x,
        CYCLE_NOISE: lambda x: round_levels(add_noise(x, rng)),
    }
    values = {name: mae(images, model.cycle(images, direction, way)) for name, way in ways.items()}
    return Evidence(pairs={"cycle": PairEvidence(values)})


def noise(n: int = 4) -> Tensor:
    return torch.randint(
        0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("direction", BOTH)
def test_identity_has_no_cycle_error(direction: Direction) -> None:
    """Closed form: what is not changed comes back exactly, and 8-bit images survive rounding to 8 bits exactly."""
    evidence = errors(Identity(Identity.Config(), SPEC), noise(), direction)
    assert CycleMAE().compute(evidence).value == 0
    assert CycleGrowthRounded().compute(evidence).value == 0


def test_identity_grows_by_the_rounded_noise() -> None:
    """Closed form: |round(σZ)| has the mean 2 Σ_{k ≥ 1} P(σZ > k − ½), in levels of 255, as long as nothing is clamped
    (level 128 is 64 standard deviations from either end). 64 images of 768 draws, each with a standard deviation of
    1.2 levels: a standard error of 0.0055 levels, and the tolerance is four of them."""
    grey = torch.full((64, 3, 16, 16), 128, dtype=torch.uint8)
    expected = 2 * sum(1 - NormalDist().cdf((k - 0.5) / NOISE) for k in range(1, 40)) / 255
    estimate = CycleGrowthNoise().compute(errors(Identity(Identity.Config(), SPEC), grey))
    assert estimate.value == pytest.approx(expected, abs=4 * 0.0055 / 255)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < expected < estimate.high


def test_what_is_hidden_is_lost_in_8_bits() -> None:
    """Closed form: in floats the model of `Hiding` gives everything back; rounded, the translation is level 128
    everywhere and 0 on [-1, 1] comes back, which is stored as level 128 (127.5 rounds to even). The error is then the
    distance of each intensity from 128/255, and all of it is growth. On the way back float32 keeps (x − 1/255) × 1000
    to about 1e-4, far below half a level: equality."""
    images = noise()
    evidence = errors(Hiding(Identity.Config(), SPEC), images)
    lost = float(((images.double() - 128) / 255).abs().mean())
    assert evidence.pairs["cycle"].of(CYCLE_EXACT).tolist() == [0.0] * 4
    assert CycleMAE().compute(evidence).value == pytest.approx(lost, rel=1e-12)
    assert CycleGrowthRounded().compute(evidence).value == pytest.approx(lost, rel=1e-12)
    assert (
        CycleGrowthNoise().compute(evidence).value > lost
    )  # the noise comes back a thousand times as strong


def test_growth_is_paired_and_may_be_negative() -> None:
    """By hand: differences 0.08 and 0.12 of two images have the mean 0.1 and s = 0.04/√2; t(0.975, 1) = 12.7062."""
    values = {CYCLE: [0.28, 0.42], CYCLE_EXACT: [0.2, 0.3], CYCLE_NOISE: [0.0, 0.1]}
    pairs = PairEvidence({name: torch.tensor(v, dtype=torch.float64) for name, v in values.items()})
    estimate = CycleGrowthRounded().compute(Evidence(pairs={"cycle": pairs}))
    assert estimate.value == pytest.approx(0.1)
    assert estimate.high == pytest.approx(0.1 + 12.7062 * 0.04 / math.sqrt(2) / math.sqrt(2), abs=1e-4)
    assert estimate.interval == "95% t over images"
    assert CycleGrowthNoise().compute(Evidence(pairs={"cycle": pairs})).value == pytest.approx(-0.2)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]))
def test_rounding_is_to_the_nearest_level(seed: int, channels: int) -> None:
    """Against the definition: no other of the 256 levels lies nearer (float32 leaves 1e-6 on ties), beyond the ends the
    end counts, and the result is exactly what storing the image and reading it again gives."""
    x = torch.randn(2, channels, 5, 7, generator=torch.Generator().manual_seed(seed))
    rounded = round_levels(x)
    levels = torch.arange(256, dtype=torch.float64) * 2 / 255 - 1
    nearest = (x.double().clamp(-1, 1)[..., None] - levels).abs().amin(-1)
    torch.testing.assert_close((rounded.double() - x.double().clamp(-1, 1)).abs(), nearest, atol=1e-6, rtol=0)
    assert torch.equal(quantize(rounded), quantize(x))
    assert torch.equal(rounded, to_signed(quantize(x), channels))
    assert rounded.shape == x.shape


def test_noise_is_two_levels_and_belongs_to_the_image() -> None:
    """2/255 of [-1, 1] is one level: the standard deviation over 49,152 draws is 2 of them, with a standard error of
    2/√(2 · 49,152) = 0.0064; four of those. Image 3 gets the same alone and in a batch."""
    x = torch.zeros(64, 3, 16, 16)
    y = add_noise(x, ImageRng(7, range(64)))
    assert float(y.std()) * 255 / 2 == pytest.approx(NOISE, abs=4 * 0.0064)
    assert torch.equal(y[3:4], add_noise(x[:1], ImageRng(7, [3])))


def test_not_a_number_has_no_level() -> None:
    """As `quantize`: a NaN pixel does not become black."""
    with pytest.raises(InputError, match="NaN"):
        round_levels(torch.full((1, 3, 2, 2), math.nan))


@pytest.mark.parametrize("metric", [CycleMAE(), IdentityMAE(), CycleGrowthRounded(), CycleGrowthNoise()])
def test_what_is_missing_is_said(metric: Any) -> None:
    """No pairs at all, and pairs of no image: a reason instead of a number."""
    with pytest.raises(MetricFailed, match=metric.name):
        metric.compute(Evidence())
    names = (CYCLE, CYCLE_EXACT, CYCLE_NOISE, "identity_mae")
    nothing = PairEvidence(dict.fromkeys(names, torch.zeros(0)))
    with pytest.raises(MetricFailed, match="no pairs of images"):
        metric.compute(Evidence(pairs={"cycle": nothing, "identity": nothing}))


def test_a_model_without_floats_on_the_way_has_no_growth() -> None:
    """Cycle errors through 8-bit images alone: there is nothing to compare them with, and the reason says so. A failure
    of the cycle is passed on."""
    some = PairEvidence({CYCLE: torch.zeros(3)})
    with pytest.raises(MetricFailed, match=r"cycle_growth_rounded needs .* there and back without rounding"):
        CycleGrowthRounded().compute(Evidence(pairs={"cycle": some}))
    failed = PairEvidence({CYCLE: torch.zeros(3)}, {CYCLE_EXACT: MetricFailed("out of memory")})
    with pytest.raises(MetricFailed, match="out of memory"):
        CycleGrowthRounded().compute(Evidence(pairs={"cycle": failed}))


def test_they_read_pairs_of_their_own() -> None:
    """An identity error is no comparison with the truth: each is shown the pairs of its role, and says so to whoever
    gathers them."""
    needs = [set(metric().needs) for metric in (CycleMAE, CycleGrowthNoise, CycleGrowthRounded, IdentityMAE)]
    assert needs == [{"cycle"}, {"cycle"}, {"cycle"}, {"identity"}]
    x = noise()
    assert torch.equal(IdentityMAE().of_pairs(x, x.flip(0)), mae(x, x.flip(0)))
