"""A model of another package that does something wrong: its cell fails with a sentence that names it, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchbench.cli import cli
from benchbench.core.errors import CellFailed, InputError
from benchbench.results.load import load_failures, load_results
from benchbench.runner.run import run_cells

PACKAGE = Path(__file__).parents[1] / "fixtures" / "acme_faulty"
TINY: dict[str, Any] = {
    "samples": 16,
    "metrics": ["fd"],
    "extractors": ["cnn_digits"],
    "overrides": {"training.steps": 2, "batch_size": 8},
    "device": "cpu",
}
WHY = {
    "BuildRaises": "raised ValueError.*a cheese of two lines",
    "BuildExits": r"called sys\.exit\(0\)",
    "NoConfig": "config",
    "ToRaises": "raised ValueError",
    "EvalExits": r"called sys\.exit\(0\)",
    "PlayersRaises": "raised ValueError",
    "PlayersNone": "raised TypeError|raised AttributeError",
    "LossRaises": r"raised ValueError, __init__\.py:\d+: a cheese of two lines",
    "LossExits": r"called sys\.exit\(0\)",
    "LossAlone": "raised TypeError",
    "LossOfPixels": "raised RuntimeError",
    "LossNumber": "raised AttributeError",
    "LossNan": "the loss of shade became nan at step 0",
    "StatisticsRaises": "raised ValueError",
    "SampleRaises": "raised ValueError",
    "SampleExits": r"called sys\.exit\(0\)",
    "SampleNone": "generated images must be a tensor but are a NoneType",
    "SampleList": "generated images must be a tensor but are a list",
    "SampleFloat": "must be uint8 in 0..255 but are float32",
    "SampleNan": "produced NaN pixels",
    "SampleFew": "must be as many as were asked for, 16, but are 8",
    "SampleMany": "must be as many as were asked for, 16, but are 32",
    "SampleGrey": "must have shape N×3×H×W",
    "SampleSmall": "must be 32×32 pixels but are 8×8",
    "SampleLast": "must have shape N×3×H×W",
}


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package on the path of this process and of those it starts, with an entry point a model."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "acme_faulty", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "acme-1.dist-info").mkdir()
    points = "".join(f"{name} = acme_faulty:{name}\n" for name in ["Good", *WHY])
    points += "at-import = acme_gone:Model\n"
    (site / "acme_gone.py").write_text("import sys\nsys.exit(3)\n")
    (site / "acme-1.dist-info" / "entry_points.txt").write_text(f"[benchbench.models]\n{points}")
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{Path(__file__).parents[2]}")


@pytest.mark.costly
@pytest.mark.parametrize("fault", WHY)
def test_a_faulty_model_fails_its_cell_by_name(acme: None, tmp_path: Path, fault: str) -> None:
    """Each ends as `CellFailed` with the model's name, its class and what it did, as the table has it; nothing of it is
    in the store."""
    with pytest.raises(CellFailed, match=WHY[fault]) as caught:
        run_cells(fault, "digits", out=tmp_path / "out", **TINY)
    assert f"the model '{fault}' (acme_faulty:{fault}): " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("run.json"))


@pytest.mark.costly
def test_a_module_that_ends_the_process_is_refused(acme: None, tmp_path: Path) -> None:
    """`sys.exit` while the plug-in is imported: bad input by name, not the end of the program."""
    with pytest.raises(
        InputError, match=r"the model .at-import. \(acme_gone:Model of acme 1\) cannot be loaded"
    ):
        run_cells("at-import", "digits", out=tmp_path / "out", **TINY)


@pytest.mark.slow
def test_the_other_cells_of_a_suite_go_on(
    acme: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four models one cannot be built and two end the process while they work. The fourth gets its record, the
    others a reason each, and the exit code says that cells failed."""
    path, out = tmp_path / "suite.toml", tmp_path / "out"
    path.write_text("""
models = ["BuildExits", "LossExits", "SampleExits", "Good"]
datasets = ["digits"]
[settings]
samples = 16
metrics = ["fd"]
extractors = ["cnn_digits"]
set = { steps = 2, batch_size = 8 }
""")
    dry = CliRunner().invoke(cli, ["suite", str(path), "--out", str(out), "--device", "cpu", "--dry-run"])
    assert dry.exit_code == 0
    assert "3 new; 1 cannot be run" in " ".join(dry.stdout.split())
    done = CliRunner().invoke(cli, ["suite", str(path), "--out", str(out), "--device", "cpu"])
    assert isinstance(done.exception, CellFailed)
    assert "3 of 4 cells failed" in str(done.exception)
    for name in ("BuildExits", "LossExits", "SampleExits"):
        assert f"the model '{name}' (acme_faulty:{name}): it called sys.exit(0)" in str(done.exception)
    assert load_results(out)["model"].unique().tolist() == ["Good"]
    assert sorted(load_failures(out)["model"]) == ["LossExits", "SampleExits"]
