"""What a task is: what a model is asked to do with data, how that is scored, and what comes out.

Pattern: a task is an object, found by name in the entry-point group `benchbench.tasks`. It says which models and which
data it takes, what its standard metrics and its headline are, which metrics have no meaning in it and why, and what a
model learns from; `run` asks the model, scores what it made, and returns numbers, pictures and facts. Whoever carries
cells out knows none of this, so a task can come from another package.

Scope: no rows and no files. A task hands out what it found; the runner turns it into a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from torch import nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Direction, ImageSpec
from benchbench.core.registry import MODELS, TASKS
from benchbench.core.runtime import Runtime
from benchbench.data.catalogue import load_dataset, load_domains
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.features.extractor import Extractor
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import Outcome
from benchbench.tasks.pictures import Picture
from benchbench.tasks.speed import Measurement
from benchbench.training.data import TrainingData

MAX_DEFAULT_SAMPLES = 10_000
NO_HELD_OUT = (
    "this compares with training and held-out images, and here the held-out images are the reference"
)


class TaskData(Protocol):
    """What every task's data says of itself; `data.dataset.Dataset` and `data.domains.Domains` do."""

    @property
    def name(self) -> str:
        """As the user asked for it, fit for a folder name."""

    @property
    def fingerprint(self) -> str:
        """Identity of all images, and of whatever else a number depends on."""

    @property
    def spec(self) -> ImageSpec:
        """What a model is told before it is built."""

    @property
    def native(self) -> int | None:
        """The side in pixels at which the pictures hold all that they show; None where nobody knows."""

    @property
    def extractor(self) -> str | None:
        """The extractor by which models of this data are ranked; None for the default one."""

    def describe(self) -> dict[str, Any]:
        """Fingerprints, numbers, size, source and notes, for run.json."""


@dataclass(frozen=True)
class Request:
    """What is asked of a model.

    metrics: those that have a meaning here. unmet: those that were named and have none, with the reason. extractors:
    what the metrics read, loaded, by name. failures: of extractors that are not at hand. n_samples: how many images
    are made.
    """

    metrics: Sequence[Metric]
    unmet: Sequence[Outcome]
    extractors: Mapping[str, Extractor]
    failures: Mapping[str, MetricFailed]
    n_samples: int
    seed: int


@dataclass(frozen=True)
class Number:
    """A number of a record, or the reason why there is none. `task`: as the record calls it; `n_images` and
    `n_reference`: what went into a metric (a measurement says its own)."""

    found: Outcome | Measurement
    task: str
    n_images: int | None = None
    n_reference: int | None = None
    direction: Direction | Literal[""] = ""


@dataclass(frozen=True)
class TaskResult:
    """All that a task found. facts: what run.json says beside, JSON-able."""

    numbers: list[Number]
    pictures: list[Picture] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """A task. The first line of the docstring is what `benchbench list tasks` shows."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the same model would be asked otherwise."""
    standard: ClassVar[Sequence[str]]
    """Families of metrics that `--metrics standard` stands for."""
    headlines: ClassVar[Mapping[str, Sequence[str]]]
    """For each task that rows name, families by which models are ranked, the first one that a cell has."""
    reads_extractors: ClassVar[bool]
    """Whether metrics on extractors have a meaning; False asks for none but those that are named."""

    def takes(self, model: type) -> bool:
        """Whether models of this class have the methods that the task calls."""

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """The data as this task takes it."""

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Why the model of that name cannot be asked for this on the data, in one sentence; None where it can."""

    def parts(self, model: nn.Module) -> list[str]:
        """What of it this model does, as a key has it."""

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """How many images are made, where `asked` of them were asked for; `InputError` where that has no meaning."""

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Why a metric has no meaning for this model on this data, in words for a record; None where it has one."""

    def introduce(self, model: nn.Module, data: TaskData) -> None:
        """Show the model what it must know of the data before it is trained or loaded."""

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """What the model learns from."""

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Ask the model, score what it made, measure what that took."""


class OneDataset:
    """What tasks on one kind of images share; a task that derives from it says the rest."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads_extractors: ClassVar[bool] = True

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """A dataset of one kind of images, or both domains of two, labelled by domain."""
        return load_dataset(dataset, size=size, progress=progress)

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Nothing is refused."""
        return None

    def parts(self, model: nn.Module) -> list[str]:
        """The task itself."""
        return [self.name]

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As many as were asked for, else all held-out images, at most 10,000."""
        return asked or min(len(one(data).held_out), MAX_DEFAULT_SAMPLES)

    def introduce(self, model: nn.Module, data: TaskData) -> None:
        """Nothing to know."""

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """The training split with its labels."""
        own = one(data)
        return TrainingData(own.train.images, own.train.labels, own.held_out.images)


