"""What several tests of the front door meet: records of a check, and a working folder with one of everything."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from verbs_tried import SUITE, Console

from benchbench.cli import main
from benchbench.core.hashing import digest
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows

MACHINE = {
    "device": "cpu",
    "device_name": "EPYC",
    "processor": "EPYC",
    "cores": 2,
    "threads": 2,
    "load_1min": 0.1,
}
RATE = {"metric": "sampling_rate", "aspect": "throughput", "unit": "images/s", "higher_is_better": True}


@pytest.fixture
def records(make_row: Callable[..., Row]) -> Callable[..., Path]:
    """Write a model's cells below a folder: for each seed a Fréchet distance, SSIM and a rate.

    `noise` draws what differs between seeds, `shift` is added to the distance; both in its own unit.
    """

    def write(
        root: Path,
        seeds: range = range(3),
        *,
        shift: float = 0.0,
        noise: int = 0,
        rate: float = 100.0,
        machine: str = "EPYC",
        name: str = "vae",
        failed: int | None = None,
    ) -> Path:
        rng = np.random.default_rng(noise)
        for seed in seeds:
            key = digest([root.name, seed])[:16]
            distance = 20 + float(rng.normal()) + shift
            named = {"model": name, "seed": seed, "cell": key}
            row = make_row(**named, value=None if seed == failed else distance)
            plain = replace(make_row(**named), low=None, high=None, interval=None)
            rows = [
                row,
                replace(plain, metric="ssim", value=0.9 + 0.01 * float(rng.normal()), higher_is_better=True),
                replace(plain, **RATE, value=rate),
            ]
            run: dict[str, Any] = {
                "machine": {**MACHINE, "processor": machine},
                "data": {"fingerprint": "f" * 64},
            }
            with Store(root).write(row.dataset, row.model, key, RunFacts(**run)) as folder:
                write_rows(folder / "metrics.csv", rows)
        root.mkdir(exist_ok=True)
        return root

    return write


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `world` is a copy of: records of two models, images, a gate and a suite."""
    from benchbench import profile, run

    root = tmp_path_factory.mktemp("origin")
    for model in ("real", "noise"):
        run(model, "digits", samples=16, metrics=["swd"], device="cpu", out=root / "runs")
    [noise] = (root / "runs" / "digits" / "noise").iterdir()
    # What takes seconds: a process of its own, large products and copies.
    quick = {name: lambda *asked: 1e9 for name in ("peak_alone", "product_rate", "copy_rate")}
    with mock.patch.multiple("benchbench.runner.profile", **quick):
        profile("noise", samples=16, metrics=["swd"], most_batch=1, device="cpu", out=root / "runs")
    (root / "images").mkdir()
    for i in range(4):
        pixels = np.full((8, 8, 3), 40 * i, np.uint8)
        pixels[i, i] = 255
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
    (root / "gate.toml").write_text('[metric."*"]\nrelative = 0.5\n')
    (root / "suite.toml").write_text(SUITE)
    spec = {"model": "noise", "dataset": "digits", "samples": 16, "metrics": ["swd"]}
    place = {"dataset": "digits", "model": "noise", "key": noise.name}
    asked = {"spec": spec, "out": "runs", "device": "cpu", "folder": ".", "environment": {}, **place}
    (root / "job.json").write_text(json.dumps(asked))
    _study(root)
    return root


def _study(root: Path) -> None:
    """A study of both models, and an answer as an exported page hands it back."""
    from benchbench import study
    from benchbench.study.folder import load

    study.create(["model=noise", "model=real"], n=2, out=root / "study", results=root / "runs")
    own = load(root / "study").manifest
    answer = {"item": own.items[0].id, "place": 0, "shown": [0, 1], "ms": 1, "at": "2026-11-29T12:00:00Z"}
    given = {"format": "benchbench-study-answers", "version": 1, "study": own.id, "token": "0" * 32}
    (root / "answers.json").write_text(json.dumps({**given, "answers": [answer]}))


@pytest.fixture
def world(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of one's own in which every command of `VERBS` works."""
    import shutil

    root = tmp_path / "world"
    shutil.copytree(origin, root)
    shutil.copytree(root / "runs", root / "base")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Console:
    """The console script in this process with streams of the system, as Python makes them: exit code, what came to
    stdout, what came to stderr. out, err: what is behind a stream instead of a file, None where it is closed."""

    def stream(raw: Any, encoding: str) -> io.TextIOWrapper | None:
        return None if raw is None else io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding)

    def call(*arguments: str, encoding: str = "utf-8", **behind: Any) -> tuple[int, bytes, bytes]:
        files = {name: tmp_path / f"stream-{name}" for name in ("out", "err")}
        raws = {name: behind.get(name, io.FileIO(file, "w")) for name, file in files.items()}
        monkeypatch.setattr(sys, "argv", ["benchbench", *arguments])
        monkeypatch.setattr(sys, "stdout", stream(raws["out"], encoding))
        monkeypatch.setattr(sys, "stderr", stream(raws["err"], encoding))
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), files["out"].read_bytes(), files["err"].read_bytes()

    return call
