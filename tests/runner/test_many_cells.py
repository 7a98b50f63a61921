"""A suite of 24 small cells under every executor: killed, interrupted, twice at once. One cell fails on purpose.

What is expected is what the same suite gives that nobody disturbed: the same numbers to the last bit (one thread adds
in one order), whoever carries the cells out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest

import benchbench
from benchbench.results.load import load_failures
from benchbench.results.store import Store

pytestmark = pytest.mark.slow

SUITE = """
models = ["vae-mlp", "noise", "real"]
datasets = ["digits"]
seeds = 8
[settings]
samples = 16
metrics = ["fd"]
[[override]]
match = { model = "vae-mlp" }
set = { steps = 40, batch_size = 32, latent = 4, checkpoint_every = 5 }
[[override]]
match = { model = "vae-mlp", seed = 7 }
set = { lr = 1e30 }
"""
CELLS, FAILING = 24, "vae-mlp on digits, seed 7"
EXECUTORS = {
    "local": ["--jobs", "2"],
    "slurm": ["--executor", "slurm", "--executor-option", "cluster=local", "--jobs", "2"],
    "ray": ["--executor", "ray", "--jobs", "2"],
}
PATIENCE = 1800.0  # seconds; a machine may be busy
COUNTED = """
import os, sys
try:
    import benchbench.runner.cell as cell
except ImportError:
    pass
else:
    carried_out = cell._carried_out
    def counted(plan, *rest):
        descriptor = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, plan.key.encode() + b"\\n")
        os.close(descriptor)
        return carried_out(plan, *rest)
    cell._carried_out = counted
"""


def environment(cache: Path, **more: str) -> dict[str, str]:
    own = {"OMP_NUM_THREADS": "1", "BENCHBENCH_CACHE": str(cache), "RAY_raylet_start_wait_time_s": "600"}
    return {**os.environ, **own, **more}


@pytest.fixture(scope="module")
def suite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "suite.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def command(file: Path, out: Path, executor: str = "local") -> list[str]:
    return [sys.executable, "-m", "benchbench", "suite", str(file), "--out", str(out), "--device", "cpu",
            *EXECUTORS[executor]]  # fmt: skip


@pytest.fixture(scope="module")
def whole(suite_file: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = subprocess.run(command(suite_file, out), env=environment(cache), capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert f"1 of {CELLS} cells failed. {FAILING}: " in done.stderr
    return out


def table(out: Path) -> pd.DataFrame:
    """Every number but those of a clock, in a fixed order."""
    frame = benchbench.load_results(out)
    frame = frame[~frame["aspect"].isin(["throughput", "cost"])]
    columns = ["cell", "model", "variant", "seed", "metric", "status", "value", "low", "high"]
    return frame[columns].sort_values(["cell", "metric"]).reset_index(drop=True)


def weights(out: Path) -> dict[str, str]:
    runs = [json.loads(file.read_text()) for file in out.rglob("run.json")]
    return {run["cell"]: run["files"]["weights.safetensors"] for run in runs if run["model"] == "vae-mlp"}


def finished(out: Path) -> int:
    return len(list(out.glob("digits/*/*/run.json")))


def assert_same(out: Path, whole: Path) -> None:
    """The same table and weights, the same failure, and nothing that a kill left."""
    pd.testing.assert_frame_equal(table(out), table(whole), rtol=0, atol=0)
    assert len(set(table(out)["cell"])) == CELLS - 1
    assert weights(out) == weights(whole)
    failures = [load_failures(root)[["cell", "seed", "reason"]].to_numpy().tolist() for root in (out, whole)]
    assert failures[0] == failures[1]
    assert [line[1] for line in failures[0]] == [7]
    Store(out).tidy()
    # The work of the cell that failed is kept.
    assert len(list((out / ".work").glob("*"))) <= 1
    assert list((out / ".leases").glob("*")) == []
    assert [path for path in out.rglob("*") if path.suffix in (".tmp", ".parts")] == []


def until(what: Callable[[], bool], process: subprocess.Popen[bytes], why: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, why
        assert process.poll() is None, f"it ended before: {why}"
        time.sleep(0.05)


def without_children(process: subprocess.Popen[bytes], number: signal.Signals, executor: str) -> int:
    """Signal the suite. Returns its exit code; its children end as well, but for jobs that a cluster has."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    code = process.wait(PATIENCE)
    if executor == "slurm" and number == signal.SIGKILL:
        return code  # jobs do not need whoever submitted them
    _, alive = psutil.wait_procs(children, timeout=300)
    assert not alive, "a child outlived the suite"
    return code