def one(data: TaskData) -> Dataset:
    """The data of a task on one kind of images."""
    assert isinstance(data, Dataset)
    return data


class TwoDomains:
    """What tasks on two domains share; a task that derives from it says the rest."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads_extractors: ClassVar[bool] = True

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """Two domains that are to become each other, or contents and styles."""
        return load_domains(dataset, size=size, progress=progress)

    def parts(self, model: nn.Module) -> list[str]:
        """The task itself, in whatever directions the model has."""
        return [self.name]

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As many as were asked for, else all held-out images of the larger domain, at most 10,000."""
        own = two(data)
        return asked or min(max(len(own.a.held_out), len(own.b.held_out)), MAX_DEFAULT_SAMPLES)

    def introduce(self, model: nn.Module, data: TaskData) -> None:
        """Nothing to know."""


def two(data: TaskData) -> Domains:
    """The data of a task on two domains."""
    assert isinstance(data, Domains)
    return data


class Shelf:
    """Data that were loaded for a task, kept while cells are planned: the last one only, for they may be large."""

    def __init__(self, progress: Progress = SILENT) -> None:
        self.progress = progress
        self._held: tuple[tuple[str, str, int | None], TaskData] | None = None

    def load(self, task: Task, dataset: str, size: int | None) -> TaskData:
        """As `Task.load`."""
        key = (task.name, dataset, size)
        if self._held is None or self._held[0] != key:
            self._held = None  # gone before the next one comes
            self._held = key, task.load(dataset, size, self.progress)
        return self._held[1]


def tasks_of(model: str, asked: str | None = None) -> list[Task]:
    """What the model of that name can be asked for, by name; `InputError` for a task that nobody knows or that does not
    take the model, and for a model that none does."""
    model_class = MODELS.get(model)
    if asked is not None:
        task: Task = TASKS.get(asked)()
        if not task.takes(model_class):
            raise InputError(f"the model {model!r} cannot be asked for {asked}; leave --task out")
        return [task]
    able: list[Task] = [task for _, made in TASKS.items() if (task := made()).takes(model_class)]
    if not able:
        raise InputError(f"the model {model!r} has the methods of no task; see benchbench list tasks")
    return able


def load_for(
    model: str, dataset: str, size: int | None, shelf: Shelf, asked: str | None = None
) -> tuple[Task, TaskData]:
    """What the model is asked to do with the dataset, and the data: the first of `tasks_of` that takes both.
    `InputError` with the reason of the first where none does."""
    refusals: list[str] = []
    for task in tasks_of(model, asked):
        data = shelf.load(task, dataset, size)
        reason = task.refuse(model, data)
        if reason is None:
            return task, data
        refusals.append(reason)
    raise InputError(refusals[0])


def headline_families(task: str) -> Sequence[str]:
    """The headline families of a task as rows name it, best first; none for one that ranks nothing, like `training`."""
    for _, made in TASKS.items():
        if task in made.headlines:
            families: Sequence[str] = made.headlines[task]
            return families
    return ()
