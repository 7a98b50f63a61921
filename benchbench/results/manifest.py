"""What `run.json` says, as types: the facts that whoever made a record states, and the manifest that seals it.

Pattern: nested models by concern. `ModelRun` and `ImagesEvaluated` are what `run` and `evaluate` state, all of it;
the store seals them (`RunManifest.seal`) with the cell, the files and their sha256. `RunManifest` is what is read:
fields that came later, or that a reader can do without, are optional in it. A reader that cannot do without says so
by a class of its own that requires them (`demand`), and a record which lacks one is refused in a sentence that names
the file and the field.

Scope: fields that nobody here has a name for are kept as they are, for tasks of other packages add facts of their
own. What is absent stays absent when it is written again, and null stays null.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchbench.core.progress import counted
from benchbench.core.validation import first_fault
from benchbench.results.key import is_key
from benchbench.results.record import LARGEST_INTEGER, SCHEMA_VERSION
from benchbench.results.touched import damaged

Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
"""A number of things. No table takes a larger one."""


class Part(BaseModel):
    """A part of a manifest: frozen, of the types that it states, and with what it has no name for."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    def stated(self) -> dict[str, Any]:
        """What was said.

        Returns:
            Values by name, and nothing that was not said; parts stay parts.
        """
        own = {name: said for name, said in vars(self).items() if name in self.model_fields_set}
        return own | (self.__pydantic_extra__ or {})

    def as_json(self) -> dict[str, Any]:
        """The same for `json.dumps`.

        Returns:
            Values by name; parts are mappings.
        """
        return self.model_dump(exclude_unset=True)


class Provenance(Part):
    """Where the code comes from.

    Attributes:
        benchbench: The version.
        code_revision: The commit, "-dirty" behind it where files differ; null outside a checkout.
        python: The version.
        platform: The operating system with its version.
        packages: Versions of those that can move a number, by name; null where one is not installed.
        decoder: What decodes image files, how many at a time, and its JPEG library, on which pixels of JPEG files
            depend; null in older records.
        command: The command line, without the user's home folder and what a URL may hide.
        started: When the work began, UTC, ISO 8601.
    """

    benchbench: str | None = None
    code_revision: str | None = None
    python: str | None = None
    platform: str | None = None
    packages: dict[str, str | None] | None = None
    decoder: str | None = None
    command: str | None = None
    started: str | None = None


class Machine(Part):
    """What speed depends on.

    Attributes:
        device: "cpu", "cuda:0" or "mps".
        device_name: Of the GPU; elsewhere that of the processor.
        processor: The CPU.
        cores: Logical ones of the machine.
        threads: Of torch.
        memory_gib: Of the machine, in GiB.
        load_1min: Runnable processes, the mean over the minute before the work began.
        platform: The operating system with its version.
        ranks: Processes that did the work together; None for one.
    """

    device: str | None = None
    device_name: str | None = None
    processor: str | None = None
    cores: Count | None = None
    threads: Count | None = None
    memory_gib: float | None = None
    load_1min: float | None = None
    platform: str | None = None
    ranks: Count | None = None


class Split(Part):
    """A split of a dataset.

    Attributes:
        n: How many images.
        fingerprint: sha256 over pixels and labels (`data.pipeline.fingerprint`).
    """

    n: Count
    fingerprint: str | None = None


class Domain(Part):
    """One of two kinds of images.

    Attributes:
        train: What models learn from.
        held_out: What no model sees.
    """

    train: Split | None = None
    held_out: Split | None = None


class Data(Domain):
    """What the images are that others were held against: `train` and `held_out`, or `domains`, or of a reference `n`.

    Attributes:
        fingerprint: Identity of all images.
        size: "32×32", width first; in old records a list.
        decoder: What decoded the pixels, where they depend on it.
        notes: What a reader of the numbers should know.
        source: Where the images come from.
        canonical: Whether these are the published pixels; null where nobody can say.
        domains: Both kinds by name, where there are two.
        n: How many images, of a reference alone.
        imported: Whether the reference is statistics that somebody else computed.
        statistics_sha256: Of the file with such statistics.
    """

    fingerprint: str | None = None
    size: str | list[int] | None = None
    decoder: str | None = None
    notes: list[str] | None = None
    source: dict[str, Any] | None = None
    canonical: bool | None = None
    domains: dict[str, Domain] | None = None
    n: Count | None = None
    imported: bool | None = None
    statistics_sha256: str | None = None


class ExtractorFacts(Part):
    """An extractor.

    Attributes:
        weights_sha256: Of the file with its weights.
        resize: Its preprocessing, by name.
        precision: What it computed in.
        unavailable: Why it was not at hand; absent where it was.
    """

    weights_sha256: str | None = None
    resize: str | None = None
    precision: str | None = None
    unavailable: str | None = None


