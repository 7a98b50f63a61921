"""What papers report of a model on a dataset, and under which protocol (`papers.toml` beside this)."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

FILE = Path(__file__).with_name("papers.toml")


class PaperNumber(BaseModel, extra="forbid", frozen=True):
    """A number of a paper.

    Attributes:
        model: The model's name here.
        dataset: The dataset's.
        task: As records have it.
        metric: What it measures, by our name.
        value: As the page of the documentation writes it.
        unit: Of what it is, where `value` does not say it.
        paper: Who reports it, and where.
        protocol: How it was made.
        page: The page of the documentation that has it.
    """

    model: str
    dataset: str
    task: str = "generation"
    metric: str
    value: str
    unit: str = ""
    paper: str
    protocol: str
    page: str


class NoNumber(BaseModel, extra="forbid", frozen=True):
    """Why no paper's number stands beside ours.

    Attributes:
        dataset: The dataset's name here.
        models: By name; none for all.
        task: As records have it; a kind of task stands for all of its settings.
        why: As half a sentence.
    """

    dataset: str
    models: tuple[str, ...] = ()
    task: str = "generation"
    why: str


@cache
def paper_numbers() -> tuple[PaperNumber, ...]:
    """All that are known."""
    return tuple(PaperNumber.model_validate(entry) for entry in _content()["number"])


@cache
def no_numbers() -> tuple[NoNumber, ...]:
    """All reasons why there is none."""
    return tuple(NoNumber.model_validate(entry) for entry in _content()["without"])


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def of_papers(model: str, dataset: str, tasks: Collection[str]) -> list[PaperNumber]:
    """Those of a model on a dataset in one of these tasks."""
    return [
        own for own in paper_numbers() if (own.model, own.dataset) == (model, dataset) and own.task in tasks
    ]


def why_without(model: str, dataset: str, tasks: Collection[str]) -> str:
    """Why there is none of a model on a dataset in these tasks; "" where nobody says so."""
    kinds = {*tasks, *(task.partition(":")[0] for task in tasks)}
    own = (
        reason.why
        for reason in no_numbers()
        if reason.dataset == dataset and reason.task in kinds and model in (reason.models or (model,))
    )
    return next(own, "")
