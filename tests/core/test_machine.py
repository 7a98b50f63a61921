"""Cores and memory of a share of a machine: control groups of both versions as files, as the kernel's documents say."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from noted import Notes

from benchbench.core import machine
from benchbench.core.runtime import HERE

GIB = 2**30


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes control groups; the machine itself has 8 cores and 64 GiB free."""
    monkeypatch.setattr(machine, "_PROC", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "sys")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=64 * GIB))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def write(mine: str, files: dict[str, str]) -> None:
        (tmp_path / "cgroup").write_text(mine)
        for name, text in files.items():
            path = tmp_path / "sys" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("mine", "files", "cores", "gib"),
    [
        ("", {}, 8, 64),
        ("0::/a/b\n", {}, 8, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/b/memory.max": "max\n"}, 8, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n"}, 2, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 2, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "10000 100000\n"}, 1, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "1600000 100000\n"}, 8, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3, 64),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4, 64),
        ("0::/not/seen\n", {"cpu.max": "400000 100000\n"}, 4, 64),
        ("0::/a\n", {"a/cpu.max": "what is this"}, 8, 64),
        ("0::/a\n", {"a/memory.max": f"{4 * GIB}\n", "a/memory.current": f"{3 * GIB}\n"}, 8, 1),
        (
            "0::/a\n",
            {
                "a/memory.max": f"{4 * GIB}\n",
                "a/memory.current": f"{3 * GIB}\n",
                "a/memory.stat": f"anon 5\ninactive_file {GIB}\n",
            },
            8,
            2,
        ),
        ("0::/a\n", {"a/memory.max": f"{GIB}\n", "a/memory.current": f"{3 * GIB}\n"}, 8, 0),
        ("8:memory:/j\n3:cpu,cpuacct:/j\n", {"cpu,cpuacct/j/cpu.cfs_quota_us": "-1\n"}, 8, 64),
        (
            "8:memory:/j\n3:cpu,cpuacct:/j\n0::/\n",
            {
                "cpu,cpuacct/j/cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct/j/cpu.cfs_period_us": "100000\n",
                "memory/j/memory.limit_in_bytes": f"{8 * GIB}\n",
                "memory/j/memory.usage_in_bytes": f"{2 * GIB}\n",
                "memory/j/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB}\n",
            },
            3,
            6,
        ),
        ("nonsense\n\n::::\n", {}, 8, 64),
    ],
)
def test_a_share_of_a_machine(groups: Any, mine: str, files: dict[str, str], cores: int, gib: int) -> None:
    """Quota by period, rounded up, at least one core and no more than the process is bound to; the limit of memory less
    what is used, of whichever group leaves least. Expected by hand from the files."""
    groups(mine, files)
    assert machine.usable_cores() == cores
    assert machine.free_memory() == gib * GIB


@pytest.mark.parametrize(
    ("chosen", "workers", "threads"),
    [
        (None, 1, 8),
        (None, 3, 2),
        (None, 20, 1),
        ("2", 2, 2),
        ("8", 4, 2),
        ("1", 1, 1),
        ("4,2", 1, 4),
        ("", 2, 4),
        ("0", 2, 4),
        ("many", 2, 4),
    ],
)
def test_jobs_divide_the_cores(
    groups: Any, monkeypatch: pytest.MonkeyPatch, chosen: str | None, workers: int, threads: int
) -> None:
    """8 cores among so many processes, by hand; a number that somebody chose is kept unless all together take more."""
    groups("", {})
    if chosen is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert machine.threads_for(workers) == threads


@pytest.mark.parametrize(("load", "said"), [(0.0, False), (3.9, False), (4.0, True), (17.2, True)])
def test_a_busy_machine_is_said(monkeypatch: pytest.MonkeyPatch, load: float, said: bool) -> None:
    """Where as many programs want to run as the machine has cores: here 4."""
    monkeypatch.setattr(machine.psutil, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    notes = Notes()
    machine.settle_in(notes)
    assert [note.startswith(f"this machine is busy: {load:.1f} programs") for note in notes.said] == [
        True
    ] * said


@pytest.mark.parametrize(("threads", "advised"), [(1, False), (2, True)])
def test_one_thread_is_not_advised_to_who_has_one(
    monkeypatch: pytest.MonkeyPatch, threads: int, advised: bool
) -> None:
    """OMP_NUM_THREADS=1 is a way out for several threads alone, as many as torch says."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(machine.psutil, "getloadavg", lambda: (99.0, 0.0, 0.0))
    notes = Notes()
    machine.settle_in(notes)
    (note,) = notes.said
    assert ("OMP_NUM_THREADS=1" in note) == advised


def test_threads_follow_the_share(groups: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """6 threads of which 3 have a core: 3; as they are where somebody chose them, and where there are fewer."""
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    groups("0::/a\n", {"a/cpu.max": "300000 100000\n"})
    machine.settle_in(HERE.progress)
    assert asked == [3]
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    machine.settle_in(HERE.progress)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    machine.settle_in(HERE.progress)
    assert asked == [3]