class RecipeFacts(Part):
    """The recipe, by its sections.

    Attributes:
        model: The registered name.
        hyper: Hyper-parameters of the model that were set.
        sampling: Settings of the drawing that were set.
        training: All settings of the training.
    """

    model: str | None = None
    hyper: dict[str, Any] | None = None
    sampling: dict[str, Any] | None = None
    training: dict[str, Any] | None = None


class Made(Part):
    """How weights and samples were made; null where it does not apply or, for loaded weights, nobody knows.

    Attributes:
        ema: Decay of the average of weights, 0 for none; of another kind of average its setting.
        batch_norm: Whose statistics samples are normalised by: "running" averages of training, or "standing" ones.
        labels: Which classes samples were asked for.
        checkpoint: "last" or "best".
        chosen_by: By what "best" is meant: the metric that the monitor saw, or "validation_loss"; null for the last.
        precision: Of training.
    """

    ema: float | dict[str, Any] | None = None
    batch_norm: str | None = None
    labels: str | None = None
    checkpoint: str | None = None
    chosen_by: str | None = None
    precision: str | None = None


class Collapse(Part):
    """The first alarm.

    Attributes:
        step: Optimiser steps done.
        words: What was seen.
        rule: Which rule it broke.
    """

    step: Count
    words: str
    rule: str | None = None


class Training(Part):
    """What training left beside files; see `training.state.TrainingResult`.

    Attributes:
        images_per_second: Real images drawn, median over epochs.
        n_steps: Optimiser steps.
        seconds: Of the optimiser steps.
        stopped_early: Whether patience or the alarm ended it.
        peak_memory_mib: In MiB, on the device for CUDA, else of the process.
        collapse: The first alarm; null where there was none.
        best_step: Steps done at the lowest distance that the monitor saw.
        selected_on: By which images weights were selected; null where the last ones are handed out.
        machine_busy: Cores that other programs kept busy meanwhile, the mean.
    """

    images_per_second: float
    n_steps: Count
    seconds: float
    stopped_early: bool
    peak_memory_mib: float
    collapse: Collapse | None = None
    best_step: Count | None = None
    selected_on: str | None = None
    machine_busy: float | None = None


class Classes(Part):
    """How many images of either side the classifier of the dataset's classes puts into each.

    Attributes:
        judge: The extractor with the classifier.
        names: Of the classes, by label.
        generated: Counts, by label.
        reference: Likewise; null where no metric read them.
    """

    judge: str | None = None
    names: list[str]
    generated: list[Count]
    reference: list[Count] | None = None

    @model_validator(mode="after")
    def _one_count_a_class(self) -> Self:
        for side in ("generated", "reference"):
            counts = getattr(self, side)
            if counts is not None and len(counts) != len(self.names):
                raise ValueError(f"has {len(counts)} counts under {side} for {len(self.names)} names")
        return self


class SampleFacts(Part):
    """Images that were evaluated.

    Attributes:
        n: How many.
        fingerprint: Of their pixels, in their order.
        size: "32×32", width first.
        options: How they were asked for, where anything was said.
        generator_sha256: Of the file with the generator that made them; null for images.
    """

    n: Count | None = None
    fingerprint: str | None = None
    size: str | None = None
    options: dict[str, Any] | None = None
    generator_sha256: str | None = None


class LeftOut(Part):
    """A rater who does not count.

    Attributes:
        rater: Who, 16 hexadecimal digits.
        why: By which rule.
    """

    rater: str
    why: str


class FromOther(Part):
    """How far a system is from another one of its study, as people judged both.

    Attributes:
        other: What the study calls it.
        value: This one's strength less that one's.
        low: The lower end of its interval.
        high: The upper end.
        p: Of no difference, corrected over all pairs of the study.
        detectable: The smallest difference that the study would have found with odds of 80%.
    """

    other: str
    value: float
    low: float
    high: float
    p: float
    detectable: float | None


class Bounded(Part):
    """A number with its interval.

    Attributes:
        value: Null where there is none.
        low: The lower end of its interval; null where nothing tells how sure it is.
        high: The upper end.
    """

    value: float | None
    low: float | None
    high: float | None


class Agreement(Part):
    """How far raters agree.

    Attributes:
        alpha: Krippendorff's; null where it is not defined.
        low: The lower end of its interval.
        high: The upper end.
        items: That two raters or more answered.
    """

    alpha: float | None
    low: float | None
    high: float | None
    items: Count


