"""A classifier's cell, and the metrics that lean on it or on held-out images, from command to record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchbench
from benchbench.core.errors import InputError
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells

# As few steps as do: batch norms' running averages, momentum 0.1, lag behind weights that move fast.
TINY: dict[str, Any] = {"overrides": ["training.steps=60", "batch_size=16", "lr=1e-3"], "device": "cpu"}


@pytest.mark.costly
def test_a_classifier_leaves_its_accuracy_and_its_weights(tmp_path: Path) -> None:
    """A record without pictures. Its accuracy is on the 899 held-out digits, so a multiple of 1/899, with Wilson's
    interval, and far above the 0.1 of chance. The same call answers from the record; its weights give the same
    number in a cell of their own."""
    ((path, cached),) = run_cells("cnn", "digits", out=tmp_path / "a", **TINY)
    assert not cached
    assert sorted(p.name for p in path.iterdir()) == [
        "curves.csv",
        "metrics.csv",
        "run.json",
        "training.png",
        "weights.safetensors",
    ]
    frame = benchbench.load_results(tmp_path / "a").set_index("metric")
    row = frame.loc["accuracy"]
    assert (row["task"], row["aspect"], row["n_images"]) == ("classification", "quality", 899)
    assert row["interval"] == "95% Wilson over held-out images"
    assert list(frame.index[frame["headline"]]) == ["accuracy"]
    assert 0.3 < row["low"] < row["value"] < row["high"]
    assert row["value"] * 899 == pytest.approx(round(row["value"] * 899), abs=1e-9)
    # By hand: 9·(32·1·32² + 64·32·16² + 128·64·8²) + 1280 multiply-adds.
    macs = 9 * (32 * 32**2 + 64 * 32 * 16**2 + 128 * 64 * 8**2) + 1280
    assert frame.loc["flops_per_image", "value"] == 2 * macs
    assert read_run_json(path / "run.json")["extractors"] == {}
    assert run_cells("cnn", "digits", out=tmp_path / "a", **TINY)[0].cached

    weights = path / "weights.safetensors"
    ((loaded, _),) = run_cells("cnn", "digits", out=tmp_path / "b", weights=weights, **TINY)
    assert loaded.name != path.name
    again = benchbench.load_results(loaded).set_index("metric")
    assert again.loc["accuracy", "value"] == row["value"]
    assert "training_rate" not in again.index


def test_what_a_classifier_cannot_do(tmp_path: Path) -> None:
    """Images asked of it, and a folder without labels: one sentence each, nothing stored."""
    with pytest.raises(InputError, match="'cnn' names classes and draws no images; leave --samples out"):
        run_cells("cnn", "digits", out=tmp_path / "out", samples=10, **TINY)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for level in range(8):
        Image.fromarray(np.full((16, 16, 3), 30 * level, np.uint8)).save(pictures / f"{level}.png")
    with pytest.raises(InputError, match="this dataset has no labels"):
        run_cells("cnn", f"folder:{pictures}", out=tmp_path / "out", **TINY)
    assert not list((tmp_path / "out").rglob("*.csv"))


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Metric by control row, 300 images each, judged by the shipped classifier."""
    out = tmp_path_factory.mktemp("controls")
    options: dict[str, Any] = {
        "metrics": [
            "modes",
            "class_kl",
            "class_tv",
            "nn_distance_ratio",
            "ct",
            "authenticity",
            "fld",
            "fld_gap",
        ],
        "extractors": ["cnn_digits"],
        "samples": 300,
        "device": "cpu",
        "out": out,
    }
    frames = [benchbench.run(model, "digits", **options) for model in ("real", "memorizer", "collapsed")]
    frame = pd.concat(frames)
    frame = frame[frame["extractor"] == "cnn_digits"]
    assert (frame["status"] == "ok").all()
    frame["metric"] = frame["metric"].str.removesuffix("_cnn_digits")
    return frame.pivot_table(index="metric", columns="model", values=["value", "low", "high"])


@pytest.mark.costly
def test_copies_are_flagged_and_real_images_are_not(controls: pd.DataFrame) -> None:
    """The memorizer hands out training images: distance 0, so ratio 0, no authentic one, C_T beyond any chance
    (−3 is one in a thousand). `real` is held-out images: their ratio and C_T are 1 and 0 but for the choice of 300
    of 899, within four standard errors (of about 3% and of 1). FLD of real images is 0 and its gap, too, but for the
    cut of the digits, on whose one side the judge was trained; copies lie above and far below by their intervals."""
    value = controls["value"]
    assert value.loc["nn_distance_ratio", "memorizer"] == 0
    assert value.loc["authenticity", "memorizer"] == 0
    assert value.loc["ct", "memorizer"] < -20
    assert value.loc["nn_distance_ratio", "real"] == pytest.approx(1, abs=0.12)
    assert abs(value.loc["ct", "real"]) < 4
    assert value.loc["authenticity", "real"] > 0.4
    low, high = controls["low"], controls["high"]
    assert low.loc["fld", "real"] < 0 < high.loc["fld", "real"]
    assert low.loc["fld", "memorizer"] > high.loc["fld", "real"]
    assert high.loc["fld_gap", "memorizer"] < low.loc["fld_gap", "real"] - 50


@pytest.mark.costly
def test_a_collapsed_generator_covers_few_classes(controls: pd.DataFrame) -> None:
    """Five images are at most five classes of ten, so at least half of the mass is missing: TV at least about ½
    (real shares are 10% ± 1) and KL at least about log 2. Real images cover all ten with a TV of about
    ½·√(2·10·0.09/(300π)) ~ 0.05."""
    value = controls["value"]
    assert value.loc["modes", "collapsed"] <= 5
    assert value.loc["class_tv", "collapsed"] > 0.45
    assert value.loc["class_kl", "collapsed"] > 0.6
    for model in ("real", "memorizer"):
        assert value.loc["modes", model] == 10
        assert value.loc["class_tv", model] < 0.12
        assert value.loc["class_kl", model] < 0.05
