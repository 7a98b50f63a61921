"""Cells as jobs of Slurm, by submitit.

Jobs wait in Slurm's queue, do not need whoever submitted them, and are requeued by submitit when their time is over:
the cell is asked to end shortly before, writes a checkpoint, and goes on from it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from benchbench.core.errors import InputError, short
from benchbench.runner.executors.elsewhere import Elsewhere
from benchbench.runner.executors.executor import Code, Job, NoRoomError

MOST_TIMES = 1_000_000
"""How often a cell is queued again when its time is over: until it is done, for it goes on from its checkpoint."""
_LOOK = 0.5  # seconds between looks at jobs of which none has ended


class SlurmOptions(BaseModel, extra="forbid", frozen=True):
    """What Slurm is asked for, for each cell.

    Attributes:
        partition: Where; Slurm's default where None.
        account: Whose time.
        qos: At which quality of service.
        constraint: Features of the node.
        time: Minutes after which the job is stopped and queued again.
        gpus: GPUs.
        cpus: Cores.
        memory: GiB.
        cluster: "local" runs the jobs on this machine without Slurm, to try a suite out.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: int = Field(default=60, ge=1, le=100_000)
    gpus: int = Field(default=0, ge=0, le=1024)
    cpus: int = Field(default=1, ge=1, le=4096)
    memory: float | None = Field(default=None, gt=0, le=1e6)
    cluster: Literal["slurm", "local"] = "slurm"


class Slurm:
    """The `Host` over submitit. folder: where submitit keeps what it needs, which every machine must see."""

    def __init__(self, options: SlurmOptions, folder: Path) -> None:
        self._submitit = _submitit()
        try:
            self._executor = self._submitit.AutoExecutor(
                folder=str(folder), cluster=options.cluster, slurm_max_num_timeout=MOST_TIMES
            )
        except Exception as error:
            raise InputError(f"Slurm cannot be used: {short(str(error))}; is sbatch on the path?") from error
        asked = options.model_dump(include={"partition", "account", "qos", "constraint"}, exclude_none=True)
        self._executor.update_parameters(
            name="benchbench",
            timeout_min=options.time,
            gpus_per_node=options.gpus,
            cpus_per_task=options.cpus,
            **({} if options.memory is None else {"mem_gb": options.memory}),
            **(
                {f"slurm_{name}": value for name, value in asked.items()}
                if options.cluster == "slurm"
                else {}
            ),
        )
        self._jobs: dict[Job, Any] = {}

    def start(self, job: Job) -> None:
        """As `Host.start`."""
        try:
            self._jobs[job] = self._executor.submit(Elsewhere(job))
        except Exception as error:
            # It took jobs that asked for the same: so many of one user, say, or its server does not answer now.
            kind = NoRoomError if self._jobs else InputError
            raise kind(f"Slurm takes no job: {short(str(error), 1000)}") from error

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        """As `Host.ended`."""
        deadline = time.monotonic() + seconds
        while True:
            found = [(job, self._code(own)) for job, own in self._jobs.items() if own.done()]
            if found or time.monotonic() >= deadline:
                break
            time.sleep(_LOOK)
        for job, _ in found:
            del self._jobs[job]
        return found

    def end(self) -> None:
        """As `Host.end`."""
        for own in self._jobs.values():
            own.cancel(check=False)
        deadline = time.monotonic() + 90
        while any(not own.done() for own in self._jobs.values()) and time.monotonic() < deadline:
            time.sleep(_LOOK)
        self._jobs.clear()

    def _code(self, own: Any) -> Code:
        """How it ended."""
        try:
            return int(own.result())
        except Exception as error:
            return (
                f"its job {own.job_id} ended without a word ({own.state}): {short(_last_words(str(error)))}"
            )


def _last_words(said: str) -> str:
    """What submitit says of a job that failed: of a trace, which stands between lines of dashes, its last line."""
    _, *between = re.split(r"^-{5,}$", said, flags=re.MULTILINE)
    lines = (between[0] if between else "").strip().splitlines()
    return lines[-1] if lines else said.splitlines()[0]


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise InputError("Slurm needs submitit, which is not installed: pip install submitit") from error
    return submitit
