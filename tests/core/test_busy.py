"""How busy others keep a machine: their processor time, not one's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from benchbench.core import busy
from benchbench.core.busy import Busy


class Kernel:
    """Counts that a test sets: everybody's (user, system, idle, steal), this process's, and the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.user = self.system = self.idle = self.steal = self.own = self.clock = 0.0
        monkeypatch.setattr(busy.psutil, "cpu_times", lambda: self)
        monkeypatch.setattr(busy.time, "process_time", lambda: self.own)
        monkeypatch.setattr(busy.time, "perf_counter", lambda: self.clock)


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 4 s everybody took 5 core-seconds of work, 3 of them this process, and the host took 1: others 3. Waiting is
    no work. The next reading begins where this one ended; rounding of the kernel's counts never makes it negative."""
    kernel = Kernel(monkeypatch)
    meter = Busy()
    kernel.user, kernel.system, kernel.idle, kernel.steal, kernel.own, kernel.clock = 4, 1, 3, 1, 3, 4
    assert meter.others() == (3, 4)
    kernel.user, kernel.own, kernel.clock = 4.99, 4, 5
    assert meter.others() == (0, 1)


@pytest.mark.parametrize(("ranks", "others"), [(3, 1.0), (1, 6.0)])
def test_ranks_of_one_job_are_not_others(ranks: int, others: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody takes 8 core-seconds, 2 of them this process, and its two siblings 2 and 3 (user and system): of a job
    of three ranks here 1 is left, without torchrun 6, whoever the siblings are."""
    kernel = Kernel(monkeypatch)
    took = {1: SimpleNamespace(user=10.0, system=1.0), 2: SimpleNamespace(user=20.0, system=0.0)}
    siblings = [SimpleNamespace(pid=-pid, cpu_times=lambda pid=pid: took[pid]) for pid in took]
    own = SimpleNamespace(pid=os.getpid(), cpu_times=lambda: SimpleNamespace(user=99.0, system=0.0))
    parent = SimpleNamespace(children=lambda: [own, *siblings])
    monkeypatch.setattr(busy.psutil, "Process", lambda: SimpleNamespace(parent=lambda: parent))
    monkeypatch.setattr(busy, "ranks_here", lambda: ranks)
    meter = Busy()
    kernel.user, kernel.own, kernel.clock = 8, 2, 4
    took[1] = SimpleNamespace(user=11.5, system=1.5)
    took[2] = SimpleNamespace(user=23.0, system=0.0)
    assert meter.others() == (others, 4)


@pytest.mark.costly
@pytest.mark.skipif(not psutil.LINUX, reason="what the kernel counts differs")
def test_another_program_is_seen() -> None:
    """A child that computes for a second of its own processor time while this process sleeps is seen as that second at
    least, less a tenth for the kernel's ticks (each of the few reads is off by at most 0.02 s on two cores)."""
    meter = Busy()
    code = "import time\nwhile time.process_time() < 1: pass"
    child = subprocess.Popen([sys.executable, "-c", code])
    while child.poll() is None:
        time.sleep(0.01)
    others, seconds = meter.others()
    assert others >= 0.9
    assert seconds > 0.9
