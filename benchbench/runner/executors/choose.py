"""Which executor carries a suite's cells out, by name, with its options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchbench.core.errors import InputError, unknown_name
from benchbench.models.build import validated
from benchbench.runner.executors.executor import Executor, Queue
from benchbench.runner.executors.local import local
from benchbench.runner.executors.ray_tasks import RayOptions, RayTasks
from benchbench.runner.executors.slurm import Slurm, SlurmOptions
from benchbench.tasks.base import NoOptions

EXECUTORS: dict[str, type[BaseModel]] = {"local": NoOptions, "slurm": SlurmOptions, "ray": RayOptions}
"""What each can be asked for."""


def checked_options(name: str, options: Mapping[str, Any]) -> BaseModel:
    """What is asked of the executor of that name.

    Args:
        name: One of `EXECUTORS`.
        options: Its own, by name.

    Returns:
        The options, checked.

    Raises:
        InputError: Nobody is called so, or an option is none of its own.
    """
    if name not in EXECUTORS:
        raise unknown_name("executor", name, EXECUTORS)
    if options and not EXECUTORS[name].model_fields:
        raise InputError(f"the executor {name} has no options; leave {', '.join(options)} out")
    return validated(EXECUTORS[name], options, f"option of the executor {name}")


def executor_of(asked: BaseModel, *, jobs: int | None, device: str, logs: Path) -> Executor:
    """The executor that these options are of.

    Args:
        asked: As `checked_options` returns them.
        jobs: Cells at a time; None for one on this machine, for all that the cluster takes on a cluster.
        device: Where cells compute, as `core.device.resolve_device` takes it.
        logs: The store's folder of logs.

    Returns:
        The executor, ready for jobs.

    Raises:
        InputError: What it needs is not installed, or there is no such cluster.
    """
    if isinstance(asked, SlurmOptions):
        return Queue(Slurm(asked, logs / "slurm"), jobs)
    if isinstance(asked, RayOptions):
        return Queue(RayTasks(asked), jobs)
    return local(jobs or 1, device)
