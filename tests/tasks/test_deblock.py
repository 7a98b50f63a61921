"""The deblocking task: images out of a JPEG file, and what a model makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pieces import outputs_of
from ranks import on_ranks
from skimage.metrics import peak_signal_noise_ratio

from benchbench.core.errors import InputError
from benchbench.core.runtime import Runtime
from benchbench.data.catalogue import load_dataset
from benchbench.data.degrade.jpeg import jpeg
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec


@pytest.mark.costly
def test_the_control_scores_what_jpeg_lost(tmp_path: Path) -> None:
    """`degraded` hands the JPEG images back: its PSNR is scikit-image's of them, the mean over images; the record says
    quality and encoder, and keeps the images themselves."""
    ((path, _),) = run_cells(
        "degraded", "digits", samples=30, out=tmp_path, device="cpu", metrics=["psnr", "ssim", "fd"]
    )
    rows = load_results(path).set_index("metric")
    originals = load_dataset("digits").held_out.images[:30]
    blocky = jpeg(originals, 10)
    expected = [
        peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=255)
        for x, y in zip(originals, blocky, strict=True)
    ]
    assert rows.loc["psnr"].value == pytest.approx(np.mean(expected), rel=1e-9)
    assert rows.loc["psnr"].n_images == 30
    assert rows.loc["psnr"].task == "deblock:q10"
    assert "smaller than the pieces" in rows.loc["fd_efficientnet_lite0"].reason
    run = read_run_json(path / "run.json")
    assert run["degradation"]["quality"] == 10
    assert run["control"]
    assert np.array_equal(list(outputs_of(path).values()), blocky.permute(0, 2, 3, 1).numpy())


@pytest.mark.costly
def test_ranks_get_equal_rows(tmp_path: Path) -> None:
    """Eleven images over three ranks: the values of one process, exactly, for nothing is summed in another order. They
    are psnr, ssim and mse: of grey digits the luma is no number of its own."""
    spec = CellSpec.of(model="degraded", dataset="digits", samples=11, metrics=["standard"])
    plan = make_plans(spec, [0], Desk(Runtime()))[0]

    def values(runtime: Runtime) -> list[float]:
        numbers = plan.task.run(plan.build(), plan.dataset, plan.request, runtime).numbers
        return [number.found.estimate.value for number in numbers if number.n_images == 11]

    alone = values(Runtime())
    assert len(alone) == 3
    assert on_ranks(3, lambda comm: values(Runtime(comm=comm))) == [alone] * 3


def test_more_than_there_are_is_refused() -> None:
    """`real` refuses the same; else one question would have two keys."""
    spec = CellSpec.of(model="degraded", dataset="digits", samples=900, metrics=["psnr"])
    with pytest.raises(InputError, match="899 images to restore; ask for --samples 899 or fewer"):
        make_plans(spec, [0], Desk(Runtime()))


@pytest.mark.parametrize("size", [0, -5, 2.5, True, "x"])
def test_no_such_batch(size: object) -> None:
    """Whatever is no number of images is refused where the runtime is made, in one sentence."""
    with pytest.raises(InputError, match=r"batch_size=.* is not possible"):
        Runtime(batch_size=size)  # type: ignore[arg-type]
