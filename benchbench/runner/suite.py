"""A suite: models × datasets × seeds from one TOML file, as a list of cells.

    models = ["vae", "dcgan"]
    datasets = ["digits", "grid25"]
    seeds = 3                          # 0, 1, 2; or a list

    [settings]                         # of every cell, as the options of `benchbench run`
    samples = 898
    metrics = ["standard"]
    sweep = { width = [16, 32] }       # a cell for every combination of these settings' values

    [[exclude]]                        # cells that are not wanted
    model = "dcgan"
    dataset = "digits"

    [[override]]                       # settings of the cells that match; later ones win
    match = { model = "dcgan" }
    set = { steps = 500 }

Paths, those of datasets (folder:PATH, PATH), generators (generator:PATH), recipes, weights and images that a task is
told of (train), are meant from the folder of the file.

Pattern: the file becomes cells, each cell gets the key under which the store would have it, and the store
says which are done. There is no state of the suite beside the store, so nothing has to be repaired after a
kill: the same command again goes on.

Scope: what is run; `runner.suite_run` runs it, and where is for `runner.executors` to say.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from benchbench.core.bounds import MOST_CELLS
from benchbench.core.errors import CellFailed, InputError, listed, short, unknown_name
from benchbench.core.machine import settle_in
from benchbench.core.names import split_names
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.core.toml import read_toml
from benchbench.core.validation import first_fault
from benchbench.data.sources.spec import dataset_name, from_folder
from benchbench.results.load import records
from benchbench.results.store import WEIGHTS, Store
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.plan_apart import Planned, PlannedApart
from benchbench.runner.probe import Probes
from benchbench.runner.spec import CellSpec, seed_list
from benchbench.runner.suite_settings import Match, Override, Settings
from benchbench.runner.sweep import Swept
from benchbench.tasks.base import NAMES_OF_IMAGES
from benchbench.training.checkpoint import has_checkpoint
from benchbench.training.recipe import is_word

State = Literal["done", "taken", "begun", "new", "broken"]
_S = TypeVar("_S", bound=Settings)


def _listed(given: Any) -> Any:
    """Names with commas between as a list of them; of a list each without the blanks around it."""
    return list(split_names(given)) if given and isinstance(given, str | list) else given


def _seeds(given: Any) -> list[int]:
    """As `seed_list`, for pydantic."""
    try:
        return seed_list(given)
    except InputError as error:
        raise ValueError(str(error)) from error


class Suite(BaseModel, extra="forbid", frozen=True):
    """The file, read."""

    models: Annotated[list[str], BeforeValidator(_listed)] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    seeds: Annotated[list[int], BeforeValidator(_seeds)] = Field(default_factory=lambda: [0])
    settings: Settings = Settings()
    exclude: list[Match] = Field(default_factory=list)
    override: list[Override] = Field(default_factory=list)


@dataclass(frozen=True)
class SuiteCell:
    """One cell of a suite. `told`: its combination of a sweep, in words. `stored_as`: the dataset's name in the store.
    `state`: "taken" where another process carries it out now. `seconds`: what it should take by past records of the
    store, None where nobody knows. `reason`: of a broken one, which cannot be planned and has no key, why. `training`:
    what its training is kept under, "" where it trains nothing."""

    spec: CellSpec
    told: str
    stored_as: str
    key: str
    state: State
    seconds: float | None
    reason: str | None = None
    training: str = ""

    @property
    def model(self) -> str:
        """Of the spec."""
        return self.spec.model

    @property
    def kept_as(self) -> str:
        """What the model's folder is called."""
        return MODELS.recorded(self.model)

    @property
    def dataset(self) -> str:
        """Of the spec."""
        return self.spec.dataset

    @property
    def seed(self) -> int:
        """Of the spec."""
        return self.spec.seed

    @property
    def name(self) -> str:
        """For people: "vae on digits, seed 0"."""
        return f"{self.model} on {self.dataset}, seed {self.seed}{self.told and f', {self.told}'}"


