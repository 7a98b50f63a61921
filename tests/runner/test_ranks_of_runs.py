"""`run` and `evaluate` over 1, 2 and 3 processes, as torchrun starts them: equal records, and an end when one dies.

Expected is what one process finds. Images go through networks one at a time, so that features are the same to the last
bit; what is made of them differs by the order of sums in float64, hence 1e-9.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from jobs import PATIENCE, ended, started

pytestmark = [pytest.mark.costly, pytest.mark.slow]

PROGRAM = """
import json, sys
from pathlib import Path
import torch
import benchbench
from benchbench.core.errors import InputError

folder, size = Path(sys.argv[1]), sys.argv[2]
generator = torch.Generator().manual_seed(0)
real = torch.randint(0, 256, (45, 3, 8, 8), generator=generator, dtype=torch.uint8)
made = torch.cat([real[:3], torch.randint(60, 256, (38, 3, 8, 8), generator=generator, dtype=torch.uint8)])
same = {"extractors": ["cnn_digits"], "device": "cpu", "batch_size": 1}
everything = ["fd", "kd", "precision", "recall", "density", "coverage", "duplicate_rate", "authenticity", "ct", "vendi"]
with benchbench.ranks() as comm:
    frames = [
        benchbench.run("vae-mlp", "digits", weights=folder / "weights.safetensors", overrides={"latent": 4}, samples=41,
                       metrics=everything, out=folder / f"run-{size}", comm=comm, **same),
        benchbench.evaluate(made, real, everything, out=folder / f"evaluate-{size}", comm=comm, **same),
        benchbench.evaluate(made, real[:41], ["psnr", "ssim"], comm=comm, **same),
    ]
    again = benchbench.evaluate(made, real, everything, out=folder / f"evaluate-{size}", comm=comm, **same)
    assert again["value"].equals(frames[1]["value"])
    try:
        benchbench.run("vae-mlp", "digits", weights=folder / "no-such.safetensors", out=folder / "x", comm=comm)
        refused = None
    except InputError as error:
        refused = str(error)
columns = ["metric", "aspect", "value", "low", "high", "status", "n_images", "n_reference"]
print(json.dumps([json.loads(frame[columns].to_json(orient="records", double_precision=15)) for frame in frames]))
print(json.dumps(refused))
"""


def weights(folder: Path) -> None:
    """Of an untrained model, for all jobs to draw from."""
    import torch

    from benchbench.core.protocols import ImageSpec
    from benchbench.models.build import build_model
    from benchbench.training.weights import save_weights

    torch.manual_seed(0)
    model = build_model("vae-mlp", {"latent": 4}, ImageSpec(32, 32, True, 10))
    save_weights(model, folder / "weights.safetensors", name="vae-mlp")


def quality(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What does not depend on the clock or the machine."""
    return {
        row["metric"]: [row[name] for name in ("value", "low", "high", "status", "n_images", "n_reference")]
        for row in rows
        if row["aspect"] not in ("throughput", "cost")
    }


def test_records_of_ranks_are_equal(tmp_path: Path) -> None:
    """A run, an evaluation of sets, and one of pairs: the same rows on every rank of every job, the same images in the
    record, and of ranks one of which would fail the same sentence."""
    weights(tmp_path)
    cache = str(tmp_path / "cache")
    found = {}
    for size in (1, 2, 3):
        said = ended(started(size, ["-c", PROGRAM, str(tmp_path), str(size)], BENCHBENCH_CACHE=cache))
        assert [code for code, _, _ in said] == [0] * size, said[0][2]
        lines = [out.splitlines()[-2:] for _, out, _ in said]
        assert all(own == lines[0] for own in lines)
        assert "no-such.safetensors" in lines[0][1]
        found[size] = [quality(rows) for rows in json.loads(lines[0][0])]
    for size in (2, 3):
        for ours, alone in zip(found[size], found[1], strict=True):
            assert ours.keys() == alone.keys()
            assert len(alone) >= 2
            for name, row in alone.items():
                assert ours[name][3:] == row[3:], name
                there = [float("nan") if number is None else number for number in row[:3]]
                here = [float("nan") if number is None else number for number in ours[name][:3]]
                assert here == pytest.approx(there, rel=1e-9, abs=1e-12, nan_ok=True), name
    (one,), (two,), (three,) = (list((tmp_path / f"run-{size}").rglob("samples.npz")) for size in (1, 2, 3))
    assert one.read_bytes() == two.read_bytes() == three.read_bytes()
    machines = [json.loads(one.with_name("run.json").read_text())["machine"] for one in (one, three)]
    assert [machine.get("ranks") for machine in machines] == [None, 3]
    assert one.parent.name == three.parent.name  # one key


