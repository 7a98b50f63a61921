"""Runs that sinks are told of, from the request to the record, with a sink that remembers."""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from noted import Notes
from PIL import Image
from told import Remembers

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.registry import SINKS, Registry
from benchbench.results.load import records
from benchbench.runner.run import run_cells
from benchbench.sinks.replay import run_of
from benchbench.sinks.sink import LoggedRun
from benchbench.training import trainer

pytestmark = pytest.mark.costly

ASKED: dict[str, Any] = {
    "samples": 8,
    "metrics": ["swd"],
    "extractors": ["cnn_digits"],
    "overrides": {
        "epochs": 4,
        "batch_size": 8,
        "checkpoint_every": 2,
        "latent": 2,
        "width": 4,
    },
    "device": "cpu",
}
STEPS = [2, 4, 6, 8]
"""Of the rows: 16 images are two steps an epoch."""


class Memory(Remembers):
    """Remembers what it is told."""

    opened: ClassVar[list[Memory]] = []

    def __init__(self) -> None:
        super().__init__()
        self.opened.append(self)


class Stubborn(Remembers):
    """Cannot be told of a row."""

    def __init__(self) -> None:
        super().__init__(breaks="scalars")


class Stops(Remembers):
    """Is interrupted by somebody at step 4, the third row."""

    def scalars(self, step: int, values: Any) -> None:
        if step >= 4:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _sinks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three more sinks; every row is told as it comes."""
    entries = Registry._entries
    own = {
        name: EntryPoint(name, f"{__name__}:{thing.__name__}", SINKS.group)
        for name, thing in {"memory": Memory, "stubborn": Stubborn, "stops": Stops}.items()
    }

    def with_ours(self: Registry) -> dict[str, EntryPoint]:
        return entries(self) | (own if self.kind == "sink" else {})

    monkeypatch.setattr(Registry, "_entries", with_ours)
    monkeypatch.setattr(trainer, "CURVES_SECONDS", 0.0)
    monkeypatch.setattr(
        "benchbench.views.curves.plot_curves", lambda *_: None
    )  # the slowest part of such a run
    Memory.opened.clear()
    yield
    Memory.opened.clear()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures of 8 × 8 pixels, of which half are trained on."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    return folder


def run(data: Path, out: Path, **changes: Any) -> tuple[Path, list[str]]:
    """The record of a run, and what was said."""
    notes = Notes()
    (outcome,) = run_cells("vae-mlp", str(data), out=out, progress=notes, **{**ASKED, **changes})
    return outcome.path, notes.said


def told() -> Memory:
    """The only sink that was opened; the plan made one before, to see that it can."""
    (sink,) = [own for own in Memory.opened if own.told]
    return sink


def test_a_run_is_told_as_it_goes_and_is_the_same(pictures: Path, tmp_path: Path) -> None:
    """The sink hears every row of curves.csv at its step, a grid of samples at every scan, the rows of metrics.csv and
    the pictures of the record; key, weights, curves and numbers are those of the run that nobody hears of. What an
    export would say of the record is what the run said of itself, and the same command once more says what to type."""
    watched = {**ASKED["overrides"], "monitor_every": 5}
    quiet, _ = run(pictures, tmp_path / "quiet", overrides=watched)
    path, said = run(pictures, tmp_path / "told", log=["memory"], overrides=watched)
    assert path.name == quiet.name
    for file in ("curves.csv", "weights.safetensors", "samples.png"):
        assert (path / file).read_bytes() == (quiet / file).read_bytes()
    one, other = (pd.read_csv(own / "metrics.csv") for own in (path, quiet))
    same = ~one["aspect"].isin(["throughput", "cost"])
    pd.testing.assert_frame_equal(one[same], other[same])
    assert "logging to memory: memory" in said

    sink = told()
    curves = pd.read_csv(path / "curves.csv")
    assert sink.steps() == curves["step"].tolist() == [2, 4, 5, 6, 8]
    losses = [told[2]["curves/loss"] for told in sink.told if told[0] == "scalars"]
    assert losses == pytest.approx(curves["loss"].tolist(), rel=1e-12)  # CSV has all digits
    images = [own[1:] for own in sink.told if own[0] == "image"]
    assert [step for step, name, _ in images if name == "training/samples"] == [5, 8]
    grid = Image.open(io.BytesIO(images[0][2]))
    assert grid.size == (
        8 * 66 + 2,
        2 * 66 + 2,
    )  # 16 samples of 8 pixels, 8 times enlarged, and 2 around each
    kept = {name: (step, png) for step, name, png in images}
    assert kept["record/samples"] == (8, (path / "samples.png").read_bytes())
    ((_, last, rows),) = [own for own in sink.told if own[0] == "numbers"]
    assert (last, [row.metric for row in rows]) == (8, one["metric"].tolist())
    assert sink.told[-1] == ("close", "finished")

    (record,) = records(path)
    live: LoggedRun = sink.told[0][1]
    assert (live.folder, live.offline) == (tmp_path / "told" / ".memory", False)
    assert run_of(record, live.folder, offline=False) == live
    Memory.opened.clear()
    _, said = run(pictures, tmp_path / "told", log=["memory"], overrides=watched)
    assert (
        f"nothing is logged to memory: the record is there; benchbench export {path} --to memory --out FOLDER"
        in said
    )
    assert not [own for own in Memory.opened if own.told]


def test_a_sink_that_fails_costs_no_run(pictures, tmp_path: Path) -> None:
    """It is named once, with what to type instead, and the other sink hears everything."""
    path, said = run(pictures, tmp_path, log=["stubborn", "memory"])
    (note,) = [text for text in said if "stubborn stopped" in text]
    assert "(OSError: [Errno 28] No space left on device)" in note
    assert f"benchbench export {path} --to stubborn --out FOLDER" in note
    assert told().steps() == STEPS
    assert (path / "metrics.csv").is_file()


def test_a_stopped_run_goes_on_in_its_sinks(pictures: Path, tmp_path: Path) -> None:
    """Interrupted while the row of step 4 is told, it ends as interrupted; the same command with a sink that has
    nothing yet tells that one all the rows, also those of the first sitting."""
    with pytest.raises(KeyboardInterrupt):
        run(pictures, tmp_path, log=["memory", "stops"])
    first = told()
    assert first.steps() == [2, 4]  # it stands before the one that is interrupted
    assert first.told[-1] == ("close", "interrupted")
    Memory.opened.clear()
    _, said = run(pictures, tmp_path, log=["memory"])
    assert any("training goes on from step" in text for text in said)
    assert told().steps() == STEPS


def test_weights_that_are_there_bring_their_curves(pictures: Path, tmp_path: Path) -> None:
    """Another metric on the same training trains nothing; its sinks have the whole curves at the end."""
    run(pictures, tmp_path)
    _, said = run(pictures, tmp_path, log=["memory"], metrics=["recall"])
    assert any("the weights are there already" in text for text in said)
    assert told().steps() == STEPS


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_library_that_is_missing_is_said_before_anything(
    pictures: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before an image is read, and with what to install."""
    real = builtins.__import__

    def refuse(module: str) -> Any:
        if module.partition(".")[0] == name:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(module)

    monkeypatch.setattr("benchbench.sinks.sink.importlib.import_module", refuse)
    with pytest.raises(InputError, match=f"pip install {name}"):
        run(pictures, tmp_path, log=[name])
    assert not list(tmp_path.rglob("*.csv"))


def test_an_unknown_sink_is_named(pictures: Path, tmp_path: Path) -> None:
    """With the nearest one, on the command line too, and in `list sinks`."""
    with pytest.raises(InputError, match="unknown sink 'tensorbord'; did you mean 'tensorboard'"):
        run(pictures, tmp_path, log=["tensorbord"])
    listed = CliRunner().invoke(cli, ["list", "sinks"]).output
    assert all(name in listed for name in ("mlflow", "tensorboard", "wandb"))


def test_a_suite_logs(pictures: Path, tmp_path: Path) -> None:
    """`log` among a suite's settings; the cell's process writes event files and the record."""
    pytest.importorskip("tensorboard")
    suite = tmp_path / "suite.toml"
    suite.write_text(
        f'models = ["noise"]\ndatasets = ["folder:{pictures}"]\n[settings]\nsamples = 8\nmetrics = ["swd"]\n'
        'extractors = ["cnn_digits"]\nlog = "tensorboard"\n'
    )
    out = tmp_path / "runs"
    benchbench.suite(suite, out=out, device="cpu")
    assert len(list((out / ".tensorboard").glob("*/noise/*/events.out.tfevents.*"))) == 1
    assert len(list(records(out))) == 1
