"""A job where a cluster has put it: what Slurm and Ray are handed, and what it does on their machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchbench.core.interrupts import TERMINATED, terminable
from benchbench.core.who import born
from benchbench.runner.executors.executor import Job
from benchbench.runner.executors.job import read_job
from benchbench.runner.executors.local import GRACE, started

_LOOK = 0.1  # seconds between looks at the process
_TAKEN_AWAY = 600.0
"""Seconds within which Slurm takes a job away after it has told all its processes to end: it gives the grace that the
partition has."""


class Elsewhere:
    """One job, to be called in a process of the cluster's; it is sent there as a value.

    Args:
        job: Which one. Its files lie where every machine sees them.
    """

    def __init__(self, job: Job) -> None:
        self.name, self.spec, self.log = job.name, str(job.spec), str(job.log)
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Carry the job out in a process of its own, which ends with this one. Returns its exit code."""
        terminable()
        spec, log = Path(self.spec), Path(self.log)
        # The cluster's own idea of the number of threads must not change a number's last digits.
        self._child = started(Job(self.name, spec, log), read_job(spec).environment)
        try:
            while (
                code := self._child.poll()
            ) is None:  # no wait, within which a signal could not wait itself
                time.sleep(_LOOK)
            if code in (TERMINATED, -signal.SIGTERM) and "SLURM_JOB_ID" in os.environ:
                _wait_to_be_taken_away()
            return code
        finally:
            self.end()

    def checkpoint(self) -> Any:
        """What submitit asks for when the time is over: to be queued again."""
        from submitit.helpers import DelayedSubmission

        self.end()
        return DelayedSubmission(self)

    def end(self) -> None:
        """Ask the job to end, which writes down how far its training is; kill it where it does not."""
        if self._child is None or self._child.returncode is not None:
            return
        deadline, number = time.monotonic() + GRACE, signal.SIGTERM
        while born(self._child.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(self._child.pid, number)
            number = signal.SIGKILL
            while born(self._child.pid) is not None and time.monotonic() < deadline:
                time.sleep(_LOOK)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_child": None}


def _wait_to_be_taken_away() -> None:
    """Slurm tells every process of a job that is preempted to end, the cell's own too, which has written down how far
    it is. What is left to do is to say nothing: an exit code would pass for the end of the cell, which Slurm puts into
    its queue again."""
    deadline = time.monotonic() + _TAKEN_AWAY
    while time.monotonic() < deadline:
        time.sleep(_LOOK)
