"""Damaged records, suites, gates and recipes: each is read or refused in one sentence, and nothing hangs or grows.

A record is damaged twice over: as the bytes lie there, and under digests that fit again, for else no damage comes past
the sha256.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import faults
from mutations import COUNT, TEXT, Mutation, mutations
from rich.console import Console

from benchbench.core.errors import BenchbenchError
from benchbench.results.claims.gate import check
from benchbench.results.claims.gate_config import DEFAULT_GATE, load_gate
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_failures, load_results, load_runs, records
from benchbench.results.manifest import RunFacts
from benchbench.results.provenance import sealed
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.summary import summarise
from benchbench.results.tables import write_rows
from benchbench.runner.suite import load_suite, plan_suite
from benchbench.training.recipe import load_recipe
from benchbench.views import comparison
from benchbench.views.leaderboard import leaderboard
from benchbench.views.report_model import page_of
from benchbench.views.table import frame_table, metrics_table

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("every")]

MakeRow = Callable[..., Row]
KEY = "ab" * 8
FACTS: dict[str, Any] = {
    "seed": 0,
    "variant": "",
    "provenance": {"benchbench": "0", "code_revision": None, "python": "3.11", "packages": {}},
    "settings": {"lr": "0.001", "code": "abcd"},
    "machine": {"device": "cpu", "device_name": "a processor", "cores": 2, "load_1min": 0.5},
    "data": {"fingerprint": "f" * 64, "size": "32×32", "train": {"n": 898}, "held_out": {"n": 899}},
    "extractors": {"efficientnet_lite0": {"weights_sha256": "e" * 64, "resize": "bicubic"}},
    "collapse": {"step": 10, "words": "one mode"},
    "classes": {"judge": "cnn_digits", "names": ["0", "1"], "generated": [8, 8], "reference": [4, 12]},
    "recipe": {"model": "noise", "training": {"lr": 1e-3}},
    "seconds": {"training": 1.5, "evaluation": 2.5},
}
SUITE = """models = ["noise", "real"]
datasets = ["digits"]
seeds = 2

[settings]
samples = 16
metrics = ["swd"]
set = { }

[[exclude]]
model = "real"
seed = 1

[[override]]
match = { model = "noise" }
samples = 20
name = "static"
"""
RECIPE = """dataset = "digits"

[model]
name = "vae"
latent = 8

[training]
epochs = 10
lr = 2e-3
betas = [0.5, 0.9]
precision = "fp32"

[training.player.vae]
lr = 1e-4
"""


@pytest.fixture
def folder(tmp_path: Path, make_row: MakeRow) -> Path:
    """The folder of a record in `runs`; `good` beside it holds another one of the same model."""
    for root in ("good", "runs"):
        rows = [make_row(model="noise", cell=KEY, value=12.5 if root == "good" else 13.5)]
        rows.append(
            make_row(model="noise", cell=KEY, metric="ssim", aspect="paired", value=None, reason="too few")
        )
        with Store(tmp_path / root).write("digits", "noise", KEY, RunFacts(**FACTS)) as place:
            write_rows(place / "metrics.csv", rows)
    return Store(tmp_path / "runs").cell_dir("digits", "noise", KEY)


def read(path: Path) -> None:
    """A record's file, as every verb reads it; the first refusal counts."""
    folder = path.parent
    root = folder.parents[2]
    good = root.parent / "good"
    try:
        boards(root)
    except (
        BenchbenchError
    ):  # then whoever else reads it hears the same; see tests/results/test_every_field.py
        Store(root).find("digits", "noise", KEY)
        raise
    load_runs(root)
    compared(root, good)
    check(good, root, load_gate()).as_dict()
    [page_of(found) for found in records(root)]
    Store(root).find("digits", "noise", KEY)


def boards(root: Path) -> None:
    """What is printed of it."""
    frame = load_results(root)
    if frame.empty:
        return
    console = Console(file=io.StringIO(), width=60)
    console.print(frame_table(frame))
    console.print(metrics_table(frame))
    leaderboard(frame, format="latex")
    summarise(frame).to_csv()


def compared(root: Path, good: Path) -> None:
    """As text and as JSON, which takes neither NaN nor infinity."""
    sides = compare(load_results(root), load_results(good))
    whole = comparison.Compared("A", "B", sides, ())
    comparison.markdown(whole)
    comparison.as_json(whole)


def read_table(path: Path) -> None:
    """A table under a run.json that lists it as it is."""
    run = json.loads(_run(path).read_text(encoding="utf-8"))
    run["files"]["metrics.csv"] = hashlib.sha256(path.read_bytes()).hexdigest()
    _run(path).write_text(json.dumps(sealed(run)), encoding="utf-8")
    read(path)


def _run(path: Path) -> Path:
    return path.with_name("run.json")


def read_sealed(path: Path) -> None:
    """A run.json whose seal fits again, where it is JSON at all."""
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        path.write_text(json.dumps(sealed(json.loads(path.read_bytes()))), encoding="utf-8")
    read(path)


def read_suite(path: Path) -> None:
    """As `suite --dry-run`."""
    suite = load_suite(path)
    plan_suite(suite, Store(path.parent / "runs"), device=torch.device("cpu"))


def read_recipe(path: Path) -> None:
    """As `run --recipe`."""
    load_recipe("vae", "digits", path)


def damaged(file: Path, seed: int, count: int = COUNT) -> list[Mutation]:
    """Mutations of a file that is there."""
    return list(mutations(file.read_bytes(), count, seed, TEXT))


def test_run_json(folder: Path) -> None:
    """As it lies there: cut off, edited, in another encoding."""
    file = folder / "run.json"
    assert faults(read, file, damaged(file, 0)) == []


def test_run_json_under_a_seal_that_fits(folder: Path) -> None:
    """What the types and their bounds alone have to refuse."""
    file = folder / "run.json"
    assert faults(read_sealed, file, damaged(file, 1)) == []


def test_metrics_csv(folder: Path) -> None:
    """As it lies there."""
    file = folder / "metrics.csv"
    assert faults(read, file, damaged(file, 2)) == []


def test_metrics_csv_under_digests_that_fit(folder: Path) -> None:
    """What the columns and their bounds alone have to refuse."""
    file = folder / "metrics.csv"
    assert faults(read_table, file, damaged(file, 3)) == []


def test_failed_json(folder: Path) -> None:
    """Why a cell failed: what is lost of it costs nothing else, so nothing is refused."""
    for file in folder.iterdir():
        file.unlink()
    Store(folder.parents[2]).record_failure(
        "digits", "noise", KEY, {"seed": 0, "reason": "no", "when": "now"}
    )
    assert faults(read_failure, folder / "failed.json", damaged(folder / "failed.json", 4)) == []


def read_failure(path: Path) -> None:
    """As every verb that reads records meets it."""
    root = path.parents[3]
    try:
        (line,) = load_failures(root).to_dict("records")
        assert line["path"] == str(path.parent)
        assert Store(root).find("digits", "noise", KEY) is None
    except BenchbenchError as error:
        raise AssertionError("a failure was not read") from error


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [("suite", SUITE, read_suite), ("recipe", RECIPE, read_recipe), ("gate", DEFAULT_GATE, load_gate)],
    ids=["suite", "recipe", "gate"],
)
def test_toml(tmp_path: Path, name: str, text: str, reader: Callable[[Path], object]) -> None:
    """The three kinds of files that people write."""
    file = tmp_path / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    reader(file)
    assert faults(reader, file, damaged(file, 5)) == []
