"""What papers report of a model on a dataset, and under which protocol (`papers.toml` beside this)."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path

from pydantic import BaseModel

FILE = Path(__file__).with_name("papers.toml")


class PaperNumber(BaseModel, extra="forbid", frozen=True):
    """A number of a paper.

    Attributes:
        model: The model's name here.
        dataset: The dataset's.
        task: As records have it.
        value: As the page of the documentation writes it.
        unit: Of what it is, where `value` does not say it.
        paper: Who reports it, and where.
        protocol: How it was made.
        page: The page of the documentation that has it.
    """

    model: str
    dataset: str
    task: str = "generation"
    value: str
    unit: str = ""
    paper: str
    protocol: str
    page: str


@cache
def paper_numbers() -> tuple[PaperNumber, ...]:
    """All that are known."""
    content = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return tuple(PaperNumber.model_validate(entry) for entry in content["number"])


def of_papers(model: str, dataset: str, tasks: Collection[str]) -> list[PaperNumber]:
    """Those of a model on a dataset in one of these tasks."""
    return [
        own for own in paper_numbers() if (own.model, own.dataset) == (model, dataset) and own.task in tasks
    ]