class People(Part):
    """The human study that numbers are from.

    Attributes:
        study: Its id, 16 hexadecimal digits.
        name: What it calls this system.
        kind: Of study.
        question: What was asked.
        ties: Whether "tie" could be answered.
        cell: The record whose images were shown.
        raters: Who count.
        left_out: Who do not.
        remarks: What else is seen of raters, a sentence each.
        pass_checks: The share of check items that a careful rater gets right.
        answers: That count.
        items: Which these are about.
        answers_sha256: Of all answers, counted or not.
        agreement: Of the raters.
        hype_infinity: Errors over all systems' images and real ones; null where nobody was asked which are real.
        apart: From the other systems.
    """

    study: str
    name: str
    kind: str
    question: str
    ties: bool
    cell: str
    raters: Count
    left_out: list[LeftOut]
    remarks: list[str]
    pass_checks: float
    answers: Count
    items: Count
    answers_sha256: str
    agreement: Agreement
    hype_infinity: Bounded | None
    apart: list[FromOther]

    @property
    def words(self) -> str:
        """What was asked, and of how many.

        Returns:
            One sentence without its full stop.
        """
        ties = ", ties allowed" if self.ties else ""
        gone = f", {len(self.left_out)} left out" if self.left_out else ""
        return (
            f"“{self.question}” ({self.kind}{ties}), {counted(self.raters, 'rater')}{gone}, "
            f"{counted(self.answers, 'answer')} about {counted(self.items, 'item')}"
        )


class Seconds(Part):
    """Of the clock.

    Attributes:
        training: Seconds; null or absent where nothing was trained.
        evaluation: Seconds.
    """

    training: float | None = None
    evaluation: float | None = None


def _within(file: str) -> str:
    """The path, if it leads to a file below the record."""
    if not file or "\0" in file or PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise ValueError(f"{file[:80]!r} is no file of the record")
    return file


class Artefact(Part):
    """A file that a run leaves for people and for other programs.

    Attributes:
        file: Its path within the record, POSIX.
        kind: A word; files of one kind belong together.
        caption: What it shows.
        sha256: Of the file, once the record is sealed.
    """

    file: str
    kind: str
    caption: str
    sha256: str | None = None

    @field_validator("file")
    @classmethod
    def _within_the_record(cls, file: str) -> str:
        return _within(file)


class RunFacts(Part):
    """What a record may say of itself before it is sealed; which of it a record must say, the classes below state.

    Attributes:
        provenance: Where the code comes from.
        machine: What speed depends on.
        name: What its owner calls it; null for the model's own name.
        variant: What was set away from the shipped recipe.
        settings: All that tells two recipes apart.
        control: Whether it is a landmark and no contestant.
        seed: Of weights, batches and samples.
        n_samples: How many images were made or scored.
        data: What they were held against.
        extractors: What the metrics read, by name.
        status: "finished", or "collapsed" where the alarm stopped the training.
        finished: When, UTC, ISO 8601.
        seconds: How long it took.
        artefacts: Files for people and for other programs.
        notes: Beside the data in older records.
        recipe: Of the model and its training, whole.
        config: Hyper-parameters of the model.
        sampling: Settings of the drawing.
        code_hash: Of the model's code (`models.identity`).
        training_key: What the weights come from, as a digest.
        weights_loaded_sha256: Of the file they were loaded from; null where they were trained.
        selected_on: By which images weights were selected.
        protocol: How weights and samples were made.
        monitor: What the monitor's numbers depend on; null without one.
        collapse: The first alarm; null where there was none.
        training: What training left; null where nothing was trained.
        classes: How many images are in each class.
        duplicates_among_real: By extractor, the share of duplicates among as many real images.
        samples: The images that were evaluated.
        request: Digest of what an evaluation was asked.
        people: The human study whose numbers these are.
    """

    provenance: Provenance | None = None
    machine: Machine | None = None
    name: str | None = None
    variant: str | None = None
    settings: dict[str, Any] | None = None
    control: bool | None = None
    seed: Count | None = None
    n_samples: Count | None = None
    data: Data | None = None
    extractors: dict[str, ExtractorFacts] | None = None
    status: str | None = None
    finished: str | None = None
    seconds: Seconds | None = None
    artefacts: list[Artefact] | None = None
    notes: list[str] | None = None

    recipe: RecipeFacts | None = None
    config: dict[str, Any] | None = None
    sampling: dict[str, Any] | None = None
    code_hash: str | None = None
    training_key: str | None = None
    weights_loaded_sha256: str | None = None
    selected_on: str | None = None
    protocol: Made | None = None
    monitor: dict[str, Any] | None = None
    collapse: Collapse | None = None
    training: Training | None = None

    classes: Classes | None = None
    duplicates_among_real: dict[str, float] | None = None

    samples: SampleFacts | None = None
    request: str | None = None
    people: People | None = None


