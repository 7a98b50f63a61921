"""A judge of the user's own data, `cnn:<dataset>`: trained, named by a variable, and read by another model's run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import benchbench
from benchbench.cli import main
from benchbench.features.networks.cnn import variable
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells

pytestmark = pytest.mark.costly

CATS = "BENCHBENCH_CNN_FOLDER_CATS_WEIGHTS"
CPU: dict[str, Any] = {"device": "cpu"}
TINY: dict[str, Any] = {"overrides": ["training.steps=40", "batch_size=16", "lr=3e-3"], **CPU}


def pictures(folder: Path, classes: int) -> Path:
    """40 pictures a class, 16×16: the darker the class is, the darker they are."""
    rng = np.random.default_rng(0)
    for number in range(classes):
        (folder / f"class{number}").mkdir(parents=True)
        for image in range(40):
            level = 40 + 80 * number + rng.integers(0, 20, (16, 16, 3))
            Image.fromarray(level.astype(np.uint8)).save(folder / f"class{number}" / f"{image}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The source, a folder of two classes, and the weights that `cnn` leaves on it."""
    root = tmp_path_factory.mktemp("own")
    source = f"folder:{pictures(root / 'cats', 2)}"
    ((cell, _),) = run_cells("cnn", source, out=root / "runs", **TINY)
    return source, cell / "weights.safetensors"


def test_another_model_is_judged_by_it(
    trained: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`real` hands out held-out images of both classes: two modes covered, and images of two brightnesses are told
    apart by any training at all, so the shares of 20 and 20 are the reference's: total variation below a quarter. Rows
    and the manifest have the name with an underscore, however it was asked for; the cell is the same."""
    source, weights = trained
    monkeypatch.setenv(CATS, str(weights))
    options: dict[str, Any] = {"samples": 40, "metrics": ["fd", "modes", "class_tv"], "out": tmp_path, **CPU}
    frame = benchbench.run("real", source, extractors=["cnn:folder-cats"], **options).set_index("metric")
    assert (frame["status"] == "ok").all()
    assert set(frame["extractor"].dropna()) == {"cnn_folder-cats"}
    assert frame.loc["modes_cnn_folder-cats", "value"] == 2
    assert frame.loc["class_tv_cnn_folder-cats", "value"] < 0.25
    assert frame.index[frame["headline"]].tolist() == ["fd_cnn_folder-cats"]
    ((path, cached),) = run_cells("real", source, extractors=["cnn_folder-cats"], seeds=[0], **options)
    assert cached
    told = read_run_json(path / "run.json")["extractors"]["cnn_folder-cats"]
    assert told["resize"] == "bilinear-antialias-16"
    assert told["weights_source"] == f"a file named by {CATS}"


def test_it_is_read_where_nobody_asked(
    trained: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the variable is set, the judge of the dataset's classes adds the metrics on classes, as that of a dataset
    of ours does; a full name finds it too."""
    source, weights = trained
    monkeypatch.setenv(CATS, str(weights))
    for asked in ("modes", "modes_cnn_folder-cats"):
        frame = benchbench.run("real", source, samples=20, metrics=[asked], out=tmp_path / asked, **CPU)
        assert "modes_cnn_folder-cats" in set(frame["metric"])


def test_weights_that_do_not_fit(
    trained: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge of two classes on a folder of three that has the same name, a damaged file, and one that is not there:
    rows that are unavailable, with the reason."""
    source, weights = trained
    other = f"folder:{pictures(tmp_path / 'cats', 3)}"
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"not tensors")
    for number, (data, file, reason) in enumerate(
        (
            (other, weights, "cnn_folder-cats tells 2 classes apart, and folder-cats has 3"),
            (source, damaged, "are damaged or no safetensors file"),
            (source, tmp_path / "gone", "which is not a file"),
        )
    ):
        monkeypatch.setenv(CATS, str(file))
        frame = benchbench.run(
            "real",
            data,
            samples=20,
            metrics=["fd", "mse"],
            extractors=["cnn:folder-cats"],
            out=tmp_path / str(number),
            **CPU,
        ).set_index("metric")
        row = frame.loc["fd_cnn_folder-cats"]
        assert row["status"] == "unavailable"
        assert reason in row["reason"]


@pytest.mark.parametrize(
    "asked",
    [
        ["--extractor", "cnn:folder-dogs"],
        ["--extractor", "cnn_folder-dogs", "--metrics", "modes"],
        ["--metrics", "fd_cnn_folder-dogs"],
    ],
)
def test_a_dataset_whose_judge_nobody_has(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before anything runs, by either spelling and in the name of a metric: exit code 2, one sentence with the
    command and the variable."""
    monkeypatch.delenv(variable("folder-dogs"), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["benchbench", "run", "--model", "real", "--dataset", "digits", *asked])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "benchbench: there is no extractor cnn:folder-dogs" in said  # a busy machine may be said before
    assert "BENCHBENCH_CNN_FOLDER_DOGS_WEIGHTS" in said
    assert not list(tmp_path.rglob("*.csv"))
