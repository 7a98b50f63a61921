"""The main job, small: every test runs the real path on scikit-learn's digits with a few training steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import benchbench
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.runtime import Runtime
from benchbench.results.provenance import read_run_json
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec

pytestmark = pytest.mark.costly

TINY: dict[str, Any] = {
    "samples": 24,
    "overrides": ["training.steps=4", "batch_size=32", "latent=4"],
    "metrics": ["fd", "is", "ssim", "psnr", "mse"],
    "device": "cpu",
}
SPEED = ("throughput", "cost")


def numbers(frame: pd.DataFrame) -> pd.Series:
    """The values that must be reproducible: everything but speed."""
    kept = frame[~frame["aspect"].isin(SPEED)]
    return kept.set_index("metric")["value"].sort_index()


def test_a_recipe_of_another_dataset_is_said(tmp_path: Path) -> None:
    """In the record, by the names of the file and its folder: where somebody's files lie is nobody else's business."""
    file = tmp_path / "mine" / "recipe.toml"
    file.parent.mkdir()
    file.write_text('dataset = "cifar10"\n')
    asked: Any = {**TINY, "metrics": ["mse"]}
    ((path, _),) = run_cells("vae-mlp", "digits", recipe=file, out=tmp_path / "out", **asked)
    said = "the recipe mine/recipe.toml says that it is for cifar10, and this is digits"
    assert said in read_run_json(path / "run.json")["data"]["notes"]


def test_a_run_leaves_a_whole_record(tmp_path: Path) -> None:
    """Files and fields as the documentation of the store lists them; the second call answers from the record."""
    ((path, cached),) = run_cells("vae-mlp", "digits", out=tmp_path, **TINY)
    assert not cached
    assert path.parts[-3:-1] == ("digits", "vae-mlp")
    assert sorted(p.name for p in path.iterdir()) == [
        "curves.csv",
        "metrics.csv",
        "neighbours.png",
        "reconstructions.png",
        "run.json",
        "samples.npz",
        "samples.png",
        "training.png",
        "weights.safetensors",
    ]
    frame = benchbench.load_results(tmp_path)
    assert set(frame["metric"]) >= {
        "fd_efficientnet_lite0", "is_cnn_digits", "ssim", "psnr", "mse", "training_rate",
        "sampling_rate", "latency_p50", "latency_p95", "parameters_sampling", "flops_per_image", "machine_load",
    }  # fmt: skip
    assert (frame["status"] == "ok").all()
    fd = frame.set_index("metric").loc["fd_efficientnet_lite0"]
    assert (fd["n_images"], fd["n_reference"], fd["extractor"]) == (24, 898, "efficientnet_lite0")
    # The judge of digits leads, though nobody asked for it; reconstructions have a headline of their own.
    assert set(frame.loc[frame["headline"], "metric"]) == {"fd_cnn_digits", "psnr"}
    run = read_run_json(path / "run.json")
    assert run["data"]["train"]["n"] == 898
    assert run["data"]["size"] == "32×32"
    assert any(note.startswith("efficientnet_lite0 looks at 128×128 pixels") for note in run["data"]["notes"])
    assert run["config"]["latent"] == 4
    assert run["settings"]["code"] == run["code_hash"][:8]
    assert (run["settings"]["latent"], run["settings"]["steps"], run["settings"]["weights"]) == (
        "4",
        "4",
        None,
    )
    stated = [run[name] for name in ("name", "control", "status", "selected_on")]
    assert stated == [None, False, "finished", None]
    assert {"device", "device_name", "cores"} <= run["machine"].keys()
    listed = {own["file"]: own for own in run["artefacts"]}
    assert {own["kind"] for own in listed.values()} == {"samples", "neighbours", "reconstructions"}
    assert {own["file"]: own["sha256"] for own in run["artefacts"]}.items() <= run["files"].items()
    assert listed["samples.npz"]["caption"] == "the first 24 of 24 samples, one by one and lossless"
    with np.load(path / "samples.npz") as kept:
        assert kept.files == ["images"]
        assert (kept["images"].shape, kept["images"].dtype) == ((24, 32, 32, 3), np.uint8)
    assert not list(tmp_path.glob(".work/*"))
    ((again, cached),) = run_cells("vae-mlp", "digits", out=tmp_path, **TINY)
    assert cached
    assert again == path


def test_other_metrics_do_not_train_again(tmp_path: Path) -> None:
    """Another set of metrics is another cell on the same weights: same training curve, same weights, no
    training stage."""
    ((first, _),) = run_cells("vae-mlp", "digits", out=tmp_path, **TINY)
    ((second, cached),) = run_cells("vae-mlp", "digits", out=tmp_path, **{**TINY, "metrics": ["mse"]})
    assert not cached
    assert first != second
    runs = [read_run_json(path / "run.json") for path in (first, second)]
    for name in ("curves.csv", "weights.safetensors"):
        assert runs[0]["files"][name] == runs[1]["files"][name]
    assert runs[1]["training"] == runs[0]["training"]


def test_evaluation_batch_size_changes_neither_key_nor_numbers(tmp_path: Path) -> None:
    """Batches of 5 and of 24: one key, and numbers within 1e-4 relative (float32 sums in another order may
    flip a rounding of a pixel)."""
    frames = []
    for batch_size in (5, 24):
        out = tmp_path / str(batch_size)
        ((path, _),) = run_cells("vae-mlp", "digits", out=out, batch_size=batch_size, **TINY)
        frames.append((path.name, numbers(benchbench.load_results(out))))
    assert frames[0][0] == frames[1][0]
    pd.testing.assert_series_equal(frames[0][1], frames[1][1], rtol=1e-4)


def test_what_changes_the_cell(tmp_path: Path) -> None:
    """Another hyper-parameter, seed, number of samples or metric is another cell, each for itself: the key of its plan,
    by which the folder of a run is called."""
    variations: list[dict[str, Any]] = [
        {},
        {"overrides": [*TINY["overrides"], "latent=5"]},
        {"overrides": [*TINY["overrides"], "lr=0.01"]},
        {"seeds": [1]},
        {"samples": 25},
        {"metrics": ["mse"]},
    ]
    keys, desk = [], Desk(Runtime())
    for variation in variations:
        options = {**TINY, **variation}
        seeds = options.pop("seeds", [0])
        del options["device"]
        (plan,) = make_plans(CellSpec.of(model="vae-mlp", dataset="digits", **options), seeds, desk)
        keys.append(plan.key)
    assert len(set(keys)) == len(variations)
    assert run_cells("vae-mlp", "digits", out=tmp_path, **TINY)[0].path.name == keys[0]


def test_one_pixel_of_the_data_changes_the_cell(tmp_path: Path) -> None:
    """Two folders of the same 40 images but for one level of one pixel: other fingerprints, other cells."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    cells = []
    for change in (0, 1):
        folder = tmp_path / str(change) / "data"
        folder.mkdir(parents=True)
        pixels[7, 3, 3, 1] ^= change
        for i, image in enumerate(pixels):
            Image.fromarray(image).save(folder / f"{i}.png")
        options: dict[str, Any] = {"metrics": ["mse"], "overrides": ["training.steps=1"], "device": "cpu"}
        cells.append(run_cells("vae-mlp", f"folder:{folder}", out=tmp_path / "out", **options)[0].path)
    assert cells[0].name != cells[1].name


