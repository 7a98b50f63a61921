"""Paired metrics of grey levels that are neither clipped nor rounded, as denoising is scored."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.pairs.lpips import LPIPS
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

ALL = (ssim, ms_ssim, psnr, mse, mae)
CLASSES: list[type[PairedMetric]] = [SSIM, MSSSIM, PSNR, MSE, MAE, PSNRY, SSIMY]


def noise(seed: int, n: int = 2, size: int = 161) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("metric", ALL)
def test_whole_levels_are_the_images(metric: Callable[..., Tensor], dtype: torch.dtype) -> None:
    """What is a whole level is the same image: every number is that of uint8, bit for bit, in either place."""
    x, y = noise(0), noise(1)
    expected = metric(x, y)
    assert torch.equal(metric(x.to(dtype), y, levels=True), expected)
    assert torch.equal(metric(x, y.to(dtype), levels=True), expected)
    assert torch.equal(metric(x, y, levels=True), expected)


def test_beyond_the_ends_and_between_levels() -> None:
    """Closed forms: 300 against 255 differs by 45 levels and −3.25 against 0 by 3.25, neither clipped nor rounded."""
    white, black = (torch.full((1, 3, 12, 12), level, dtype=torch.uint8) for level in (255, 0))
    above, below = torch.full((1, 3, 12, 12), 300.0), torch.full((1, 3, 12, 12), -3.25)
    assert mse(above, white, levels=True).item() == pytest.approx((45 / 255) ** 2, rel=1e-12)
    assert mae(below, black, levels=True).item() == pytest.approx(3.25 / 255, rel=1e-12)
    assert psnr(below, black, levels=True).item() == pytest.approx(20 * math.log10(255 / 3.25), rel=1e-12)
    c1 = 2.55**2
    luminance = (2 * 300 * 255 + c1) / (300**2 + 255**2 + c1)
    assert ssim(above, white, levels=True).item() == pytest.approx(luminance, abs=1e-11)
    luma = psnr(below, black, y_channel=True, crop_border=2, levels=True).item()
    assert luma == pytest.approx(20 * math.log10(255 / (3.25 * 219 / 255)), rel=1e-9)


@pytest.mark.parametrize("metric", ALL)
def test_levels_have_to_be_said(metric: Callable[..., Tensor]) -> None:
    """Floats in [0, 1] never pass for levels because nobody said so; half precision is none of the two."""
    x = noise(0)
    with pytest.raises(InputError, match="must be uint8 N×3×H×W or N×1×H×W but are float32"):
        metric(x.float(), x)
    with pytest.raises(InputError, match=r"float32 or float64 levels .* are float16"):
        metric(x.half(), x, levels=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_levels_that_are_not_finite(bad: float) -> None:
    """One such pixel: a sentence that counts it, from the functions and from the reader."""
    x = noise(0)
    broken = x.float()
    broken[0, 0, 0, 0] = bad
    with pytest.raises(InputError, match=r"1 of 155526 grey levels .* not finite"):
        psnr(broken, x, levels=True)
    with pytest.raises(InputError, match=r"1 of 155526 grey levels .* not finite"):
        PairReader({"psnr": PSNR().of_pairs}).update(broken, x)


@pytest.mark.parametrize("family", CLASSES)
def test_every_metric_of_ours_reads_them(family: type[PairedMetric]) -> None:
    """Through the reader: the value of the levels, which is not that of the rounded image."""
    x = noise(0)
    made = noise(1).float() + 0.3
    metric = family(crop_border=0)
    reader = PairReader({metric.name: metric.of_pairs})
    reader.update(made, x)
    found = reader.compute().of(metric.name)
    rounded = metric.of_pairs(noise(1), x)
    assert metric.reads_levels
    assert not torch.equal(found, rounded)
    assert torch.allclose(found, rounded, rtol=0.05, atol=0.01)


def seen_by(base: type[PairedMetric], **fields: Any) -> list[Tensor]:
    """What a class derived from `base` is shown of levels of −1, 0.5 and 300."""
    seen: list[Tensor] = []

    def per_image(x: Tensor, y: Tensor) -> Tensor:
        seen.extend((x, y))
        return torch.zeros(len(x))

    family = type("Own", (base,), {"family": "own", "per_image": staticmethod(per_image), **fields})
    levels = torch.tensor([-1.0, 0.5, 300.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    family().of_pairs(levels, torch.full((1, 3, 1, 3), 7, dtype=torch.uint8))
    return seen


@pytest.mark.parametrize("base", [PairedMetric, PSNR])
def test_others_are_shown_images(base: type[PairedMetric]) -> None:
    """A plugin's metric, also one derived from ours, sees uint8: clipped, and 0.5 rounded to 1."""
    x, y = seen_by(base)
    assert (x.dtype, y.dtype) == (torch.uint8, torch.uint8)
    assert x[0, 0, 0].tolist() == [0, 1, 255]
    assert not LPIPS.reads_levels


def test_far_outside_fails_and_is_not_cut() -> None:
    """Levels of 1000 against black: an MSE of 15.4 and a PSNR of −11.9 dB are no numbers of images, and reported as 1
    and 0 dB they would look like some."""
    metrics = [MSE(), PSNR()]
    reader = PairReader({metric.name: metric.of_pairs for metric in metrics})
    reader.update(torch.full((2, 3, 4, 4), 1000.0), torch.zeros(2, 3, 4, 4))
    evidence = Evidence(pairs={"truth": reader.compute()})
    for metric, value in zip(metrics, ("15.38", "-11.87"), strict=True):
        with pytest.raises(MetricFailed, match=rf"mean {metric.name} is {value}, beyond the range"):
            metric.compute(evidence)


def test_the_reader_takes_no_other_numbers() -> None:
    """Whole numbers of 64 bits are neither images nor levels."""
    whole = torch.zeros(1, 3, 4, 4, dtype=torch.int64)
    with pytest.raises(InputError, match="must be uint8, or float32 or float64 levels, but are int64"):
        PairReader({"mse": MSE().of_pairs}).update(whole, whole)