def torchrun(size: int, arguments: list[str], **more: str) -> subprocess.Popen[str]:
    """`torchrun -m benchbench ARGUMENTS`."""
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    return subprocess.Popen(
        [*program, "-m", "benchbench", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sentences(text: str) -> list[str]:
    """What benchbench says on stderr, without what torchrun does."""
    return [line for line in text.splitlines() if line.startswith("benchbench: ")]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_job(victim: int, tmp_path: Path) -> None:
    """SIGKILL while three ranks train: the job ends at once, one rank says which one is gone, no process is left, and
    the checkpoint is there. Bounded by two minutes, of which torch's own waiting for processes to end is half a one."""
    asked = ["run", "--model", "vae-mlp", "--dataset", "digits", "--set", "steps=1000000", "--device", "cpu"]
    asked += [
        "--set",
        "checkpoint_every=5",
        "--metrics",
        "fd",
        "--extractor",
        "cnn_digits",
        "--out",
        str(tmp_path),
    ]
    job = torchrun(3, asked)
    try:
        until = time.monotonic() + PATIENCE
        while not (kept := list(tmp_path.rglob("checkpoint.pt"))) and time.monotonic() < until:
            assert job.poll() is None, job.communicate()
            time.sleep(0.2)
        children = psutil.Process(job.pid).children(recursive=True)
        ranks = {child.environ().get("RANK"): child for child in children}
        ranks[str(victim)].send_signal(signal.SIGKILL)
        _, err = job.communicate(timeout=120)
    finally:
        job.kill()
    assert kept
    assert job.returncode != 0
    (sentence,) = sentences(err)
    assert f"rank {victim} of 3 is gone" in sentence
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert list(tmp_path.rglob("checkpoint.pt"))


def test_one_rank_speaks_for_all(tmp_path: Path) -> None:
    """A model that nobody knows, and a verb that is work of one process: one sentence each, from two ranks."""
    for arguments, words in (
        (["run", "--model", "nois", "--dataset", "digits", "--out", str(tmp_path)], "did you mean 'noise'"),
        (["suite", "cells.toml"], "benchbench suite is work of one process, and torchrun started 2"),
    ):
        ranks = started(2, ["-m", "benchbench", *arguments])
        said = ended(ranks)
        assert [code for code, _, _ in said] == [2, 2]
        assert words in said[0][2]
        assert sentences(said[1][2]) == []


HANGING = """
import time
import benchbench
from benchbench.core.errors import RankLost
try:
    with benchbench.ranks() as comm:
        comm.gather(1)
        if comm.rank == 1:
            time.sleep(25)
        comm.gather(2)
except RankLost as error:
    print(error)
    raise SystemExit(error.exit_code)
"""


def test_a_rank_that_hangs_is_not_waited_for_without_end() -> None:
    """Rank 1 sleeps for longer than the others wait; these say for how long they did, and end with code 4."""
    (code, out, _), _ = ended(started(2, ["-c", HANGING], BENCHBENCH_RANK_TIMEOUT="10"))
    assert code == 4
    assert "did not answer within 10 seconds (BENCHBENCH_RANK_TIMEOUT sets" in out
