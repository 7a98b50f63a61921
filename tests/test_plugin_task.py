"""A package of somebody else's brings a task, a model for it and a metric; every verb treats them like ours.

The package is `fixtures/acme_rotation`, fewer than 100 lines: images are turned by 90 degrees and scored on the way
back.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchbench.cli import cli
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json

PACKAGE = Path(__file__).parent / "fixtures" / "acme_rotation"
POINTS = """\
[benchbench.tasks]
rotation = acme_rotation:Rotation
[benchbench.models]
turner = acme_rotation:Turner
[benchbench.metrics]
corner_error = acme_rotation:CornerError
"""
SUITE = """\
models = ["turner", "noise"]
datasets = ["digits"]
seeds = 2
[settings]
samples = 40
[[override]]
match = { model = "turner" }
set = { steps = 30, lr = 0.05, batch_size = 16 }
[[override]]
match = { model = "noise" }
metrics = ["fd"]
extractors = ["cnn_digits"]
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package on the path of this process and of those it starts, with its entry points as an installer writes
    them."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "acme_rotation")
    (site / "acme-1.dist-info").mkdir()
    (site / "acme-1.dist-info" / "entry_points.txt").write_text(POINTS)
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.chdir(tmp_path)
    yield site
    sys.modules.pop("acme_rotation", None)


def answer(*arguments: str) -> str:
    """What the command prints; it must end well."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def test_it_is_short() -> None:
    """A task, its model and its metric in fewer than 120 lines."""
    assert len((PACKAGE / "__init__.py").read_text().splitlines()) < 120


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_run_trains_scores_and_draws() -> None:
    """The model learns to leave its shade out, so that what comes back is what went in: an error of less than a grey
    level in the corners, where the untrained one is off by half the range (64 levels of 127.5 · 0.5)."""
    for steps, error in ((1, (30.0, 128.0)), (60, (0.0, 4.0))):
        name = f"after-{steps}"
        settings = [f"steps={steps}", "lr=0.05", "batch_size=16"]
        asked = ["--samples", "40", *(part for setting in settings for part in ("--set", setting))]
        answer("run", "--model", "turner", "--dataset", "digits", *asked, "--out", name)
        rows = load_results(name)
        found = rows.set_index("metric")
        assert error[0] <= found.loc["corner_error"].value < error[1]
        assert set(rows["task"]) == {"rotation", "training"}
        assert found.loc["corner_error"].headline
        assert found.loc["corner_error"].n_images == 40
        (folder,) = Path(name).glob("digits/turner/*")
        assert read_run_json(folder / "run.json")["turned"] == 40
        assert (folder / "rotations.png").stat().st_size > 1000
        with np.load(folder / "turned.npz") as kept:
            assert kept["images"].shape == (40, 32, 32, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("acme")
def test_suite_leaderboard_and_report_show_it(tmp_path: Path) -> None:
    """Beside one of our own tasks, in processes of their own; a board of its task, and its picture in the report."""
    Path("suite.toml").write_text(SUITE)
    answer("suite", "suite.toml", "--out", "store", "--device", "cpu")
    board = answer("leaderboard", "store")
    assert "turner" in board
    assert "corner_error" in board
    answer("report", "store", "--output", "page.html")
    page = Path("page.html").read_text()
    assert "images and what became of them" in page
    assert re.search(r"digits/turner/\w+/turned\.npz</code>: turner [^<]*: the first 40 of 40, turned", page)
    assert "corner_error" in page
    assert "rotation" in answer("list", "tasks")


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_what_does_not_fit_is_one_sentence() -> None:
    """A metric without a meaning in it, a task that a model cannot do, and one that nobody knows."""
    answer("run", "--model", "turner", "--dataset", "digits", "--samples", "8", "--set", "steps=1", "--metrics",
           "psnr,fd", "--out", "a")  # fmt: skip
    rows = load_results("a").set_index("metric")
    assert rows.loc["fd_efficientnet_lite0"].reason == "a turned image has nothing but its original"
    for task, sentence in (
        ("rotation", "cannot be asked for rotation"),
        ("rotate", "did you mean 'rotation'"),
    ):
        result = CliRunner().invoke(cli, ["run", "--model", "noise", "--dataset", "digits", "--task", task])
        assert sentence in str(result.exception)


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_a_task_without_extractors_keeps_its_own_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    """`reads_extractors = False` leaves out what reads one, and nothing that the task calls standard; a measurement
    that says no number of images has that of its `Number`."""
    import acme_rotation

    from benchbench.metrics.metric import Estimate
    from benchbench.tasks.base import Number
    from benchbench.tasks.speed import Measurement

    class Counting(acme_rotation.Rotation):
        reads_extractors = False

        def run(self, *asked):
            found = super().run(*asked)
            turned = Measurement("turned", "quality", "", True, Estimate(1.0))
            found.numbers.append(Number(turned, self.name, 8))
            return found

    monkeypatch.setattr(acme_rotation, "Rotation", Counting)
    answer(
        "run", "--model", "turner", "--dataset", "digits", "--samples", "8", "--set", "steps=1", "--out", "a"
    )
    rows = load_results("a").set_index("metric")
    assert {"psnr", "corner_error"} <= set(rows.index)
    assert rows.loc["corner_error"].headline
    assert rows.loc["turned"].n_images == 8
    assert "fd_efficientnet_lite0" not in rows.index
