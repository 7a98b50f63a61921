"""How busy a machine is with other work: what a rate measured meanwhile has to be read beside."""

from __future__ import annotations

import os
import time
from contextlib import suppress

import psutil

from benchbench.core.started import ranks_here

# Those in which a core does something. guest is part of user; time that the host of a virtual machine takes (steal) is
# work of others too.
_WORK = ("user", "nice", "system", "irq", "softirq", "steal")


class Busy:
    """Processor time that everybody else has taken since this was made (or last read), from the kernel's own count. The
    other processes of one job under torchrun are nobody else.

    The kernel counts in hundredths of a second a core, so a reading over less than a second is a rough one.
    """

    def __init__(self) -> None:
        self._start = _now()

    def others(self) -> tuple[float, float]:
        """(core-seconds of other programs, seconds) since the last reading. The first by the second is the number of
        cores that others kept busy."""
        before, self._start = self._start, _now()
        everybody, own, wall = (after - was for after, was in zip(self._start, before, strict=True))
        return max(0.0, everybody - own), wall


def _now() -> tuple[float, float, float]:
    """Core-seconds of all programs, core-seconds of this job's processes here with their threads, and the clock."""
    times = psutil.cpu_times()
    own = time.process_time() + _of_other_ranks()
    return sum(getattr(times, name, 0.0) for name in _WORK), own, time.perf_counter()


def _of_other_ranks() -> float:
    """Core-seconds of the other processes that the same torchrun has started on this machine; none without one."""
    if ranks_here() == 1:
        return 0.0
    seconds = 0.0
    with suppress(psutil.Error):  # one ended meanwhile, and the job with it
        parent = psutil.Process().parent()
        for process in parent.children() if parent is not None else ():
            if process.pid != os.getpid():
                took = process.cpu_times()
                seconds += took.user + took.system
    return seconds
