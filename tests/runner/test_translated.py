"""Models from image to image through the real path, on a folder of a few small pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.seeds import permutation
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells
from benchbench.views.board import boards
from benchbench.views.report import render_report

pytestmark = pytest.mark.costly

N, N_TRAIN = 12, 15
LITE0 = "efficientnet_lite0"
WAYS = ("AtoB", "BtoA")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """trainA/ … testB/: 15 and 12 pairs of 16×16; B is A with its colours turned round (red is blue)."""
    root = tmp_path_factory.mktemp("data") / "swapped"
    rng = np.random.default_rng(0)
    for split, n in (("train", N_TRAIN), ("test", N)):
        for i in range(n):
            blocks = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            for domain, picture in (("A", blocks), ("B", blocks[..., ::-1])):
                path = root / f"{split}{domain}" / f"{i}_{domain}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.ascontiguousarray(picture)).save(path)
    return root


def run(model: str, folder: Path, out: Path, **options: Any) -> tuple[Path, pd.DataFrame]:
    ((path, _),) = run_cells(model, f"folder:{folder}", out=out, device="cpu", **options)
    return path, load_results(path)


def held_out(folder: Path) -> list[np.ndarray]:
    """The pictures of testA and testB in the order of a dataset, that of the numbers in their names: uint8
    N×16×16×3."""
    return [
        np.stack(
            [
                np.asarray(Image.open(path))
                for path in sorted(
                    (folder / f"test{domain}").iterdir(), key=lambda path: int(path.stem.partition("_")[0])
                )
            ]
        )
        for domain in "AB"
    ]


def values(frame: pd.DataFrame, way: str) -> pd.Series:
    return frame[frame["direction"] == way].set_index("metric")["value"]


def tasks(frame: pd.DataFrame) -> set[tuple[str, str]]:
    """With their directions."""
    return set(frame[["task", "direction"]].itertuples(index=False, name=None))


def test_identity_is_the_control_that_is_known(folder: Path, tmp_path: Path) -> None:
    """Output = input: cycle and identity error are 0, so is the content distance and the diversity; the pixel error
    is that of the two domains, computed here with NumPy from the files; the mean absolute difference of red and blue
    in one direction is that in the other. The Fréchet distance is that of the held-out sources to the held-out
    targets, whose features are taken here in one batch: their last digits depend on it, 1e-4."""
    path, frame = run("identity", folder, tmp_path)
    assert sorted(file.name for file in path.iterdir()) == ["metrics.csv", "run.json", "translations.png"]
    assert (frame["status"] == "ok").all(), frame[frame["status"] != "ok"][["metric", "reason"]].to_string()
    a, b = held_out(folder)
    expected = np.abs(a.astype(float) - b).mean() / 255
    judge = EfficientNetLite0()
    features = [judge(torch.from_numpy(x).movedim(3, 1)).features for x in (a, b)]
    distance = frechet_distance_from_features(*features)
    for way in WAYS:
        found = values(frame, way)
        assert found["mae"] == pytest.approx(expected, rel=1e-12)
        assert found["cycle_mae"] == found["identity_mae"] == found["cycle_growth_rounded"] == 0
        assert found["content_distance_efficientnet_lite0"] == 0
        assert found["input_diversity_efficientnet_lite0"] == 0
        assert found["cycle_growth_noise"] > 0
        assert found[f"fd_{LITE0}"] == pytest.approx(distance, rel=1e-4)
        assert "conditional_accuracy" not in " ".join(
            found.index
        )  # nobody knows the classes of these domains
    # The domains are paired: what is near its right answer leads, once a direction.
    assert frame.loc[frame["headline"], ["task", "direction", "metric"]].to_numpy().tolist() == [
        ["translation", way, "ssim"] for way in WAYS
    ]
    own = frame[frame["metric"] == "fd_efficientnet_lite0"]
    assert set(own["n_images"]) == set(own["n_reference"]) == {N}
    data = read_run_json(path / "run.json")["data"]
    assert data["paired"] == {"train": True, "held_out": True}
    assert data["domains"]["A"]["held_out"]["n"] == N


def test_a_trained_model_answers_from_its_record(folder: Path, tmp_path: Path) -> None:
    """One direction, which training has none of, weights in the record; the second call is the record, and `BtoA`
    another cell."""
    options = {"overrides": ["training.steps=2", "batch_size=4", "width=4"], "metrics": ["mae", "ssim"]}
    path, frame = run("cnn-autoencoder", folder, tmp_path, **options)
    assert tasks(frame) == {("translation", "AtoB"), ("training", "")}
    assert (path / "weights.safetensors").is_file()
    ((again, cached),) = run_cells(
        "cnn-autoencoder", f"folder:{folder}", out=tmp_path, device="cpu", **options
    )
    assert cached
    assert again == path
    options["overrides"] = [*options["overrides"], "direction=BtoA"]
    other, frame = run("cnn-autoencoder", folder, tmp_path, **options)
    assert other != path
    assert tasks(frame) == {("translation", "BtoA"), ("training", "")}
    assert frame["variant"].str.contains("direction=BtoA").all()


def test_views_of_two_domains(folder: Path, tmp_path: Path) -> None:
    """A report on such records counts the images of each domain, names both directions and shows the picture; a board
    has each direction by itself."""
    run("identity", folder, tmp_path, metrics=["mae", "fd"])
    text = render_report(tmp_path)
    assert f"A: {N_TRAIN} training, {N} held out; B: {N_TRAIN} training, {N} held out" in text
    assert text.count("data:image/webp;base64,") == 1
    titles = [board.title for board in boards(load_results(tmp_path))]
    assert {title.split(": ")[1] for title in titles} == {"translation, A to B", "translation, B to A"}


def test_numbers_do_not_depend_on_the_batch(folder: Path, tmp_path: Path) -> None:
    """The same weights scored in batches of 64 and of 5: pixel errors to float noise of one level in few pixels, the
    distance to float32 noise of the features."""
    small = ["training.steps=2", "batch_size=4", "width=4", "disc_width=4", "disc_layers=2"]
    options = {"overrides": small, "metrics": ["mae", "fd", "cycle_mae"]}
    tables = [
        run("cyclegan", folder, tmp_path / str(size), batch_size=size, **options)[1] for size in (64, 5)
    ]
    for way in WAYS:
        one, other = (values(table, way) for table in tables)
        for metric in ("mae", "cycle_mae", "fd_efficientnet_lite0"):
            assert one[metric] == pytest.approx(other[metric], rel=1e-3)


def test_fewer_samples_are_fewer_sources(folder: Path, tmp_path: Path) -> None:
    """`samples` limits what is translated, to a seeded choice each of which keeps its own right answer; the reference
    stays whole. The mean of five absolute differences is taken here with NumPy."""
    _, frame = run("identity", folder, tmp_path, samples=5, metrics=["fd", "mae", "identity_mae"])
    own = frame[frame["direction"] == "AtoB"].set_index("metric")
    assert (
        own.loc["fd_efficientnet_lite0", "n_images"],
        own.loc["fd_efficientnet_lite0", "n_reference"],
    ) == (5, N)
    assert (own.loc["mae", "n_images"], own.loc["identity_mae", "n_images"]) == (5, N)
    chosen = permutation(0, N)[:5]
    a, b = (images[chosen].astype(float) for images in held_out(folder))
    assert own.loc["mae", "value"] == pytest.approx(np.abs(a - b).mean() / 255, rel=1e-12)


def test_the_class_that_was_asked_for_is_the_target_domain(tmp_path: Path) -> None:
    """An image that is left as it is looks like its own domain: the judge of the skin tones, right 98 times of 100,
    sees the other one hardly ever. With the labels exchanged it would see it nearly always."""
    out = run_cells(
        "identity", "openmoji-tones", out=tmp_path, device="cpu", metrics=["conditional_accuracy"]
    )
    frame = load_results(out[0][0])
    for way in WAYS:
        assert values(frame, way)["conditional_accuracy_cnn_openmoji-tones"] < 0.1


def test_unpaired_domains_have_no_truth(folder: Path, tmp_path: Path) -> None:
    """Other names in B: no pairs, so no paired metric, and a model that learns from pairs is refused."""
    other = tmp_path / "unpaired"
    shutil.copytree(folder, other)
    for file in [*other.glob("t*B/*.png")]:
        file.rename(file.with_name(f"other{file.name}"))
    (other / "testB" / "other0_B.png").unlink()
    _, frame = run("identity", other, tmp_path / "out")
    assert not {"mae", "ssim", "pose_error"} & set(frame["metric"])
    assert {"fd_efficientnet_lite0", "cycle_mae"} <= set(frame["metric"])
    assert set(frame.loc[frame["headline"], "metric"]) == {"fd_efficientnet_lite0"}
    _, frame = run("identity", other, tmp_path / "out", metrics=["mae", "cycle_mae"])
    rows = frame[frame["direction"] == "BtoA"].set_index("metric")
    assert (rows.loc["cycle_mae", "status"], rows.loc["mae", "status"]) == ("ok", "failed")
    assert "the held-out images of the two domains are not paired" in rows.loc["mae", "reason"]
    with pytest.raises(InputError, match=r"not paired \(15 in A, 15 in B; .* for example cyclegan"):
        run("pix2pix", other, tmp_path / "out")


@pytest.mark.parametrize(
    ("model", "dataset", "options", "words"),
    [
        ("cyclegan", "digits", {}, "digits"),
        ("cyclegan", "photographs", {}, "holds contents and styles"),
        ("nst", "folder", {}, "needs contents and styles"),
        ("pix2pix", "folder", {"overrides": ["direction=AtoC"]}, "direction"),
        ("cyclegan", "folder", {"overrides": ["direction=BtoA"]}, "unknown setting 'direction'"),
        (
            "cyclegan",
            "folder",
            {"overrides": ["monitor_every=5", "disc_layers=2"]},
            "leave monitor_every at 0",
        ),
        ("cyclegan", "folder", {"metrics": ["cycle_mea"]}, "unknown metric 'cycle_mea'"),
    ],
)
def test_bad_requests(
    model: str, dataset: str, options: dict[str, Any], words: str, folder: Path, tmp_path: Path
) -> None:
    """One sentence each, and nothing is left behind."""
    where = f"folder:{folder}" if dataset == "folder" else dataset
    with pytest.raises(InputError, match=words):
        run_cells(model, where, out=tmp_path / "out", device="cpu", **options)
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_a_model_of_one_kind_of_images_sees_both_domains(folder: Path, tmp_path: Path) -> None:
    """`cnn` tells the domains apart: 24 held-out images of two classes, and the record says how it came to that."""
    path, frame = run("cnn", folder, tmp_path, overrides=["training.steps=2", "batch_size=4", "convs=1"])
    accuracy = frame.set_index("metric").loc["accuracy"]
    assert accuracy["n_images"] == 2 * N
    assert "both domains together, labelled by domain" in read_run_json(path / "run.json")["data"]["notes"]
