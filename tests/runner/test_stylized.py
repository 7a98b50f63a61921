"""Stylization through the real path: the control row is known, an optimised and a trained model leave whole records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_domains
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.metrics.pairs.style import GramDistance
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells
from benchbench.tasks.stylization import tiles
from benchbench.views.report import render_report

pytestmark = pytest.mark.costly

SIZE = 32
LITE0 = "efficientnet_lite0"


def run(model: str, out: Path, *overrides: str, **options: Any) -> tuple[Path, pd.DataFrame]:
    ((path, _),) = run_cells(
        model, "photographs", out=out, device="cpu", size=SIZE, overrides=overrides, **options
    )
    return path, load_results(path).set_index("metric")


def test_identity_is_the_control_that_is_known(tmp_path: Path) -> None:
    """Output = content: the content distance is 0; the Gram distance is that of the contents to the styles, and artfd
    is 1 + FD of the contents' tiles, each twice, to the styles' tiles. 4 outputs; 4 × 25 tiles against 2 × 25. Means
    and FDs of the same features, whose last digits depend on the batch: 1e-4."""
    path, rows = run("identity", tmp_path, metrics=["standard", "artfd"])
    assert list(rows.index[rows["headline"]]) == [f"gram_distance_{LITE0}"]
    assert (rows["status"] == "ok").all(), rows[rows["status"] != "ok"]["reason"].to_string()
    assert sorted(file.name for file in path.iterdir()) == ["metrics.csv", "run.json", "stylizations.png"]
    assert set(rows["task"]) == {"stylization"}
    data = load_domains("photographs", size=SIZE)
    contents, styles = data.a.held_out.images, data.b.held_out.images
    assert rows.loc[f"content_distance_{LITE0}", "value"] == 0
    pairs = contents.repeat(2, 1, 1, 1), styles.repeat_interleave(2, 0)
    expected = float(GramDistance(LITE0).of_pairs(*pairs).mean())
    assert rows.loc[f"gram_distance_{LITE0}", "value"] == pytest.approx(expected, rel=1e-4)
    judge = EfficientNetLite0()
    features = [judge(tiles(images)).features for images in (contents.repeat(2, 1, 1, 1), styles)]
    artfd = 1 + frechet_distance_from_features(*features)
    assert rows.loc[f"artfd_{LITE0}", "value"] == pytest.approx(artfd, rel=1e-4)
    assert tuple(rows.loc[f"artfd_{LITE0}", ["n_images", "n_reference"]]) == (100, 50)
    assert rows.loc[f"gram_distance_{LITE0}", "n_images"] == 4
    assert pd.isna(rows.loc[f"artfd_{LITE0}", "low"])
    assert {"sampling_rate", "latency_p50", "flops_per_image", "parameters_sampling"} <= set(rows.index)


def test_nst(tmp_path: Path) -> None:
    """Some iterations take most of the Gram distance of the control away and some of the content; the record names the
    network, and the picture shows three lines of three images: a corner, styles, contents, outputs."""
    _, control = run("identity", tmp_path)
    path, rows = run("nst", tmp_path, "iterations=40")
    assert rows.loc[f"gram_distance_{LITE0}", "value"] < control.loc[f"gram_distance_{LITE0}", "value"] / 2
    assert rows.loc[f"content_distance_{LITE0}", "value"] > 0.01
    record = read_run_json(path / "run.json")
    assert record["config"]["network"] == LITE0
    assert record["training"] is None
    text = render_report(tmp_path)
    # The control is a landmark beside it, and none of two models.
    assert f"nst iterations=40 has gram_distance_{LITE0}: " in text
    assert "Landmark: identity has " in text
    assert text.count("data:image/webp;base64,") == 2
    assert set(record["data"]["domains"]) == {"content", "style"}
    with Image.open(path / "stylizations.png") as picture:
        assert picture.width > 3 * 64
        assert picture.height > 3 * 64


def test_fast_style_is_trained_once(tmp_path: Path) -> None:
    """Four steps of a tiny network: curves with the parts of the loss, weights that are loaded again and give the same
    outputs, for asking for another metric trains nothing anew."""
    options = ("steps=4", "batch_size=2", "model.width=4", "model.blocks=1")
    path, rows = run("fast-style", tmp_path, *options, name="tiny")  # a heading without the settings
    files = {
        "metrics.csv",
        "run.json",
        "stylizations.png",
        "curves.csv",
        "training.png",
        "weights.safetensors",
    }
    assert {file.name for file in path.iterdir()} == files
    curves = pd.read_csv(path / "curves.csv")
    # A player a style, each with its own loss.
    assert {"content", "style", "total_variation", "loss_style0", "loss_style1"} <= set(curves.columns)
    assert "training_rate" in rows.index
    name = f"gram_distance_{LITE0}"
    again, alone = run("fast-style", tmp_path, *options, metrics=[name])
    assert again != path
    assert alone.loc[name, "value"] == rows.loc[name, "value"]
    loaded, same = run(
        "fast-style",
        tmp_path / "loaded",
        "model.width=4",
        "model.blocks=1",
        weights=path / "weights.safetensors",
        name="tiny",
    )
    assert same.loc[name, "value"] == rows.loc[name, "value"]
    pictures = [np.asarray(Image.open(folder / "stylizations.png")) for folder in (path, loaded)]
    assert np.array_equal(*pictures)


def test_metrics_of_other_tasks(tmp_path: Path) -> None:
    """Right answers, cycles and held-out images are what no stylization has. A set such as `all` leaves those metrics
    out; one that was named has a row that says why there is no number. Distributions are of tiles."""
    _, rows = run("identity", tmp_path, metrics=["fd", "kd", "content_distance", "mse", "cycle_mae", "ct"])
    found = rows[~rows["aspect"].isin(["throughput", "cost"])]
    assert {f"fd_{LITE0}", f"kd_{LITE0}", f"content_distance_{LITE0}"} <= set(
        found[found["status"] == "ok"].index
    )
    failed = found[found["status"] == "failed"]
    assert set(failed.index) == {"mse", "cycle_mae", f"ct_{LITE0}"}
    assert failed.loc["mse", "reason"].startswith("a picture in a style has no right answer")
    assert rows.loc[f"fd_{LITE0}", "n_images"] == 100
    _, everything = run("identity", tmp_path, metrics=["all"])
    assert not {"mse", "cycle_mae", f"ct_{LITE0}"} & set(everything.index)


def test_gram_distance_is_of_float32_whatever_the_others_are(tmp_path: Path) -> None:
    """It reads the maps by itself: the same number to the last digit, and the row says float32 beside its neighbour's
    bfloat16."""
    options = {"metrics": ["gram_distance", "content_distance"]}
    whole, half = (run("identity", tmp_path, precision=p, **options)[1] for p in ("float32", "bfloat16"))
    name = f"gram_distance_{LITE0}"
    assert half.loc[name, "value"] == whole.loc[name, "value"]
    assert half["precision"].dropna().to_dict() == {name: "float32", f"content_distance_{LITE0}": "bfloat16"}


def test_models_that_cannot(tmp_path: Path) -> None:
    """A translator learns a domain and not a style, and style transfer needs styles: refused before anything is
    computed."""
    for model, dataset in (("cyclegan", "photographs"), ("nst", "digits")):
        with pytest.raises(InputError) as refused:
            run_cells(model, dataset, out=tmp_path, device="cpu", size=SIZE)
        assert model in str(refused.value) or dataset in str(refused.value)
    assert not any(tmp_path.iterdir())