OF_TASKS = frozenset({"classes", "duplicates_among_real"})
"""Fields that a task fills."""


class Stated(RunFacts):
    """What every record states today, whoever made the images."""

    provenance: Provenance
    machine: Machine
    name: str | None
    variant: str
    settings: dict[str, Any]
    control: bool
    seed: Count
    n_samples: Count
    data: Data
    extractors: dict[str, ExtractorFacts]
    status: Literal["finished", "collapsed"]
    finished: str
    seconds: Seconds
    artefacts: list[Artefact]


class ModelRun(Stated):
    """What `run` states."""

    recipe: RecipeFacts
    config: dict[str, Any]
    sampling: dict[str, Any]
    code_hash: str
    training_key: str
    weights_loaded_sha256: str | None
    selected_on: str | None
    protocol: Made
    monitor: dict[str, Any] | None
    collapse: Collapse | None
    training: Training | None


class ImagesEvaluated(Stated):
    """What `evaluate` states."""

    samples: SampleFacts
    request: str


class RunManifest(RunFacts):
    """A `run.json`: what a record says of itself, its cell, and the sha256 of every other file.

    Attributes:
        schema_version: Of records; another one is not read.
        cell: The key, 16 hexadecimal digits.
        dataset: The dataset's name, as its folder.
        model: The model's name, as its folder.
        files: sha256 of every other file of the record, by its path.
        content_sha256: Of all the rest as canonical JSON, so that a slip of the hand or of a disk is seen; it is no
            signature. Absent in older records.
    """

    schema_version: Count
    cell: str
    dataset: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    files: dict[str, str]
    content_sha256: str | None = None

    @field_validator("cell")
    @classmethod
    def _a_key(cls, cell: str) -> str:
        if not is_key(cell):
            raise ValueError(f"{cell[:40]!r} is no key of a cell, which is 8 to 64 hexadecimal digits")
        return cell

    @field_validator("files")
    @classmethod
    def _files_of_the_record(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            _within(name)
        return files

    @classmethod
    def seal(cls, facts: RunFacts, *, cell: str, dataset: str, model: str, files: Mapping[str, str]) -> Self:
        """Seal a record.

        Args:
            facts: What it says of itself.
            cell: The key.
            dataset: As its folder has it.
            model: As its folder has it.
            files: sha256 of every other file, by its path.

        Returns:
            What is written to `run.json`.

        Raises:
            ValueError: An artefact is not among the files.
        """
        stated = facts.stated()
        if facts.artefacts is not None:
            absent = [own.file for own in facts.artefacts if own.file not in files]
            if absent:
                raise ValueError(f"the artefact {absent[0]} was announced and not written")
            stated["artefacts"] = [
                Artefact(**{**own.stated(), "sha256": files[own.file]}) for own in facts.artefacts
            ]
        seal = {"cell": cell, "dataset": dataset, "model": model, "files": dict(files)}
        return cls(**{**stated, **seal, "schema_version": SCHEMA_VERSION})

    @model_validator(mode="after")
    def _artefacts_are_files(self) -> Self:
        for own in self.artefacts or ():
            if own.sha256 is not None and own.sha256 != self.files.get(own.file):
                raise ValueError(f"says of {own.file[:80]} another sha256 under artefacts than under files")
        return self


M = TypeVar("M", bound=Part)


def with_facts(own: M, facts: Mapping[str, Any]) -> M:
    """Add what a task found beside numbers and images.

    Args:
        own: What the run states.
        facts: What the task found, JSON-able, by name.

    Returns:
        Both together.

    Raises:
        ValueError: A name is taken.
    """
    taken = sorted(facts.keys() & (RunManifest.model_fields.keys() - OF_TASKS))
    if taken:
        raise ValueError(f"run.json says {', '.join(taken)} of every run; a task calls its facts otherwise")
    return type(own)(**{**own.stated(), **facts})


def demand(path: Path, kind: type[M], stated: Mapping[str, Any]) -> M:
    """What a run.json states, as a reader needs it.

    Args:
        path: The file, for the error.
        kind: The class that says what the reader needs.
        stated: What the file holds.

    Returns:
        The same, as that class.

    Raises:
        InputError: A field is not there or of another type; the message names the first one.
    """
    try:
        return kind.model_validate(stated)
    except ValidationError as error:
        fault = first_fault(error)
        if fault.kind == "missing":
            raise damaged(path, f"does not state {fault.where}") from error
        what = f"states a wrong {fault.where}: {fault.reason}" if fault.where else fault.reason
        raise damaged(path, what) from error
