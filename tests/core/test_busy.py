"""How busy others keep a machine: their processor time, not one's own."""

from __future__ import annotations

import subprocess
import sys
import time

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
