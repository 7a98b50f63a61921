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

from pydantic import BaseModel
from torch import nn

from benchbench.core.errors import MetricFailed
from benchbench.core.progress import Progress
from benchbench.core.protocols import Direction, ImageSpec
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

NAMES_OF_IMAGES = frozenset({"train"})
"""Settings of tasks that name images, as after `--dataset`."""


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
        """What the images are, for run.json.

        Returns:
            Fingerprints, numbers, size, source and notes, JSON-able.
        """


@dataclass(frozen=True)
class Request:
    """What is asked of a model.

    Attributes:
        metrics: Those that have a meaning here.
        unmet: Those that were named and have none, with the reason.
        extractors: What the metrics read, loaded, by name.
        failures: Of extractors that are not at hand, by name.
        n_samples: How many images are made.
        seed: Of all randomness; image i draws from a stream of its own (`core.seeds.ImageRng`).
    """

    metrics: Sequence[Metric]
    unmet: Sequence[Outcome]
    extractors: Mapping[str, Extractor]
    failures: Mapping[str, MetricFailed]
    n_samples: int
    seed: int


@dataclass(frozen=True)
class Number:
    """A number of a record, or the reason why there is none.

    Attributes:
        found: What became of a metric, or a measurement.
        task: As the record calls it; one task may have several.
        n_images: How many images went into a metric; a measurement says its own.
        n_reference: How many images it held them against.
        direction: Of a translation; "" for a task that has none.
    """

    found: Outcome | Measurement
    task: str
    n_images: int | None = None
    n_reference: int | None = None
    direction: Direction | Literal[""] = ""


@dataclass(frozen=True)
class TaskResult:
    """All that a task found.

    Attributes:
        numbers: In the order of the record's rows.
        pictures: What is drawn or packed for people and for other programs.
        facts: What run.json says beside, JSON-able, under names that no field of it has.
    """

    numbers: list[Number]
    pictures: list[Picture] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """A task. The first line of the docstring is what `benchbench list tasks` shows.

    Attributes:
        name: Under which it is registered.
        version: Raised whenever the same model would be asked otherwise.
        standard: Families of metrics that `--metrics standard` stands for.
        headlines: For each task that rows name, families by which models are ranked, the first one that a cell has.
        reads_extractors: Whether metrics on extractors have a meaning; False asks for none but those that are named.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    standard: ClassVar[Sequence[str]]
    headlines: ClassVar[Mapping[str, Sequence[str]]]
    reads_extractors: ClassVar[bool]

    def takes(self, model: type) -> bool:
        """Whether a model can be asked for this at all.

        Args:
            model: Its class.

        Returns:
            Whether it has the methods that the task calls.
        """

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """The data as this task takes it.

        Args:
            dataset: A dataset's name or a source of images, as after `--dataset`.
            size: The side of the images in pixels; None for the dataset's own.
            progress: Who is told how far it is.

        Returns:
            A `Dataset`, `Domains`, or data of the task's own.

        Raises:
            InputError: There is no such dataset, or it cannot be used.
        """

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Whether the model can be asked for this on the data.

        Args:
            model: Its registered name.
            data: As `load` returned them.

        Returns:
            Why it cannot, in one sentence; None where it can.
        """

    def parts(self, model: nn.Module) -> list[str]:
        """What of the task this model does; part of the cell's key.

        Args:
            model: Built, not trained.

        Returns:
            Names, in a fixed order.
        """

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """How many images are made.

        Args:
            model: Its registered name.
            data: As `load` returned them.
            asked: What `--samples` says; None where nobody said.

        Returns:
            The number, 1 or more.

        Raises:
            InputError: So many have no meaning here.
        """

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whether a metric has a meaning for this model on this data.

        Args:
            metric: One that was chosen, with its extractor.
            model: Built, not trained.
            data: As `load` returned them.

        Returns:
            Why it has none, in words for a record; None where it has one.
        """

    def trains_on(self, model: nn.Module, data: TaskData) -> str | None:
        """What of the data the weights of a model depend on, where that is not all of them: then a model that was
        trained for one set of test images is not trained again for another. A task may lack this.

        Args:
            model: Built, not trained.
            data: As `load` returned them.

        Returns:
            Its identity, any text; None for all of the data.
        """

    def introduce(self, model: nn.Module, data: TaskData) -> None:
        """Show the model what it must know of the data before it is trained or loaded.

        Args:
            model: Just built.
            data: As `load` returned them.
        """

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """What the model learns from.

        Args:
            model: Just built, and introduced to the data.
            data: As `load` returned them.

        Returns:
            The images of training, and held-out ones that are scanned and never learned from.
        """

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Ask the model, score what it made, measure what that took.

        Args:
            model: Trained or loaded, on `runtime.device`, in eval mode.
            data: As `load` returned them.
            request: The metrics, what they read, how many images, and the seed.
            runtime: Where, how many images at once, and who is told; changes no number.

        Returns:
            Numbers, pictures and facts; of a metric that has no number, its failure.

        Raises:
            CellFailed: The model cannot be scored at all.
        """