@pytest.mark.parametrize("executor", EXECUTORS)
def test_three_kills_change_nothing(
    executor: str, suite_file: Path, cache: Path, whole: Path, tmp_path: Path
) -> None:
    """SIGKILL of the suite when 3, 9 and 16 cells are there; no cell is lost, and in the end all is as if nothing had
    been."""
    if executor != "local":
        pytest.importorskip({"slurm": "submitit"}.get(executor, executor))
    out, env = tmp_path / "out", environment(cache)
    started = command(suite_file, out, executor)
    for n in (3, 9, 16):
        with subprocess.Popen(
            started, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            until(lambda n=n: finished(out) >= n, process, f"{n} cells are there")  # type: ignore[misc]
            before = finished(out)
            without_children(process, signal.SIGKILL, executor)
        assert finished(out) >= before
    done = subprocess.run(started, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 4, done.stderr
    assert f"1 of {CELLS} cells failed. {FAILING}: " in done.stderr
    assert_same(out, whole)


def test_an_interrupt_leaves_a_clean_state(
    suite_file: Path, cache: Path, whole: Path, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of a training: exit code 130, no process, no lease and no failure is left, the checkpoint
    is; the same suite goes on to the same table."""
    out, env = tmp_path / "out", environment(cache)
    with subprocess.Popen(
        command(suite_file, out),
        env=env,
        stderr=subprocess.DEVNULL,
        # A shell's background job ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        until(lambda: bool(list(out.glob(".work/*/checkpoint.pt"))), process, "a checkpoint is there")
        assert without_children(process, signal.SIGINT, "local") == 130
    assert list((out / ".leases").glob("*")) == []
    assert load_failures(out).empty
    assert list(out.glob(".work/*/checkpoint.pt"))
    assert [path for path in out.rglob("*") if path.suffix == ".tmp"] == []
    subprocess.run(command(suite_file, out), env=env, stderr=subprocess.DEVNULL, timeout=PATIENCE)
    assert_same(out, whole)


def test_two_suites_at_once_do_no_cell_twice(
    suite_file: Path, cache: Path, whole: Path, tmp_path: Path
) -> None:
    """Both end with the same words, each cell was begun by one of them and by no other, the failing one too.
    (Every process writes down which cells it begins.)"""
    (tmp_path / "sitecustomize.py").write_text(COUNTED)
    out, counted = tmp_path / "out", tmp_path / "counted"
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    env = environment(cache, PYTHONPATH=path, COUNTED=str(counted))
    suites = [
        subprocess.Popen(command(suite_file, out), env=env, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [suite.communicate(timeout=PATIENCE)[1] for suite in suites]
    assert [suite.returncode for suite in suites] == [4, 4], said
    for words in said:
        assert f"1 of {CELLS} cells failed. {FAILING}: " in words
    begun = Counter(counted.read_text().split())
    assert len(begun) == CELLS
    assert set(begun.values()) == {1}
    assert_same(out, whole)


def test_a_job_needs_no_parent(suite_file: Path, cache: Path, whole: Path, tmp_path: Path) -> None:
    """`benchbench job` of files that a suite left, started by a shell that is gone at once: the record of one appears,
    and why the other failed, both as they were."""
    wanted = {}
    for file in (whole / ".logs").glob("*.json"):
        job = json.loads(file.read_text())
        if job["spec"]["seed"] == 7 and job["model"] in ("noise", "vae-mlp"):
            moved = tmp_path / file.name
            moved.write_text(json.dumps({**job, "out": str(tmp_path / "out")}))
            wanted[job["model"]] = job["key"], moved
    for _, file in wanted.values():
        line = f'"{sys.executable}" -m benchbench job "{file}" > /dev/null 2>&1 < /dev/null &'
        subprocess.run(line, shell=True, check=True, env=environment(cache))
    place = {model: tmp_path / "out" / "digits" / model / key for model, (key, _) in wanted.items()}
    awaited = [place["noise"] / "run.json", place["vae-mlp"] / "failed.json"]
    deadline = time.monotonic() + PATIENCE
    while not all(file.exists() for file in awaited):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    there = whole / "digits" / "vae-mlp" / wanted["vae-mlp"][0] / "failed.json"
    assert json.loads(awaited[1].read_text())["reason"] == json.loads(there.read_text())["reason"]
    own, other = table(tmp_path / "out"), table(whole)
    other = other[other["cell"] == wanted["noise"][0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, other, rtol=0, atol=0)
