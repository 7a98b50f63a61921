"""What a suite's file may say of its cells: settings, and which cells they are meant for (`runner.suite`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from benchbench.core.precision import Precision
from benchbench.data.sources.spec import dataset_name
from benchbench.runner.spec import BySection, CellSpec, Images, Location, Names, Side, Whole
from benchbench.runner.sweep import Swept, combinations


class Settings(BaseModel, extra="forbid", frozen=True):
    """What `benchbench run` would be told of a cell; unset ones are its defaults. The fields are those of
    `runner.spec.CellSpec` beside model, dataset and seed, each of which may be missing; `set` is its `overrides`, and
    `sweep` makes several cells of one (`runner.sweep`)."""

    samples: Images = None
    size: Side = None
    recipe: Location | None = None
    set: Annotated[dict[str, Any], BySection] = Field(default_factory=dict)
    pretrained: bool | None = None
    weights: Location | None = None
    allow_pickle: bool | None = None
    metrics: Names | None = None
    extractors: Names | None = None
    precision: Precision | None = None
    name: str | None = None
    task: str | None = None
    task_options: dict[str, Any] = Field(default_factory=dict)
    variant: str | None = None
    log: Names | None = None
    sweep: Annotated[dict[str, list[Any]], BySection] = Field(default_factory=dict)

    def over(self, other: Settings) -> Settings:
        """These settings, and `other`'s where these say nothing; settings by name are merged key by key."""
        own = self.model_dump(exclude_unset=True)
        merged = {
            "set": {**other.set, **self.set},
            "task_options": {**other.task_options, **self.task_options},
            "sweep": {**other.sweep, **self.sweep},
        }
        return Settings(**{**other.model_dump(exclude_unset=True), **own, **merged})

    def asked(self, model: str, dataset: str) -> list[Swept]:
        """What they ask for of a model on a dataset."""
        said = self.model_dump(exclude={"set", "sweep"}, exclude_none=True)
        return combinations(CellSpec.of(model=model, dataset=dataset, overrides=self.set, **said), self.sweep)


class Match(BaseModel, extra="forbid", frozen=True):
    """Some cells: those that agree in everything that is given."""

    model: str | None = None
    dataset: str | None = None
    seed: Annotated[int | None, Whole] = None

    def of(self, model: str, dataset: str, seed: int) -> bool:
        """Whether this cell is meant."""
        named = None if self.dataset is None else dataset_name(self.dataset)
        asked, its = (self.model, named, self.seed), (model, dataset_name(dataset), seed)
        return all(mine in (None, own) for mine, own in zip(asked, its, strict=True))


class Override(Settings, frozen=True):
    """Settings for some cells."""

    match: Match
