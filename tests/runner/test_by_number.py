"""A run on images that stay in their files, from the folder to the record: the same numbers, and little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchbench
from benchbench.core.errors import InputError
from benchbench.data.pipeline import file_images, image_source, reading
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells

SPEED = ("throughput", "cost")
TINY: dict[str, Any] = {"size": 16, "samples": 24, "device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """96 pictures of noise in three class folders, some of them wider than high, one of them twice."""
    rng = np.random.default_rng(0)
    for i in range(96):
        place = tmp_path / "images" / f"c{i % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16 + i % 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{i:03d}.png")
        if i == 0:
            Image.fromarray(pixels).save(place / "copy.png")
    return tmp_path / "images"


def both_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str, dataset: str, **options: Any
) -> Any:
    """(folder of the record, its numbers but for speed) of a run in memory and of one by number, each with a cache of
    its own."""
    found = []
    for way, most in (("memory", float("inf")), ("number", 0)):
        monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / way / "cache"))
        monkeypatch.setattr(reading, "MOST", most)
        out = tmp_path / way / "out"
        ((path, _),) = run_cells(model, dataset, out=out, **{**TINY, **options})
        frame = benchbench.load_results(out)
        found.append((path, frame[~frame["aspect"].isin(SPEED)].set_index("metric")["value"].sort_index()))
        kinds = {entry.name for entry in (tmp_path / way / "cache").iterdir()}
        assert ("scanned" in kinds, "decoded" in kinds) == (way == "number", way == "memory")
    return found


@pytest.mark.costly
@pytest.mark.parametrize(
    ("model", "settings", "metrics"),
    [
        (
            "vae-mlp",
            ["training.steps=6", "batch_size=16", "latent=4", "monitor_every=3", "checkpoint=best"],
            ["fd", "kd", "is", "authenticity", "ssim", "mse"],
        ),
        ("cgan", ["training.steps=4", "batch_size=16"], ["fd"]),
        ("cnn", ["training.steps=4", "batch_size=16"], None),
        ("real", [], ["fd"]),
    ],
)
def test_a_run_by_number_is_the_run_in_memory(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    settings: list[str],
    metrics: list[str] | None,
) -> None:
    """The run in memory says what the other must find: key, numbers, weights, curves, pictures, and all that run.json
    says of the data. With a monitor, a validation part, held-out images, classes that are asked for, a classifier and a
    model that is shown all images."""
    options: dict[str, Any] = {"samples": None} if metrics is None else {"metrics": metrics}
    ways = both_ways(monkeypatch, tmp_path, model, f"folder:{folder}", overrides=settings, **options)
    (one, numbers), (other, same) = ways
    assert one.name == other.name
    pd.testing.assert_series_equal(numbers, same, rtol=1e-6)
    runs = [read_run_json(path / "run.json") for path in (one, other)]
    assert runs[0]["data"] == runs[1]["data"]
    assert runs[0]["files"].keys() == runs[1]["files"].keys()
    for name in runs[0]["files"].keys() & {
        "weights.safetensors",
        "samples.npz",
        "samples.png",
        "neighbours.png",
    }:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.costly
def test_a_file_that_vanishes_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is gone when the training asks for it, after all were looked at; one that became another picture."""
    monkeypatch.setattr(reading, "MOST", 0)
    seen = file_images.scan

    def then(change: Any) -> Any:
        def scan(*args: Any, **options: Any) -> Any:
            found = seen(*args, **options)
            change()
            return found

        return scan

    from benchbench.data.pipeline import assemble

    picture = folder / "c1" / "004.png"
    options: dict[str, Any] = {**TINY, "metrics": ["fd"], "overrides": ["training.steps=50", "batch_size=16"]}
    other = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    for change, sentence in (
        (lambda: other.save(picture), r"004\.png is not what it was when the run began to read it"),
        (picture.unlink, r"004\.png cannot be read: No such file or directory$"),
    ):
        monkeypatch.setattr(assemble, "scan", then(change))
        with pytest.raises(InputError, match=sentence):
            run_cells("vae-mlp", f"folder:{folder}", out=tmp_path / "out", **options)


@pytest.mark.costly
def test_who_is_shown_everything_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control row keeps all images; where they do not fit, the model, the need and the way out are named."""
    monkeypatch.setattr(reading, "MOST", 0)
    room_for = image_source.room_for
    monkeypatch.setattr(image_source, "room_for", lambda n, h, w: room_for(n * 10**9, h, w))
    with pytest.raises(
        InputError,
        match=r"the model 'memorizer' is shown all images at once, and .* images of 16×16 need .* --size$",
    ):
        run_cells("memorizer", f"folder:{folder}", out=tmp_path / "out", metrics=["fd"], **TINY)


BIG = """
import json, sys
from benchbench.data.pipeline import reading
from benchbench.tasks.speed import own_peak_rss
import benchbench

reading.MOST = 2**30
frame = benchbench.run(
    "vae-mlp",
    "folder:" + sys.argv[1],
    out=sys.argv[2],
    metrics=["fd", "psnr"],
    samples=32,
    device="cpu",
    batch_size=16,
    overrides=["training.steps=20", "batch_size=16", "latent=4", "width=4"],
)
values = frame.set_index("metric")
n_reference, n_pairs = values.loc["fd_efficientnet_lite0", "n_reference"], values.loc["psnr", "n_images"]
print(json.dumps([own_peak_rss() / 2**30, int(n_reference), int(n_pairs)]))
"""


@pytest.mark.slow
def test_a_folder_larger_than_the_memory_runs_to_its_record(tmp_path: Path) -> None:
    """4,000 training images of 512 pixels are 2.9 GiB of uint8; the child that learns from them and scores against them
    stays below two thirds of that with all it has, of which its libraries and the extractor alone are 1.1 GiB. The
    files are links to a hundred different ones: to whoever reads them that makes no difference. Held-out images are
    few, for the statistics of an epoch hold up to 256 of them as floats, however many there are.

    Blocks from 1 MiB on go back to the system when they are freed: glibc otherwise raises that threshold to 32 MiB as
    it goes, and keeps up to 0.6 GiB of freed batches, however many images there are (4,000 or 12,000). The test is of
    what the run holds."""
    real, folder = tmp_path / "real", tmp_path / "images"
    for place in (real, folder / "train", folder / "test"):
        place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(132):
        small = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((512, 512)).save(real / f"{i}.jpg", quality=60)
    for i in range(4032):
        part, picture = ("train", i % 100) if i < 4000 else ("test", 100 + i - 4000)
        os.link(real / f"{picture}.jpg", folder / part / f"{i:06d}.jpg")
    ran = subprocess.run(
        [sys.executable, "-c", BIG, str(folder), str(tmp_path / "out")],
        check=True,
        capture_output=True,
        text=True,
        timeout=1800,
        env={
            **os.environ,
            "BENCHBENCH_CACHE": str(tmp_path / "cache"),
            "MALLOC_MMAP_THRESHOLD_": str(2**20),
        },
    )
    peak, n_reference, n_pairs = json.loads(ran.stdout.splitlines()[-1])
    assert (n_reference, n_pairs) == (4000, 32)
    assert peak < 2 / 3 * 4032 * 3 * 512 * 512 / 2**30
