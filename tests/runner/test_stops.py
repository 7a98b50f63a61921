"""Ctrl-C, SIGTERM, a full disk, a child that says nothing: what is kept, what is said, and with which code it ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from noted import Notes

from benchbench.core import files
from benchbench.core.errors import InputError
from benchbench.results.load import load_results
from benchbench.runner import cell
from benchbench.runner.run import run_cells
from benchbench.training import trainer
from benchbench.views import curves

pytestmark = pytest.mark.costly

TINY: dict[str, Any] = {
    "samples": 24,
    "overrides": ["training.steps=12", "batch_size=32", "latent=4", "checkpoint_every=4"],
    "metrics": ["fd", "mse"],
    "device": "cpu",
}
SPEED = ("throughput", "cost")


def numbers(out: Path) -> pd.Series:
    """Everything but speed."""
    frame = load_results(out)
    kept = frame[~frame["aspect"].isin(SPEED)]
    return kept.set_index("metric")["value"].sort_index()


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, what: Callable[[], object]) -> None:
    """Do something in the middle of a step."""
    one_step = trainer._Trainer.one_step

    def meanwhile(self: Any) -> float:
        if self.state.step == step:
            what()
        return one_step(self)

    monkeypatch.setattr(trainer._Trainer, "one_step", meanwhile)


@pytest.mark.parametrize("step", [5, 11])
def test_an_interrupted_training_is_kept_to_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """SIGINT in steps 5 and 11 of 12, counted from 0, with a checkpoint every 4 steps: the step is finished and the
    checkpoint says so, in words too. The same call goes on, to the numbers of a run that was left alone."""
    notes = Notes()
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run_cells("vae-mlp", "digits", out=tmp_path / "out", progress=notes, **TINY)
    (file,) = (tmp_path / "out").glob(".work/*/checkpoint.pt")
    assert torch.load(file, weights_only=True)["state"]["run"]["step"] == step + 1
    assert any(text.startswith(f"interrupted: step {step + 1} of 12 is kept") for text in notes.said)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for out in ("out", "whole"):
        run_cells("vae-mlp", "digits", out=tmp_path / out, **TINY)
    pd.testing.assert_series_equal(numbers(tmp_path / "out"), numbers(tmp_path / "whole"), rtol=0, atol=0)


def test_a_second_interrupt_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in step 6: that step is not finished, and the checkpoint of step 4 is the newest."""

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, 6, twice)
    with pytest.raises(KeyboardInterrupt):
        run_cells("vae-mlp", "digits", out=tmp_path, **TINY)
    (file,) = tmp_path.glob(".work/*/checkpoint.pt")
    assert torch.load(file, weights_only=True)["state"]["run"]["step"] == 4


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),  # in this process it is tried above
        (signal.SIGTERM, 143),
    ],
)
def test_the_command_keeps_its_training(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A real process, stopped after its first row of curves: it ends with 128 and the number of the signal, says that
    the step is kept, and it is; `curves.csv` can be read while it trains."""
    command = [
        sys.executable,
        "-m",
        "benchbench",
        "run",
        "--model",
        "vae-mlp",
        "--dataset",
        "digits",
        "--device",
    ]
    command += ["cpu", "--out", str(tmp_path / "out"), "--samples", "24", "--metrics", "fd"]
    command += ["--set", "training.steps=100000", "--set", "batch_size=32", "--set", "latent=4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "out").glob(".work/*/curves.csv")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert process.returncode == code
    assert "the same command goes on from there" in said
    (work,) = (tmp_path / "out").glob(".work/*/")
    step = torch.load(work / "checkpoint.pt", weights_only=True)["state"]["run"]["step"]
    assert f"step {step} of 100000 is kept" in " ".join(said.split())
    assert pd.read_csv(work / "curves.csv")["loss"].notna().all()


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("whose", "name"),
    [
        (cell, "write_rows"),
        (cell, "write_training"),
        (cell, "write_pictures"),
        (curves, "plot_curves"),
        (files, "_fsync"),
    ],
)
def test_a_full_disk_at_the_record_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: Any, name: str
) -> None:
    """No space for one part of the record: one sentence that names the folder as it would be called, exit code 2, no
    half of a record, and the training is kept. With space again no step is trained twice."""

    def full(*arguments: Any, **more: Any) -> None:
        raise FULL

    run = cell.write_rows
    with monkeypatch.context() as patch:
        if whose is files:  # the training has been written by then

            def then_full(*arguments: Any, **more: Any) -> None:
                run(*arguments, **more)
                patch.setattr(files, "_fsync", full)

            patch.setattr(cell, "write_rows", then_full)
        else:
            patch.setattr(whose, name, full)
        with pytest.raises(InputError, match=r"cannot write .*No space left on device") as caught:
            run_cells("vae-mlp", "digits", out=tmp_path / "out", **TINY)
    assert caught.value.exit_code == 2
    assert ".tmp" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("run.json"))
    (file,) = (tmp_path / "out").glob(".work/*/checkpoint.pt")
    assert torch.load(file, weights_only=True)["state"]["run"]["step"] == 12
    with monkeypatch.context() as patch:
        at_step(patch, 0, lambda: pytest.fail("it was trained again"))
        run_cells("vae-mlp", "digits", out=tmp_path / "out", **TINY)
    assert not list((tmp_path / "out").glob(".work/*"))


def test_a_full_disk_at_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The curves so far find no space: one sentence, and the checkpoint written before them is kept."""

    def full(target: Path, content: str) -> None:
        raise files.cannot_write(target, FULL)

    monkeypatch.setattr("benchbench.training.watch.curves.atomic_write", full)
    with pytest.raises(InputError, match=r"cannot write .*curves\.csv: No space left on device"):
        run_cells("vae-mlp", "digits", out=tmp_path, **TINY)
    assert list(tmp_path.glob(".work/*/checkpoint.pt"))