def load_suite(path: Path) -> Suite:
    """The suite in a TOML file; `InputError` names what is wrong with it."""
    content = read_toml(path, "suite")
    try:
        suite = Suite(**content)
    except ValidationError as error:
        raise InputError(f"{path}: {_sentence(error)}") from error
    except InputError as error:  # of a path, which says itself what is wrong with it
        raise InputError(f"{path}: {error}") from error
    base = path.parent
    lists: dict[str, list[Any]] = {
        "model": suite.models,
        "dataset": [*map(dataset_name, suite.datasets)],
        "seed": suite.seeds,
    }
    for kind, entries in lists.items():
        if twice := sorted(str(entry) for entry, n in Counter(entries).items() if n > 1):
            raise InputError(f"{path}: {kind} {', '.join(twice)} is listed twice; a cell is run once")
        for match in [*suite.exclude, *(override.match for override in suite.override)]:
            asked = getattr(match, kind)
            asked = dataset_name(asked) if kind == "dataset" and asked is not None else asked
            if asked is not None and asked not in entries:
                raise InputError(f"{path}: {unknown_name(kind, str(asked), map(str, entries))}")
    try:
        return suite.model_copy(
            update={
                "models": [MODELS.from_folder(model, base) for model in suite.models],
                "datasets": [from_folder(dataset, base) for dataset in suite.datasets],
                "settings": _located(suite.settings, base),
                "exclude": [_matched(match, base) for match in suite.exclude],
                "override": [
                    _located(override, base).model_copy(update={"match": _matched(override.match, base)})
                    for override in suite.override
                ],
            }
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def plan_suite(
    suite: Suite,
    store: Store,
    *,
    device: torch.device,
    progress: Progress = SILENT,
    elsewhere: bool = False,
) -> list[SuiteCell]:
    """Every cell with its key and what the store has of it, models in the order of the file. elsewhere: as
    `runner.plan.Desk` takes it.

    Everything that can be refused is refused here, before the first cell runs: an unknown name, a model that
    cannot do a dataset's images. Raises `InputError` naming the pair. Several requests for one cell are one cell.
    """
    # Dataset by dataset, so that each is read once; then in the order of the file.
    pairs = [(model, dataset) for dataset in suite.datasets for model in suite.models]
    asked = {pair: _alike(suite, *pair) for pair in pairs}
    _refuse_too_many(asked)
    settle_in(progress)
    past, desk, probes = Past(store), Desk(Runtime(device), elsewhere=elsewhere), Probes()
    cells: list[SuiteCell] = []
    with (
        progress.stage("planning", len(pairs), "combination") as stage,
        PlannedApart(device, progress, elsewhere=elsewhere) as apart,
    ):
        for model, dataset in pairs:
            for swept, seeds in _requests(asked[model, dataset], model, dataset):
                try:
                    if MODELS.is_of_open_family(model):
                        plans = apart.plan(swept.spec, seeds)
                    else:
                        plans = [Planned.of(plan) for plan in make_plans(swept.spec, seeds, desk, probes)]
                except InputError as error:
                    raise InputError(
                        f"{model} on {short(dataset)}: {short(str(error), 1000)} "
                        "(or leave the pair out with [[exclude]])"
                    ) from error
                except CellFailed as error:  # somebody else's model; no other cell can help it
                    cells += [_broken(swept, seed, str(error)) for seed in seeds]
                    continue
                cells += [_cell(plan, swept, store, past) for plan in plans]
            stage.advance()
    place = {pair: n for n, pair in enumerate(itertools.product(suite.models, suite.datasets))}
    cells.sort(key=lambda cell: place[cell.model, cell.dataset])
    if not cells:
        raise InputError("the suite excludes every cell; there is nothing to run")
    _check_names(cells)
    return _each_once(cells, progress)


def _cell(plan: Planned, swept: Swept, store: Store, past: Past) -> SuiteCell:
    """The cell of a plan, and what the store has of it."""
    spec, told = swept
    state: State = "new"
    if store.find(plan.dataset, plan.kept_as, plan.key) is not None:
        state = "done"
    elif store.leases.holder(plan.key) is not None:
        state = "taken"
    elif plan.training_key and has_checkpoint(store.work_path(plan.training_key)):
        state = "begun"
    seconds = past.of(plan.kept_as, plan.dataset, plan.training_key)
    asked = spec.model_copy(update={"seed": plan.seed})
    return SuiteCell(asked, told, plan.dataset, plan.key, state, seconds, training=plan.training_key)


def _broken(swept: Swept, seed: int, reason: str) -> SuiteCell:
    """A cell that cannot be planned."""
    spec, told = swept
    asked = spec.model_copy(update={"seed": seed})
    return SuiteCell(asked, told, spec.dataset, "", "broken", None, reason)


def _check_names(cells: Sequence[SuiteCell]) -> None:
    """`InputError` where one name is given to two models on one dataset: their rows would pass for one model's."""
    named: dict[tuple[str, str], str] = {}
    for cell in cells:
        if (name := cell.spec.name) is not None:
            other = named.setdefault((cell.stored_as, name), cell.model)
            if other != cell.model:
                raise InputError(
                    f"{other} and {cell.model} on {cell.dataset} would both be called {name!r}; give a name with "
                    "[[override]] and match the one model it is for"
                )


def _each_once(cells: Sequence[SuiteCell], progress: Progress) -> list[SuiteCell]:
    """The cells without those that are one that came before, as where a setting is swept that a control does not have;
    says so. `InputError` where a record would lie under two datasets: no table could be made of it."""
    first: dict[str, SuiteCell] = {}
    again: list[str] = []
    for cell in cells:
        before = first.setdefault(cell.key or cell.name, cell)
        if before is cell:
            continue
        if before.stored_as != cell.stored_as:
            raise InputError(
                f"{before.name}, and {cell.name}, are one cell, since both datasets hold the same images; leave one of "
                "them out"
            )
        again.append(f"{cell.name} is {before.name}")
    if again:
        progress.note(
            f"nothing that is asked tells these cells apart, and they are run once: {listed(again)}"
        )
    return list(first.values())


Group = tuple[Settings, list[int]]
"""What is asked of a pair, with the seeds that share it."""


def _alike(suite: Suite, model: str, dataset: str) -> list[Group]:
    """What is asked of a model on a dataset, for groups of seeds."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for seed in suite.seeds:
        if any(match.of(model, dataset, seed) for match in suite.exclude):
            continue
        meant = (n for n, override in enumerate(suite.override) if override.match.of(model, dataset, seed))
        groups.setdefault(tuple(meant), []).append(seed)
    found = []
    for overrides, seeds in groups.items():
        settings = suite.settings
        for n in overrides:
            own = suite.override[n].model_dump(exclude={"match"}, exclude_unset=True)
            settings = Settings(**own).over(settings)
        found.append((settings, seeds))
    return found


def _requests(groups: Sequence[Group], model: str, dataset: str) -> Iterator[tuple[Swept, Sequence[int]]]:
    """What is asked of a pair, a combination of each sweep at a time."""
    for settings, seeds in groups:
        yield from ((swept, seeds) for swept in settings.asked(model, dataset))


def _refuse_too_many(asked: Mapping[Any, Sequence[Group]]) -> None:
    """`InputError` for more cells than anybody means, before one of them is made."""
    n = sum(
        len(seeds) * math.prod(map(len, settings.sweep.values()))
        for groups in asked.values()
        for settings, seeds in groups
    )
    if n > MOST_CELLS:
        raise InputError(
            f"the suite has {n:,} cells; at most {MOST_CELLS:,} are possible: make several suites of it, which may "
            "share one folder of records"
        )


class Past:
    """What cells of a store took, in seconds, and which trainings need not be done again."""

    def __init__(self, store: Store) -> None:
        took: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._trained: set[str] = set()
        for folder, run in records(store.root) if store.root.is_dir() else ():
            known = run.seconds
            if known is not None and known.training is not None and known.evaluation is not None:
                # Of weights that came from another cell the training itself says how long it took.
                training = known.training if run.training is None else run.training.seconds
                for where in (run.dataset, ""):
                    took.setdefault((run.model, where), []).append((training, known.evaluation))
            if run.training_key and (folder / WEIGHTS).exists():
                self._trained.add(run.training_key)
        self._whole = {cells: median(map(sum, seconds)) for cells, seconds in took.items()}
        self._scoring = {cells: median(own for _, own in seconds) for cells, seconds in took.items()}

    def of(self, model: str, dataset: str, training: str) -> float | None:
        """Median of the same pair's past cells, else of the model's on other datasets, else None. Without the training,
        where a cell of the store, or one that was asked about before, has it."""
        known = self._scoring if training in self._trained else self._whole
        if training:
            self._trained.add(training)
        return known.get((model, dataset), known.get((model, "")))


def _located(settings: _S, base: Path) -> _S:
    """Paths are meant from the suite's folder."""
    located = {
        name: base / path for name in ("recipe", "weights") if (path := getattr(settings, name)) is not None
    }
    if settings.recipe is not None and is_word(settings.recipe, base):
        del located["recipe"]  # one that ships
    named = {
        name: from_folder(text, base)
        for name, text in settings.task_options.items()
        if name in NAMES_OF_IMAGES and isinstance(text, str)
    }
    return settings.model_copy(update={**located, "task_options": {**settings.task_options, **named}})


def _matched(match: Match, base: Path) -> Match:
    """So are those of datasets and generators, by which cells are matched."""
    moved = {}
    if match.model is not None:
        moved["model"] = MODELS.from_folder(match.model, base)
    if match.dataset is not None:
        moved["dataset"] = from_folder(match.dataset, base)
    return match.model_copy(update=moved)


def _sentence(error: ValidationError) -> str:
    fault = first_fault(error)
    if fault.kind == "extra_forbidden":
        *parents, key = fault.where.split(".")
        place: dict[str, type[BaseModel]] = {
            "exclude": Match,
            "match": Match,
            "override": Override,
            "settings": Settings,
        }
        home: type[BaseModel] = next((place[name] for name in reversed(parents) if name in place), Suite)
        return str(unknown_name("suite setting", key, home.model_fields))
    return f"{fault.where}: {fault.reason}"
