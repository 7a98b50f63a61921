"""Kills at random moments: nothing is lost, and the numbers are those of a run that nobody killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
from forked import FORKS

import benchbench
from benchbench.results.provenance import read_run_json
from benchbench.training.checkpoint import BEFORE, FILE

RUN: dict[str, Any] = {
    "samples": 200,
    "device": "cpu",
    "metrics": ["fd", "precision", "mse"],
    "overrides": [
        "training.steps=150",
        "batch_size=32",
        "latent=4",
        "checkpoint_every=5",
        "monitor_every=50",
    ],
}
SUITE = """
models = ["vae-mlp", "noise"]
datasets = ["digits"]
seeds = 2
[settings]
samples = 100
metrics = ["fd", "mse"]
[[override]]
match = { model = "vae-mlp" }
set = { steps = 200, batch_size = 32, latent = 4, checkpoint_every = 9 }
"""
SPEED = ("throughput", "cost")


def numbers(out: Path) -> pd.DataFrame:
    """Everything but speed, in a fixed order."""
    frame = benchbench.load_results(out)
    columns = ["model", "seed", "metric", "status", "value"]
    return frame[~frame["aspect"].isin(SPEED)][columns].sort_values(columns[:3]).reset_index(drop=True)


def sealed(out: Path) -> dict[str, dict[str, str]]:
    """By cell, the sha256 of what must not differ in a single bit."""
    runs = [read_run_json(file) for file in out.rglob("run.json")]
    same = ("weights.safetensors", "curves.csv", "samples.npz")
    return {run["cell"]: {name: sha for name, sha in run["files"].items() if name in same} for run in runs}


def left_over(out: Path, cache: Path) -> list[str]:
    """What no finished store holds."""
    hidden = [path for root in (out, cache) for path in root.rglob("*") if path.suffix in (".tmp", ".parts")]
    return [str(path) for path in [*hidden, *(out / ".work").glob("*")]]


def environment(cache: Path) -> dict[str, str]:
    """One thread adds in one order; a cache of its own is hit by the kills as well."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "BENCHBENCH_CACHE": str(cache)}


def steps_kept(out: Path) -> int:
    """How far the newest whole checkpoint is; 0 where there is none."""
    for name in (FILE, BEFORE):
        for file in out.glob(f".work/*/{name}"):
            return int(torch.load(file, weights_only=True)["state"]["run"]["step"])
    return 0


def run(out: Path, cache: Path) -> None:
    """The run that is killed, in a process of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.environ["BENCHBENCH_CACHE"] = str(cache)
    benchbench.run("vae-mlp", "digits", out=out, **RUN)


def run_killed(out: Path, cache: Path, delay: float = 600) -> bool:
    """Start the run, and kill it after `delay` seconds. Returns whether it was still running. It is a fork, so that
    moments are among those of its work and not of its imports."""
    process = FORKS.Process(target=run, args=(out, cache))
    process.start()
    process.join(delay)
    if process.exitcode is None:
        _end(process.pid)
        process.join()
        return True
    assert process.exitcode == 0, "it ended by itself, and not well"
    return False


def _end(pid: int | None) -> None:
    assert pid is not None
    children = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "a child outlived the command"


def killed(command: list[str], delay: float, env: dict[str, str]) -> bool:
    """Start the command and kill it after `delay` seconds, its children with it when they notice. Returns whether it
    was still running."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet) as process:
        try:
            assert process.wait(delay) == 0, "it ended by itself, and not well"
        except subprocess.TimeoutExpired:
            _end(process.pid)
            return True
    return False


@pytest.mark.slow
def test_25_kills_of_a_run(tmp_path: Path) -> None:
    """SIGKILL at 25 seeded moments between the start and the end of a run, each followed by the same command. No
    checkpoint is ever behind the one before; whenever a run comes to its end its numbers, weights, curves and samples
    equal, to the last bit, those of a run that was never killed; and nothing of the kills is left."""
    rng, cache = random.Random(14), tmp_path / "cache"
    whole, outs = tmp_path / "whole", [tmp_path / "0"]
    # Timed when caches are warm, as they are for most that are killed.
    for out in (whole, tmp_path / "again"):
        start = time.monotonic()
        assert not run_killed(out, tmp_path / "whole-cache")
        length = time.monotonic() - start
    kills = 0
    while kills < 25:
        before = steps_kept(outs[-1])
        if run_killed(outs[-1], cache, rng.uniform(0.05, 1.0) * length):
            kills += 1
            assert steps_kept(outs[-1]) >= before or list(outs[-1].rglob("run.json"))
        else:
            outs.append(tmp_path / str(len(outs)))
    for out in outs:
        assert not run_killed(out, cache)
        pd.testing.assert_frame_equal(numbers(out), numbers(whole), rtol=0, atol=0)
        assert sealed(out) == sealed(whole)
        assert left_over(out, cache) == []


@pytest.mark.slow
def test_5_kills_of_a_suite(tmp_path: Path) -> None:
    """SIGKILL of a suite with two cells at a time, at 5 seeded moments: the children end too, the next call goes on,
    and the four cells are those of a suite that was never killed."""
    rng, env = random.Random(41), environment(tmp_path / "cache")
    (tmp_path / "suite.toml").write_text(SUITE)
    command = [sys.executable, "-m", "benchbench", "suite", str(tmp_path / "suite.toml"), "--jobs", "2"]
    command += ["--device", "cpu", "--out"]
    whole, out = tmp_path / "whole", tmp_path / "out"
    start = time.monotonic()
    subprocess.run([*command, str(whole)], env=environment(tmp_path / "whole-cache"), check=True)
    length = time.monotonic() - start
    done: set[str] = set()
    for _ in range(5):
        killed([*command, str(out)], rng.uniform(0.2, 0.7) * length, env)
        found = set(sealed(out)) if out.exists() else set()
        assert done <= found, "a finished cell was lost"
        done = found
    subprocess.run([*command, str(out)], env=env, check=True)
    pd.testing.assert_frame_equal(numbers(out), numbers(whole), rtol=0, atol=0)
    assert len(sealed(out)) == 4
    assert sealed(out) == sealed(whole)
    assert left_over(out, tmp_path / "cache") == []
