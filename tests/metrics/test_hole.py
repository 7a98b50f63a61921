"""Metrics in holes: closed forms, windows one by one, and every way of asking wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.pairs.hole import (
    NO_HOLES,
    HoleMetric,
    MAEHole,
    PSNRHole,
    SSIMHole,
    mae_hole,
    psnr_hole,
    ssim_hole,
)
from benchbench.metrics.pairs.paired import PairReader, mae, psnr, ssim
from benchbench.metrics.select import select_metrics

ALL = (psnr_hole, mae_hole, ssim_hole)


def noise(seed: int, n: int = 2, height: int = 23, width: int = 30) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)


def hole(rows: slice, columns: slice, like: Tensor) -> Tensor:
    found = torch.zeros(len(like), 1, *like.shape[2:], dtype=torch.bool)
    found[..., rows, columns] = True
    return found


def test_errors_of_the_missing_pixels_alone() -> None:
    """Closed forms: 51 levels off in the hole in one of three channels and anything outside it: MAE is 51/255/3, PSNR
    −10 log10((51/255)²/3)."""
    y = torch.full((1, 3, 12, 12), 100, dtype=torch.uint8)
    x, missing = y.clone(), hole(slice(2, 5), slice(7, 8), y)
    x[:, 1] += 51
    x[~missing.expand_as(x)] = 255
    assert mae_hole(x, y, missing).item() == pytest.approx(0.2 / 3, rel=1e-12)
    assert psnr_hole(x, y, missing).item() == pytest.approx(-10 * math.log10(0.04 / 3), rel=1e-12)


def test_everything_missing_is_the_whole_image() -> None:
    """By definition, for the two that count pixels and not windows."""
    x, y = noise(0), noise(1)
    missing = hole(slice(None), slice(None), x)
    assert torch.allclose(psnr_hole(x, y, missing), psnr(x, y), rtol=1e-12)
    assert torch.allclose(mae_hole(x, y, missing), mae(x, y), rtol=1e-12)


def test_windows_centred_on_missing_pixels() -> None:
    """Against scikit-image's map of SSIM (its documented settings of Wang et al. 2004), read where pixels are missing;
    one image of another hole beside it."""
    x, y = noise(0), noise(1)
    missing = hole(slice(6, 9), slice(11, 20), x)
    missing[1] = False
    missing[1, 0, 7, 8] = True
    found = ssim_hole(x, y, missing)
    for i in range(2):
        _, similarity = structural_similarity(
            x[i].numpy(), y[i].numpy(), channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, data_range=255, full=True,
        )  # fmt: skip
        expected = similarity.mean(0)[missing[i, 0].numpy()].mean()
        assert found[i].item() == pytest.approx(expected, abs=1e-10)


def test_near_the_border_the_nearest_window() -> None:
    """The corner has the window of the corner: SSIM of the first 11×11 pixels, which have one window. A pixel on the
    last row beneath an inner column has that of the last eleven rows around the column."""
    x, y = noise(0), noise(1)
    corner = ssim_hole(x, y, hole(slice(0, 2), slice(0, 4), x))
    assert torch.allclose(corner, ssim(x[..., :11, :11], y[..., :11, :11]), rtol=0, atol=1e-12)
    below = ssim_hole(x, y, hole(slice(22, 23), slice(10, 11), x))
    assert torch.allclose(below, ssim(x[..., -11:, 5:16], y[..., -11:, 5:16]), rtol=0, atol=1e-12)


def test_what_lies_far_from_the_hole_does_not_count() -> None:
    """No window centred on the hole reaches further than five pixels."""
    x, y = noise(0), noise(1)
    missing = hole(slice(8, 10), slice(8, 10), x)
    far = x.clone()
    far[..., 15:] = 0
    for metric in ALL:
        assert torch.allclose(metric(far, y, missing), metric(x, y, missing), rtol=0, atol=1e-12)
    near = x.clone()
    near[..., 8, 14] = 255 - near[..., 8, 14]
    assert not torch.allclose(ssim_hole(near, y, missing), ssim_hole(x, y, missing), rtol=0, atol=1e-9)


@pytest.mark.parametrize("metric", ALL)
def test_the_batch_does_not_matter(metric: Callable[..., Tensor]) -> None:
    """An image's value is its own, with a hole of its own."""
    x, y = noise(0, n=3), noise(1, n=3)
    missing = hole(slice(3, 9), slice(2, 12), x)
    missing[1, :, :20] = True
    together = metric(x, y, missing)
    alone = torch.cat([metric(x[i : i + 1], y[i : i + 1], missing[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, rtol=0, atol=1e-12)
    assert together.dtype == torch.float64
    grey = metric(x[:, :1], y[:, :1], missing)
    assert torch.allclose(
        grey, metric(*(z[:, :1].expand(-1, 3, -1, -1) for z in (x, y)), missing), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("metric", ALL)
def test_refused(metric: Callable[..., Tensor]) -> None:
    """A mask of another size, of another type, for other images, of no pixel; images that are no pair."""
    x, y = noise(0), noise(1)
    missing = hole(slice(0, 9), slice(0, 9), x)
    for wrong in (
        missing[..., :-1],
        missing.float(),
        missing[:1],
        missing[:, 0],
        missing.expand(-1, 3, -1, -1),
    ):
        with pytest.raises(InputError, match=r"holes must be bool 2×1×23×30, .* but are "):
            metric(x, y, wrong)
    missing[1] = False
    with pytest.raises(InputError, match="1 of 2 images have no hole"):
        metric(x, y, missing)
    with pytest.raises(InputError, match="only be compared in pairs of one shape"):
        metric(x, y[..., :-1], missing)
    with pytest.raises(InputError, match="must be uint8"):
        metric(x.float(), y, missing)


def test_the_window_must_fit() -> None:
    """SSIM alone needs 11×11 pixels; a pixel that is missing of a single one has its error."""
    x, y = (torch.full((1, 3, 1, 1), level, dtype=torch.uint8) for level in (0, 255))
    missing = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    assert mae_hole(x, y, missing).item() == 1
    with pytest.raises(MetricFailed, match="11×11"):
        ssim_hole(x, y, missing)


def test_classes_read_what_the_reader_of_pairs_found() -> None:
    """Each class is the mean of the function of its name, in batches, with the holes beside the images."""
    x, y = noise(0, n=3), noise(1, n=3)
    missing = hole(slice(3, 9), slice(2, 12), x)
    metrics: list[HoleMetric] = [PSNRHole(), MAEHole(), SSIMHole()]
    reader = PairReader({metric.name: metric.in_holes for metric in metrics})
    reader.update(x[:2], y[:2], missing[:2])
    reader.update(x[2:], y[2:], missing[2:])
    evidence = Evidence(pairs={"hole": reader.compute()})
    for metric, function in zip(metrics, ALL, strict=True):
        assert metric.name == function.__name__
        assert metric.needs == {"hole"}
        found = metric.compute(evidence)
        assert found.value == pytest.approx(float(function(x, y, missing).mean()), rel=1e-12)
        assert found.interval == "95% t over images"


def test_a_perfect_filling_has_no_psnr() -> None:
    """Equal pixels: the metric fails and says what to report; the error is 0 and SSIM 1."""
    x = noise(0)
    missing = hole(slice(3, 9), slice(2, 12), x)
    metrics: list[HoleMetric] = [PSNRHole(), MAEHole(), SSIMHole()]
    reader = PairReader({metric.name: metric.in_holes for metric in metrics})
    reader.update(x, x, missing)
    evidence = Evidence(pairs={"hole": reader.compute()})
    with pytest.raises(MetricFailed, match=r"2 of 2 pairs have no finite psnr_hole.*report mae_hole"):
        metrics[0].compute(evidence)
    assert [metric.compute(evidence).value for metric in metrics[1:]] == [0, 1]


def test_without_holes_there_is_no_number() -> None:
    """From pairs alone, or where the task has no holes: a reason."""
    with pytest.raises(MetricFailed, match=NO_HOLES):
        PSNRHole().of_pairs(noise(0), noise(1))
    with pytest.raises(MetricFailed, match="this task makes none"):
        MAEHole().compute(Evidence())


def test_by_name() -> None:
    """They are found as any metric; a border has no meaning in a hole and makes no name."""
    assert [metric.name for metric in select_metrics(["psnr_hole", "ssim_hole"], [])] == [
        "psnr_hole",
        "ssim_hole",
    ]
    with pytest.raises(InputError, match="unknown metric 'psnr_hole_crop2'"):
        select_metrics(["psnr_hole_crop2"], [])
