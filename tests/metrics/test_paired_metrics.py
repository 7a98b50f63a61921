"""Paired metrics: closed forms, invariances, and every way of asking wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.colour import luma
from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.pairs.paired import (
    MAE,
    MSE,
    MSSSIM,
    PSNR,
    PSNRY,
    SSIM,
    SSIMY,
    PairedMetric,
    PairReader,
    mae,
    ms_ssim,
    mse,
    psnr,
    ssim,
)

ALL = (ssim, psnr, mse, mae)


def flat(level: int, n: int = 1, size: int = 16) -> Tensor:
    return torch.full((n, 3, size, size), level, dtype=torch.uint8)


def noise(seed: int, n: int = 3, size: int = 20) -> Tensor:
    return torch.randint(
        0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 255), st.integers(0, 255))
def test_constant_images(a: int, b: int) -> None:
    """Closed form: without variance SSIM is its luminance term, (2ab + C1)/(a² + b² + C1) with C1 = 2.55²;
    MSE is ((a − b)/255)², MAE its root. Float64 rounding of sums near 65,025 against C2 = 58.5 leaves 1e-12.
    """
    x, y = flat(a), flat(b)
    c1 = 2.55**2
    assert ssim(x, y).item() == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), abs=1e-11)
    assert mse(x, y).item() == pytest.approx(((a - b) / 255) ** 2, rel=1e-12)
    assert mae(x, y).item() == pytest.approx(abs(a - b) / 255, rel=1e-12)


def test_psnr_of_one_grey_level() -> None:
    """Closed form: off by one everywhere, PSNR = 20 log10 255 = 48.13 dB."""
    assert psnr(flat(10), flat(11)).item() == pytest.approx(20 * math.log10(255), rel=1e-12)


def test_equal_images() -> None:
    """SSIM and MS-SSIM of equal images are exactly 1 (numerator and denominator are the same number), MSE 0,
    PSNR +inf.
    """
    x = noise(0, size=161)
    assert ssim(x, x).tolist() == [1.0] * 3
    assert ms_ssim(x, x).tolist() == [1.0] * 3
    assert mse(x, x).tolist() == [0.0] * 3
    assert psnr(x, x).tolist() == [math.inf] * 3


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_symmetry_and_flips(seed: int, mirror: bool, transpose: bool) -> None:
    """All four are symmetric in their arguments and blind to flips and transposition of both images; only the
    order of sums changes, hence 1e-11."""
    x, y = noise(seed), noise(seed + 1)
    moved = [z.flip(3) if mirror else z for z in (x, y)]
    moved = [z.transpose(2, 3) if transpose else z for z in moved]
    for metric in ALL:
        torch.testing.assert_close(metric(x, y), metric(y, x), rtol=0, atol=1e-11)
        torch.testing.assert_close(metric(x, y), metric(*moved), rtol=0, atol=1e-11)


@pytest.mark.parametrize("metric", ALL)
def test_the_batch_does_not_matter(metric) -> None:
    """An image's value is its own: alone, in a batch, in another order. Only rounding of differently shaped
    products may differ, hence 1e-12."""
    x, y = noise(0, n=7), noise(1, n=7)
    together = metric(x, y)
    alone = torch.cat([metric(x[i : i + 1], y[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(together.flip(0), metric(x.flip(0), y.flip(0)), rtol=0, atol=1e-12)
    assert together.dtype == torch.float64


def test_ms_ssim_of_an_inverted_image_is_zero() -> None:
    """By definition: noise against its negative has negative contrast·structure, which counts as 0."""
    x = noise(0, n=1, size=161)
    assert ms_ssim(x, 255 - x).item() == 0.0
    assert ssim(x, 255 - x).item() < 0


def test_luma_of_black_and_white() -> None:
    """ITU-R BT.601: black is 16, white is 235 (65.481 + 128.553 + 24.966 = 219)."""
    assert luma(flat(0)).unique().tolist() == [16.0]
    assert luma(flat(255)).mean().item() == pytest.approx(235, abs=1e-12)


def test_luma_channel_and_crop() -> None:
    """Closed form: a difference of 51 in green alone is 51·128.553/255 of luma; the border that differs is
    cut.
    """
    x = flat(100)
    y = x.clone()
    y[:, 1] += 51
    assert mse(x, y, y_channel=True).item() == pytest.approx((51 * 128.553 / 255 / 255) ** 2, rel=1e-12)
    y[..., 0] = 255
    y[..., :2, :] = 0
    inner = psnr(x, y, y_channel=True, crop_border=2).item()
    assert inner == pytest.approx(-20 * math.log10(51 * 128.553 / 255 / 255), rel=1e-12)


@pytest.mark.parametrize("metric", [*ALL, ms_ssim])
def test_images_that_are_no_pairs(metric) -> None:
    """A different count, a different size, a float image and a shape that is no batch are each refused."""
    for x, y in (
        (flat(0, n=2), flat(0, n=3)),
        (flat(0), flat(0, size=17)),
        (flat(0).float(), flat(0).float()),
        (flat(0)[0], flat(0)[0]),
    ):
        with pytest.raises(InputError):
            metric(x, y)
    with pytest.raises(MetricFailed, match="border of 8"):
        metric(flat(0), flat(0), crop_border=8)
    with pytest.raises(InputError, match="one channel"):
        metric(flat(0)[:, :1], flat(0)[:, :1], y_channel=True)


def test_images_smaller_than_the_window() -> None:
    """11×11 is the window of SSIM, 161 = 10·2⁴ + 1 what it takes to have one at the fifth scale."""
    with pytest.raises(MetricFailed, match=r"11×11.*10×10"):
        ssim(flat(0, size=10), flat(0, size=10))
    with pytest.raises(MetricFailed, match=r"11×11.*8×8"):
        ssim(flat(0, size=16), flat(0, size=16), crop_border=4)
    with pytest.raises(MetricFailed, match=r"161×161.*160×160"):
        ms_ssim(flat(0, size=160), flat(0, size=160))


def evidence(**values: list[float]) -> Evidence:
    return Evidence(
        pairs={"truth": PairEvidence({k: torch.tensor(v, dtype=torch.float64) for k, v in values.items()})}
    )


def test_estimate_is_the_mean_with_its_t_interval() -> None:
    """Closed form for 0.4, 0.5, 0.6: mean 0.5, s = 0.1, t(0.975, 2) = 4.302653, half width 0.4302653/√3. Ten times
    as far apart it would pass 0 and 1, where there are no such errors: the interval ends there."""
    estimate = MSE().compute(evidence(mse=[0.4, 0.5, 0.6]))
    assert estimate.value == pytest.approx(0.5)
    assert estimate.high == pytest.approx(0.5 + 0.4302653 / math.sqrt(3), abs=1e-6)
    assert estimate.low == pytest.approx(0.5 - 0.4302653 / math.sqrt(3), abs=1e-6)
    wide = MSE().compute(evidence(mse=[0.0, 1.0]))
    assert (wide.low, wide.value, wide.high) == (0, 0.5, 1)
    assert estimate.interval == "95% t over images"
    alone = MAE().compute(evidence(mae=[0.5]))
    assert (alone.value, alone.low, alone.interval) == (0.5, None, None)


def test_values_that_are_not_numbers_are_never_averaged() -> None:
    """One equal pair makes PSNR infinite, one NaN makes a mean NaN: both fail and say how many."""
    with pytest.raises(MetricFailed, match=r"2 of 3 pairs.*equal.*mse"):
        PSNR().compute(evidence(psnr=[30.0, math.inf, math.inf]))
    with pytest.raises(MetricFailed, match="1 of 2 pairs"):
        SSIM().compute(evidence(ssim=[math.nan, 1.0]))
    with pytest.raises(MetricFailed, match="no pairs"):
        SSIM().compute(evidence(ssim=[]))
    with pytest.raises(MetricFailed, match="this task makes none"):
        MSSSIM().compute(Evidence())


def test_classes_score_with_the_functions_of_their_names() -> None:
    """Each class streams pairs through the function it is named after."""
    x, y = noise(0), noise(1)
    for metric, function in ((SSIM, ssim), (PSNR, psnr), (MSE, mse), (MAE, mae)):
        assert metric.family == function.__name__
        assert torch.equal(metric.per_image(x, y), function(x, y))
    assert MSSSIM.per_image is ms_ssim


def test_luma_and_crop_are_metrics_under_names_of_their_own() -> None:
    """Each is the mean of what the public function gives with those arguments, in one pass with the others; the
    differing border that the crop takes away changes nothing."""
    x, y = noise(0), noise(1)
    metrics: list[PairedMetric] = [
        PSNR(),
        PSNR(crop_border=3),
        PSNRY(crop_border=3),
        SSIMY(),
        SSIMY(crop_border=3),
    ]
    expected = {
        "psnr": psnr(x, y),
        "psnr_crop3": psnr(x, y, crop_border=3),
        "psnr_y_crop3": psnr(x, y, y_channel=True, crop_border=3),
        "ssim_y": ssim(x, y, y_channel=True),
        "ssim_y_crop3": ssim(x, y, y_channel=True, crop_border=3),
    }
    assert [metric.name for metric in metrics] == list(expected)
    reader = PairReader({metric.name: metric.of_pairs for metric in metrics})
    reader.update(x, y)
    found = Evidence(pairs={"truth": reader.compute()})
    for metric in metrics:
        assert metric.compute(found).value == float(expected[metric.name].mean())
    framed = y.clone()
    framed[..., :3] = 255
    assert torch.equal(metrics[2].of_pairs(x, framed), metrics[2].of_pairs(x, y))


def test_a_border_that_leaves_nothing_fails_its_metric_alone() -> None:
    """20 pixels less 10 on each side: a reason for that row; the metric beside it has its value."""
    cut, whole = MSE(crop_border=10), MSE()
    reader = PairReader({metric.name: metric.of_pairs for metric in (cut, whole)})
    reader.update(noise(0), noise(1))
    found = Evidence(pairs={"truth": reader.compute()})
    with pytest.raises(MetricFailed, match="cannot cut a border of 10 pixels off images of 20×20"):
        cut.compute(found)
    assert whole.compute(found).value > 0


def test_hints_are_another_number_of_another_name() -> None:
    """The same function on other pairs: name, need and value are apart from those without hints, and from other
    numbers of hints."""
    some = [PSNR(), PSNR(hints=5), PSNR(crop_border=3, hints=20)]
    assert [metric.name for metric in some] == ["psnr", "psnr_hints5", "psnr_crop3_hints20"]
    assert [set(metric.needs) for metric in some] == [{"truth"}, {"truth", "hints"}, {"truth", "hints"}]
    found = evidence(psnr=[10.0, 20.0], psnr_hints5=[20.0, 40.0])
    assert [metric.compute(found).value for metric in some[:2]] == [15, 30]


def test_a_metric_needs_the_pairs_of_its_role() -> None:
    """A class that says whose pairs it is shown needs those, and no comparison with the truth."""

    class OfCycle(MAE):
        family = "of_cycle"
        role = "cycle"

    assert set(OfCycle().needs) == {"cycle"}
    assert set(MAE().needs) == {"truth"}


@pytest.mark.parametrize("metric", [psnr, ssim, mse, mae])
def test_no_pairs_at_all(metric: Callable[..., Tensor]) -> None:
    """Of no images nothing can be said: a sentence, and no error of torch."""
    none = torch.zeros(0, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(InputError, match="no paired images to compare"):
        metric(none, none)
