"""What `run.json` says, as types: the facts that whoever made a record states, and the manifest that seals it.

Pattern: nested models by concern. `ModelRun` and `ImagesEvaluated` are what `run` and `evaluate` state, all of it; the
store seals them (`RunManifest.seal`) with the cell, the files and their sha256. `RunManifest` is what is read: fields
that came later, or that a reader can do without, are optional in it. A reader that cannot do without says so by a class
of its own that requires them (`demand`), and a record which lacks one is refused in a sentence that names the file and
the field.

Scope: fields that nobody here has a name for are kept as they are, for tasks of other packages add facts of their own.
What is absent stays absent when it is written again, and null stays null.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from benchbench.core.errors import InputError
from benchbench.core.validation import first_fault
from benchbench.results.record import SCHEMA_VERSION


class Part(BaseModel):
    """A part of a manifest: frozen, of the types that it states, and with what it has no name for."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    def stated(self) -> dict[str, Any]:
        """What was said, by name, and nothing that was not."""
        own = {name: said for name, said in vars(self).items() if name in self.model_fields_set}
        return own | (self.__pydantic_extra__ or {})

    def as_json(self) -> dict[str, Any]:
        """The same for `json.dumps`."""
        return self.model_dump(exclude_unset=True)


class Provenance(Part):
    """Where the code comes from. code_revision: null outside a checkout."""

    benchbench: str | None = None
    code_revision: str | None = None
    python: str | None = None
    platform: str | None = None
    packages: dict[str, str | None] | None = None
    command: str | None = None
    started: str | None = None


class Machine(Part):
    """What speed depends on. load_1min: before the work began."""

    device: str | None = None
    device_name: str | None = None
    processor: str | None = None
    cores: int | None = None
    threads: int | None = None
    memory_gib: float | None = None
    load_1min: float | None = None
    platform: str | None = None


class Split(Part):
    """A split of a dataset."""

    n: int
    fingerprint: str | None = None


class Domain(Part):
    """One of two kinds of images."""

    train: Split | None = None
    held_out: Split | None = None


class Data(Domain):
    """What the images are that others were held against. size: "32×32", in old records a list. decoder: where pixels
    depend on it. domains: where there are two kinds; else `train` and `held_out`, or of a reference alone `n`."""

    fingerprint: str | None = None
    size: str | list[int] | None = None
    decoder: str | None = None
    notes: list[str] | None = None
    source: dict[str, Any] | None = None
    canonical: bool | None = None
    domains: dict[str, Domain] | None = None
    n: int | None = None
    imported: bool | None = None
    statistics_sha256: str | None = None


class ExtractorFacts(Part):
    """An extractor, or why it is not (`unavailable`)."""

    weights_sha256: str | None = None
    resize: str | None = None
    precision: str | None = None
    unavailable: str | None = None


class Made(Part):
    """How weights and samples were made; see `runner.describe.protocol`."""

    ema: float | dict[str, Any] | None = None
    batch_norm: str | None = None
    labels: str | None = None
    checkpoint: str | None = None
    precision: str | None = None


class Collapse(Part):
    """The first alarm."""

    step: int
    words: str
    rule: str | None = None


class Training(Part):
    """What training left beside files; see `training.state.TrainingResult`."""

    images_per_second: float
    n_steps: int
    seconds: float
    stopped_early: bool
    peak_memory_mib: float
    collapse: Collapse | None = None
    best_step: int | None = None
    selected_on: str | None = None
    machine_busy: float | None = None


class Classes(Part):
    """How many images of either side the classifier of the dataset's classes puts into each."""

    judge: str | None = None
    names: list[str]
    generated: list[int]
    reference: list[int] | None = None


class SampleFacts(Part):
    """Images that were evaluated. options: as they were asked for."""

    n: int | None = None
    fingerprint: str | None = None
    size: str | None = None
    options: dict[str, Any] | None = None
    generator_sha256: str | None = None


class Seconds(Part):
    """Of the clock."""

    training: float | None = None
    evaluation: float | None = None


class Artefact(Part):
    """A file that a run leaves for people and for other programs. kind: a word; files of one kind belong together.
    sha256: of the file, once the record is sealed."""

    file: str
    kind: str
    caption: str
    sha256: str | None = None

    @field_validator("file")
    @classmethod
    def _within_the_record(cls, file: str) -> str:
        if not file or PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
            raise ValueError(f"{file!r} is no file of the record")
        return file


class RunFacts(Part):
    """What a record may say of itself before it is sealed. name: that its owner gave it. settings: all that tells two
    recipes apart. control: a landmark and no contestant."""

    provenance: Provenance | None = None
    machine: Machine | None = None
    name: str | None = None
    variant: str | None = None
    settings: dict[str, Any] | None = None
    control: bool | None = None
    seed: int | None = None
    n_samples: int | None = None
    data: Data | None = None
    extractors: dict[str, ExtractorFacts] | None = None
    status: str | None = None
    finished: str | None = None
    seconds: Seconds | None = None
    artefacts: list[Artefact] | None = None
    notes: list[str] | None = None  # beside the data in older records

    recipe: dict[str, Any] | None = None
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
    seed: int
    n_samples: int
    data: Data
    extractors: dict[str, ExtractorFacts]
    status: Literal["finished", "collapsed"]
    finished: str
    seconds: Seconds
    artefacts: list[Artefact]


class ModelRun(Stated):
    """What `run` states."""

    recipe: dict[str, Any]
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
    """What `evaluate` states. request: digest of what was asked."""

    samples: SampleFacts
    request: str


class RunManifest(RunFacts):
    """A `run.json`: what a record says of itself, its cell, and the sha256 of every other file."""

    schema_version: int
    cell: str
    dataset: str
    model: str
    files: dict[str, str]

    @classmethod
    def seal(cls, facts: RunFacts, *, cell: str, dataset: str, model: str, files: Mapping[str, str]) -> Self:
        """Of a record that holds `files`. `ValueError` for an artefact that is not among them."""
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
                raise ValueError(f"says of {own.file} another sha256 under artefacts than under files")
        return self


M = TypeVar("M", bound=Part)


def with_facts(own: M, facts: Mapping[str, Any]) -> M:
    """`own` with what a task found beside numbers and images. `ValueError` for a name that is taken."""
    taken = sorted(facts.keys() & (RunManifest.model_fields.keys() - OF_TASKS))
    if taken:
        raise ValueError(f"run.json says {', '.join(taken)} of every run; a task calls its facts otherwise")
    return type(own)(**{**own.stated(), **facts})


def demand(path: Path, kind: type[M], stated: Mapping[str, Any]) -> M:
    """What the run.json at `path` states, as a reader needs it; `InputError` names the first field that is not there or
    of another type."""
    try:
        return kind.model_validate(stated)
    except ValidationError as error:
        fault = first_fault(error)
        if fault.kind == "missing":
            raise damaged(path, f"does not state {fault.where}") from error
        what = f"states a wrong {fault.where}: {fault.reason}" if fault.where else fault.reason
        raise damaged(path, what) from error


def damaged(path: Path, what: str) -> InputError:
    """The sentence for a record file that is not as it was written, and the way out."""
    return InputError(f"{path} {what}; restore it, or delete the folder {path.parent} and run the cell again")
