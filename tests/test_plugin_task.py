"""A package of somebody else's brings a task, and a model, a dataset, a metric and a sink for it; every verb treats
them like ours.

The package is `examples/acme-rotation`, fewer than 200 lines: images are turned by 90 degrees and scored on the way
back. It is installed as its readers would, by pip from its folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchbench.cli import cli
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json

PACKAGE = Path(__file__).parents[1] / "examples" / "acme-rotation"
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put it; from a copy, for building leaves files behind, and from nowhere else."""
    copy, site = tmp_path_factory.mktemp("source") / "acme", tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *alone, "--target", str(site), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture
def acme(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package on the path of this process and of those it starts."""
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    )
    monkeypatch.chdir(tmp_path)
    yield installed
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_rotation"]:
        del sys.modules[name]


def answer(*arguments: str) -> str:
    """What the command prints; it must end well."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def test_it_is_short() -> None:
    """All five and what installs them in fewer than 200 lines."""
    files = [
        path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml") and "build" not in path.parts
    ]
    assert len(files) == 4
    assert sum(len(path.read_text().splitlines()) for path in files) < 200


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


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_a_sink_is_told_of_a_run() -> None:
    """Its own task on its own dataset, told to its own sink: curves, the numbers of the record, and how it ended."""
    pytest.importorskip("benchbench.sinks", reason="this benchbench has no sinks")
    answer(
        "run",
        "--model",
        "turner",
        "--dataset",
        "arrows",
        "--samples",
        "8",
        "--set",
        "steps=2",
        "--log",
        "ledger",
    )
    (ledger,) = Path("runs").rglob("*.jsonl")
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    (error,) = load_results("runs").query("metric == 'corner_error'")["value"]
    assert lines[-1] == {"status": "finished"}
    assert error in [line.get("rotation/corner_error") for line in lines]
    assert any("step" in line for line in lines)


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_all_is_listed_and_runs_together() -> None:
    """By name and by its first sentence, and in one record."""
    for kind, name, about in (
        ("tasks", "rotation", "Held-out images, turned by the model"),
        ("models", "turner", "Turns images by 90 degrees"),
        ("datasets", "arrows", "200 arrow heads"),
        ("metrics", "corner_error", "Mean absolute error in the corner pixels."),
    ):
        listed = " ".join(answer("list", kind).split())
        assert f"{name} {about}" in listed
    answer("run", "--model", "turner", "--dataset", "arrows", "--samples", "8", "--set", "steps=2")
    found = load_results("runs").query("metric == 'corner_error'")
    assert found[["model", "dataset", "task", "status"]].to_numpy().tolist() == [
        ["turner", "arrows", "rotation", "ok"]
    ]


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
