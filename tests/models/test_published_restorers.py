"""Published restorers give the numbers of their cards again, on real data."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbench.results.load import load_results
from benchbench.runner.run import run_cells

BM3D = 28.57
"""dB on BSD68 at σ = 25, of Zhang et al. 2017, table II."""


@pytest.mark.slow
def test_dncnn_on_bsd68(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's own numbers, to the rounding that another order of sums makes; above BM3D, for which no training is
    needed."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    ((path, _),) = run_cells(
        "dncnn",
        "bsd68",
        task="denoise",
        task_options={"sigma": 25},
        pretrained=True,
        metrics=["psnr", "ssim"],
        out=tmp_path,
        device="cpu",
    )
    values = load_results(path).set_index("metric")["value"]
    assert values["psnr"] == pytest.approx(28.8129, abs=1e-3)
    assert values["ssim"] == pytest.approx(0.80682, abs=1e-4)
    assert values["psnr"] > BM3D
