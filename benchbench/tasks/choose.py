"""Which task a model is asked for, made with its options, and the data that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import MODELS, TASKS
from benchbench.models.build import validated
from benchbench.tasks.base import NoOptions, Task, TaskData


class Shelf:
    """Data that were loaded for a task, kept while cells are planned: the last one only, for they may be large."""

    def __init__(self, progress: Progress = SILENT) -> None:
        self.progress = progress
        self._held: tuple[tuple[Any, ...], TaskData] | None = None

    def load(self, task: Task, dataset: str, size: int | None) -> TaskData:
        """As `Task.load`."""
        key = (task.name, _options_of(task), dataset, size)
        if self._held is None or self._held[0] != key:
            self._held = None  # gone before the next one comes
            self._held = key, task.load(dataset, size, self.progress)
        return self._held[1]

    @property
    def held(self) -> TaskData | None:
        """What is kept now."""
        return None if self._held is None else self._held[1]

    def drop(self) -> None:
        """Keep it no longer."""
        self._held = None


def make_task(name: str, options: Mapping[str, Any]) -> Task:
    """The task of that name, asked with these options; `InputError` for one that it does not have or cannot have so."""
    task: Task = TASKS.make(name)
    if not options:
        return task
    kind: type[BaseModel] = getattr(task, "Options", NoOptions)
    if not kind.model_fields:
        raise InputError(f"the task {name} has no options; leave {', '.join(options)} out")
    made: Task = type(task)(validated(kind, options, f"option of {name}"))  # type: ignore[call-arg]
    return made


def _options_of(task: Task) -> str:
    options = getattr(task, "options", None)
    return options.model_dump_json() if isinstance(options, BaseModel) else ""


def tasks_of(
    model: str, asked: str | None = None, options: Mapping[str, Any] = MappingProxyType({})
) -> list[Task]:
    """What the model of that name can be asked for, by name; `InputError` for a task that nobody knows or that does not
    take the model, for a model that none does, and for options that no such task has."""
    model_class = MODELS.get(model)
    if asked is not None:
        task = make_task(asked, options)
        if not task.takes(model_class):
            raise InputError(f"the model {model!r} cannot be asked for {asked}; leave --task out")
        return [task]
    able: list[str] = [name for name, task in TASKS.made() if task.takes(model_class)]
    if not able:
        raise InputError(f"the model {model!r} has the methods of no task; see benchbench list tasks")
    # What it is made for first: `undoes` of a restorer has an order.
    order = list(getattr(model_class, "undoes", ()))
    able.sort(key=lambda name: (order.index(name) if name in order else len(order), name))
    knowing = [name for name in able if options.keys() <= _fields(name)]
    if not knowing:
        raise InputError(
            f"nothing that the model {model!r} can be asked for has the option{'s' * (len(options) > 1)} "
            f"{', '.join(options)}: {_known_options(able)}"
        )
    return [make_task(name, options) for name in knowing]


def _fields(task: str) -> Set[str]:
    """The names of the options of a task."""
    return getattr(TASKS.get(task), "Options", NoOptions).model_fields.keys()


def _known_options(tasks: Sequence[str]) -> str:
    return "; ".join(f"{name} has {', '.join(_fields(name)) or 'none'}" for name in tasks)


def task_with_option(model: str, option: str) -> str | None:
    """The first task that takes the model of that name and has such an option; None where no such task has one."""
    model_class = MODELS.get(model)
    able = (name for name, task in TASKS.made() if task.takes(model_class))
    return next((name for name in able if option in _fields(name)), None)


def load_for(
    model: str,
    dataset: str,
    size: int | None,
    shelf: Shelf,
    asked: str | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Task, TaskData]:
    """What the model is asked to do with the dataset, and the data: the first of `tasks_of` that takes both.
    `InputError` with the reason of the first where none does."""
    refusals: list[str] = []
    for task in tasks_of(model, asked, options):
        data = shelf.load(task, dataset, size)
        reason = task.refuse(model, data)
        if reason is None:
            return task, data
        refusals.append(reason)
    raise InputError(refusals[0])


def headline_families(task: str) -> Sequence[str]:
    """The headline families of a task as rows name it, best first; none for one that ranks nothing, like `training`."""
    for name in (task, task.partition(":")[0]):
        for _, made in TASKS.items():
            if name in made.headlines:
                families: Sequence[str] = made.headlines[name]
                return families
    return ()