def test_models_of_one_module_are_cells_of_their_own(tmp_path: Path) -> None:
    """`real` and `noise` share a file and an empty config; their names alone tell them apart, also in one
    table."""
    options = {**TINY, "overrides": [], "metrics": ["fd"]}
    for model in ("real", "noise"):
        ((path, _),) = run_cells(model, "digits", out=tmp_path, **options)
        assert read_run_json(path / "run.json")["control"] is True
    assert benchbench.load_results(tmp_path)["cell"].nunique() == 2


SCRIPT = """
import sys, benchbench
benchbench.run("vae-mlp", "digits", out=sys.argv[1], samples=24, device="cpu", metrics=["fd", "mse"],
               overrides=["training.steps=200", "batch_size=32", "latent=4", "checkpoint_every=20"])
"""


@pytest.mark.slow
def test_kill_nine_in_training_changes_no_digit(tmp_path: Path) -> None:
    """SIGKILL after the first checkpoint, the same command again: the record equals an uninterrupted one to the
    last digit (checkpoints hold every state, and one thread adds in one order)."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(killed)], env=environment) as process:
        deadline = time.monotonic() + 120
        while not list(killed.glob(".work/*/checkpoint.pt")):
            assert process.poll() is None, "finished before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not list(killed.rglob("run.json"))
    for out in (killed, whole):
        subprocess.run([sys.executable, "-c", SCRIPT, str(out)], env=environment, check=True)
    first, second = (benchbench.load_results(out) for out in (killed, whole))
    pd.testing.assert_series_equal(numbers(first), numbers(second), rtol=0, atol=0)
    curves = [pd.read_csv(next(out.rglob("curves.csv"))) for out in (killed, whole)]
    pd.testing.assert_frame_equal(*curves, rtol=0, atol=0)


def test_loaded_weights_give_the_numbers_of_their_training(tmp_path: Path) -> None:
    """--weights with what a run saved: the same images, so the same numbers to the last digit, in a cell of its
    own that says nothing of training."""
    ((trained, _),) = run_cells("vae-mlp", "digits", out=tmp_path / "a", **TINY)
    options = {**TINY, "weights": trained / "weights.safetensors"}
    ((loaded, _),) = run_cells("vae-mlp", "digits", out=tmp_path / "b", **options)
    assert loaded.name != trained.name
    first, second = (benchbench.load_results(path) for path in (trained, loaded))
    pd.testing.assert_series_equal(numbers(first), numbers(second), rtol=0, atol=0)
    assert "training_rate" not in set(second["metric"])


def test_a_loss_that_is_no_number_fails_the_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of NaN at seed 0 is a `CellFailed` that names the seed; seed 1 still gets its record."""
    from benchbench.models.vae.vae import MLPVAE

    original = MLPVAE.loss

    def loss(self: MLPVAE, player: str, batch: Any) -> Any:
        value, logs = original(self, player, batch)
        return (value * torch.nan, logs) if torch.initial_seed() == 0 else (value, logs)

    monkeypatch.setattr(MLPVAE, "loss", loss)
    with pytest.raises(CellFailed, match=r"1 of 2 cells failed\. seed 0: the loss"):
        run_cells("vae-mlp", "digits", out=tmp_path, seeds=[0, 1], **TINY)
    assert benchbench.load_results(tmp_path)["seed"].unique().tolist() == [1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "vea"}, "unknown model 'vea'; did you mean 'vae'"),
        ({"dataset": "digit"}, "unknown dataset 'digit'; did you mean 'digits'"),
        ({"overrides": ["latnt=4"]}, "latnt.*latent"),
        ({"metrics": ["fdd"]}, "unknown metric 'fdd'"),
        ({"extractors": ["efficientnet"]}, "unknown extractor 'efficientnet'"),
        ({"samples": 1}, "--samples 1 is too few"),
        ({"device": "cuda:77"}, "'cuda:77' is not there"),
        ({"weights": Path("nowhere.safetensors")}, "nowhere.safetensors"),
        ({"model": "real", "overrides": [], "samples": 5000}, "real has 899 held-out images"),
        ({"model": "noise", "overrides": [], "weights": Path("x.pt")}, "'noise' has no weights to load"),
    ],
)
def test_bad_requests_are_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    """Each names the thing and the way out, and nothing is left in the store."""
    options = {"model": "vae-mlp", "dataset": "digits", **TINY, **change}
    with pytest.raises(InputError, match=sentence):
        run_cells(out=tmp_path / "out", **options)
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_unwritable_store_is_refused_before_work(tmp_path: Path) -> None:
    """A file where the results folder should be: refused at once, by name."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*taken"):
        run_cells("vae-mlp", "digits", out=tmp_path / "taken", **TINY)


def test_every_metric_ranks_real_above_collapsed_and_noise(tmp_path: Path) -> None:
    """The controls, on 256 images each: on every quality and diversity metric real held-out images beat noise,
    and beat a collapsed generator too. A metric that fails this measures something else.

    Precision and density measure fidelity alone (Kynkäänniemi et al. 2019, section 3): the five training
    images of `collapsed` are in the reference, so each lies in a reference ball and precision is exactly 1. Its
    collapse shows in their partner, recall, which is near 0.
    """
    options: dict[str, Any] = {"samples": 256, "metrics": ["standard"], "device": "cpu", "out": tmp_path}
    frames = [benchbench.run(model, "digits", **options) for model in ("real", "collapsed", "noise")]
    frame = pd.concat(frames)
    scores = frame[frame["aspect"].isin(["quality", "diversity"]) & frame["higher_is_better"].notna()]
    table = scores.pivot_table(index="metric", columns="model", values="value")
    better = scores.groupby("metric")["higher_is_better"].first()
    sign = better.map({True: 1.0, False: -1.0}).astype(float)
    oriented = table.astype(float).mul(sign, axis=0)
    for judge in ("efficientnet_lite0", "cnn_digits"):
        families = {
            str(metric).removesuffix(f"_{judge}"): row
            for metric, row in oriented.iterrows()
            if str(metric).endswith(judge)
        }
        assert {"fd", "kd", "precision", "recall", "density", "coverage"} <= set(families)
        for family, row in families.items():
            assert row["real"] > row["noise"], (family, judge)
            if family not in {"precision", "density"}:
                assert row["real"] > row["collapsed"], (family, judge)
        assert families["precision"]["collapsed"] == 1
        assert families["recall"]["collapsed"] < 0.05


@pytest.mark.parametrize(
    ("model", "named", "reason"),
    [
        ("noise", "mse", "this model gives nothing back"),
        ("noise", "cycle_mae", "a model that turns images into others"),
        ("noise", "conditional_accuracy", "asked for classes"),
        ("cnn", "fd", "names classes and draws no images"),
    ],
)
def test_a_named_metric_without_a_meaning_says_why(
    model: str, named: str, reason: str, tmp_path: Path
) -> None:
    """A row without a value, in the table and in the key: the same command again is that record, and the same cell
    without the name another."""
    options: dict[str, Any] = {"out": tmp_path, "device": "cpu"}
    options |= {"overrides": ["training.steps=1"]} if model == "cnn" else {"samples": 16}
    ((path, _),) = run_cells(model, "digits", metrics=[named], **options)
    rows = benchbench.load_results(path)
    (row,) = rows[rows["metric"].str.startswith(named)].to_dict("records")
    assert row["status"] == "failed"
    assert pd.isna(row["value"])
    assert reason in row["reason"]
    ((again, cached),) = run_cells(model, "digits", metrics=[named], **options)
    assert (again, cached) == (path, True)