class NoOptions(BaseModel, extra="forbid", frozen=True):
    """Of a task that is asked in one way only."""


class WithOptions:
    """What tasks share, whatever their data are; one that can be asked in several ways says so by a class `Options`.

    Attributes:
        fewest: How few images may be asked for; a task that compares images one by one says 1.
        Options: The settings of the task, a frozen pydantic model: what `--task-option` takes.
        options: Those that it is asked with.

    Args:
        options: Likewise; None for the defaults.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads_extractors: ClassVar[bool] = True
    fewest: ClassVar[int] = 2
    Options: ClassVar[type[BaseModel]] = NoOptions
    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @property
    def variant(self) -> str:
        """What of its settings rows name, "x2"; "" where it is asked in one way only."""
        return ""

    @property
    def row(self) -> str:
        """The task as rows name it, with its variant behind a colon: "super-resolution:x2"."""
        return f"{self.name}:{self.variant}" if self.variant else self.name

    def parts(self, model: nn.Module) -> list[str]:
        """As `Task.parts`: the task itself, all that the model can do of it."""
        return [self.row]

    def trains_on(self, model: nn.Module, data: TaskData) -> str | None:
        """As `Task.trains_on`: all of the data."""
        return None

    def introduce(self, model: nn.Module, data: TaskData) -> None:
        """As `Task.introduce`: nothing to know."""


class OneDataset(WithOptions):
    """What tasks on one kind of images share; a task that derives from it says the rest.

    Attributes:
        name: As in `Task`.
        version: As in `Task`.
        reads_extractors: As in `Task`.
    """

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """As `Task.load`: a dataset of one kind of images, or both domains of two, labelled by domain. Contents and
        styles are refused."""
        return load_dataset(dataset, size=size, progress=progress)

    def refuse(self, model: str, data: TaskData) -> str | None:
        """As `Task.refuse`: nothing is refused."""
        return None

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As `Task.n_samples`: as many as were asked for, else all held-out images, at most 10,000."""
        return asked or min(len(one(data).held_out), MAX_DEFAULT_SAMPLES)

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """As `Task.training_data`: the training split with its labels."""
        own = one(data)
        return TrainingData(own.train.images, own.train.labels, own.held_out.images)


def one(data: TaskData) -> Dataset:
    """The data of a task on one kind of images.

    Args:
        data: What `OneDataset.load` returned.

    Returns:
        The same, as the type that it is.
    """
    assert isinstance(data, Dataset)
    return data


class TwoDomains(WithOptions):
    """What tasks on two domains share; a task that derives from it says the rest.

    Attributes:
        name: As in `Task`.
        version: As in `Task`.
        reads_extractors: As in `Task`.
    """

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """As `Task.load`: two domains that are to become each other, or contents and styles. A dataset of one kind of
        images is refused."""
        return load_domains(dataset, size=size, progress=progress)

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As `Task.n_samples`: as many as were asked for, else all held-out images of the larger domain, at most
        10,000."""
        own = two(data)
        return asked or min(max(len(own.a.held_out), len(own.b.held_out)), MAX_DEFAULT_SAMPLES)


def two(data: TaskData) -> Domains:
    """The data of a task on two domains.

    Args:
        data: What `TwoDomains.load` returned.

    Returns:
        The same, as the type that it is.
    """
    assert isinstance(data, Domains)
    return data
