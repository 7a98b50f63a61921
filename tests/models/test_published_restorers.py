"""Published restorers give the numbers of their cards again, on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchbench.results.load import load_results
from benchbench.runner.run import run_cells

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_speeds")]

RESULTS = Path(__file__).parents[2] / "results"
X2 = {"dataset": "set5", "task": "super-resolution", "task_options": {"scale": 2}}
"""Of bicubic, which needs no training: 33.68 dB, as docs/restoration.md has it."""


def scored(
    model: str, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> dict[str, float]:
    """The values of a cell whose weights are the published ones."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(data))
    ((path, _),) = run_cells(model, **{"pretrained": True, "device": "cpu", **options}, out=out)
    return dict(load_results(path).set_index("metric")["value"])


@pytest.mark.parametrize(
    ("model", "psnr", "ssim"),
    [
        ("srcnn", 36.2821, 0.95254),
        ("espcn", 36.3779, 0.95291),
        ("vdsr", 37.0401, 0.95700),
        ("edsr", 37.3640, 0.95828),
        ("srgan", 36.1827, 0.95101),
    ],
)
def test_set5_at_twice_the_size(
    model: str, psnr: float, ssim: float, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card's own numbers, to the rounding that another order of sums makes; two decibels above bicubic."""
    metrics = ["psnr_y_crop2", "ssim_y_crop2"]
    values = scored(model, shared_data, tmp_path, monkeypatch, **X2, metrics=metrics)
    assert values["psnr_y_crop2"] == pytest.approx(psnr, abs=1e-3)
    assert values["ssim_y_crop2"] == pytest.approx(ssim, abs=1e-4)
    assert values["psnr_y_crop2"] > 33.68 + 2


@pytest.mark.parametrize(
    ("model", "psnr", "ssim"), [("dncnn", 28.72963, 0.807828), ("dncnn-b", 28.53007, 0.802328)]
)
def test_noise_on_bsd68(
    model: str, psnr: float, ssim: float, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve of the 68 images, as they came out with the weights and the code that gave the card's numbers of all of
    them (28.8129 and 28.6190 dB; all take five minutes a model), to the rounding that another order of sums makes."""
    noisy = {"dataset": "bsd68", "task": "denoise", "task_options": {"sigma": 25}}
    values = scored(model, shared_data, tmp_path, monkeypatch, **noisy, metrics=["psnr", "ssim"], samples=12)
    assert values["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert values["ssim"] == pytest.approx(ssim, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "psnr", "ssim"), [("dncnn", 28.8129, 0.80682), ("dncnn-b", 28.6190, 0.79983)]
)
def test_published_noise_on_bsd68(model: str, psnr: float, ssim: float) -> None:
    """What the record of all 68 images has; above BM3D, which has 28.57 dB (Zhang et al. 2017, table II)."""
    rows = load_results(RESULTS / "bsd68" / model)
    values = dict(rows[rows["task"] == "denoise:sigma25"].set_index("metric")["value"])
    assert values["psnr"] == pytest.approx(psnr, abs=1e-4)
    assert values["ssim"] == pytest.approx(ssim, abs=1e-5)
    assert values["psnr"] > 28.57


@pytest.mark.parametrize(
    ("model", "psnr", "ssim"), [("partial-conv", 16.6030, 0.47273), ("context-encoder", 16.1948, 0.43971)]
)
def test_strokes_on_set12(
    model: str, psnr: float, ssim: float, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card's own numbers over all bins, to the rounding that another order of sums makes; a decibel above the
    nearest pixel, which has 14.95 dB (docs/inpainting.md)."""
    strokes = {"dataset": "set12", "task": "inpaint", "task_options": {"holes": "strokes"}}
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    ((path, _),) = run_cells(
        model, **strokes, pretrained=True, device="cpu", metrics=["psnr_hole", "ssim_hole"], out=tmp_path
    )
    rows = load_results(path)
    values = dict(rows[rows["task"] == "inpaint:strokes"].set_index("metric")["value"])
    assert values["psnr_hole"] == pytest.approx(psnr, abs=1e-3)
    assert values["ssim_hole"] == pytest.approx(ssim, abs=1e-4)
    assert values["psnr_hole"] > 14.95 + 1
