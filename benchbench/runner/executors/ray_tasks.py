"""Cells as tasks of a Ray cluster. They end with whoever submitted them, as Ray has it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from benchbench.core.errors import InputError, short
from benchbench.runner.executors.elsewhere import Elsewhere
from benchbench.runner.executors.executor import Code, Job


class RayOptions(BaseModel, extra="forbid", frozen=True):
    """What Ray is asked for.

    Attributes:
        address: Of the cluster, "auto" for the one that this machine belongs to; one of this machine alone where None.
        gpus: GPUs for each cell, parts of one too.
        cpus: Cores for each cell.
        memory: GiB for each cell.
    """

    address: str | None = None
    gpus: float = Field(default=0, ge=0, le=1024)
    cpus: float = Field(default=1, gt=0, le=4096)
    memory: float | None = Field(default=None, gt=0, le=1e6)


class RayTasks:
    """The `Host` over Ray."""

    def __init__(self, options: RayOptions) -> None:
        self._ray = ray = _ray()
        try:
            there = options.address or os.environ.get("RAY_ADDRESS")
            own = {} if there else {"include_dashboard": False}
            ray.init(options.address, log_to_driver=False, ignore_reinit_error=True, **own)
        except Exception as error:
            raise InputError(f"there is no Ray cluster to be had: {short(str(error))}") from error
        memory = {} if options.memory is None else {"memory": options.memory * 2**30}
        self._call = ray.remote(
            num_cpus=options.cpus, num_gpus=options.gpus, max_retries=0, max_calls=1, **memory
        )(_call)
        self._jobs: dict[Any, Job] = {}

    def start(self, job: Job) -> None:
        """As `Host.start`."""
        self._jobs[self._call.remote(Elsewhere(job))] = job

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        """As `Host.ended`."""
        if not self._jobs:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(list(self._jobs), num_returns=1, timeout=seconds)
        return [(self._jobs.pop(task), self._code(task)) for task in ready]

    def end(self) -> None:
        """As `Host.end`."""
        for task in self._jobs:
            self._ray.cancel(task)
        self._ray.wait(list(self._jobs), num_returns=len(self._jobs), timeout=90) if self._jobs else None
        self._jobs.clear()
        self._ray.shutdown()

    def _code(self, task: Any) -> Code:
        try:
            return int(self._ray.get(task))
        except Exception as error:
            return f"Ray ended its task: {short(str(error).splitlines()[0])}"


def _call(job: Elsewhere) -> int:
    return job()


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("Ray is not installed: pip install ray") from error
    return ray
