"""What the card of a baseline is made from, gathered: its record and those of its other seeds, weights, licences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbench.core.baselines import CARD, WEIGHTS, Shipped
from benchbench.core.errors import InputError
from benchbench.core.registry import DATASETS
from benchbench.results.endings import CURVES, ended_of
from benchbench.results.load import Record
from benchbench.results.recipes import recipe_of
from benchbench.results.rows import read_file, rows_of
from benchbench.results.touched import read
from benchbench.runner.again import task_of
from benchbench.runner.baselines.rounded import is_float16
from benchbench.runner.spec import SHORT
from benchbench.views.baseline_card import CardFacts, Seed, baseline_card, remarks_of
from benchbench.views.paper_numbers import of_papers, why_without

SHOWN = ("samples.png", "restored.png", "translations.png", "stylizations.png", "edits.png", "training.png")
"""Pictures of a record that a card shows, where they are there."""


def card_of(
    shipped: Shipped, record: Record, found: Sequence[Record], root: Path, *, home: Path | None = None
) -> str:
    """The card of a baseline as it ought to be; what was written by hand in the one that is there is kept.

    Args:
        shipped: The baseline, with the weights as they ship.
        record: The one that they are of.
        found: The published records, `record` among them.
        root: The folder of these.
        home: Where the baseline will lie; None for where it lies.

    Returns:
        The text.

    Raises:
        InputError: A record is damaged, or the weights or the card that is there cannot be read.
    """
    folder, run = record
    seeds = [_seed(own) for own in siblings(record, found)]
    rows = rows_of(folder, run)
    place = folder.relative_to(root)
    link = Path(os.path.relpath(root, home or shipped.folder)) / place
    tasks = {row.task for row in rows}
    facts = CardFacts(
        name=shipped.name,
        command=command_of(run.model, run.dataset, task_of(run, rows)[1]),
        shipped=next(own for own in seeds if own.run.cell == run.cell),
        seeds=seeds,
        curves=read_file(folder, run, CURVES).decode("utf-8") if CURVES in run.files else "",
        pictures=[
            (name.removesuffix(".png"), (link / name).as_posix())
            for name in SHOWN
            if name in run.files and (folder / name).exists()
        ],
        record=(Path(root.name) / place).as_posix(),
        weights_sha256=shipped.sha256,
        weights_size=shipped.size,
        float16=is_float16(shipped.folder / WEIGHTS),
        licence=licence_of(run.dataset),
        papers=of_papers(run.model, run.dataset, tasks),
        without=why_without(run.model, run.dataset, tasks),
    )
    return baseline_card(facts, remarks_in(shipped.folder / CARD))


def remarks_in(file: Path) -> str:
    """What was written by hand in the card or the board that is there; "" where none is."""
    if not os.path.lexists(file):
        return ""
    try:
        return remarks_of(read(file).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no text in UTF-8; put it right, or take it away") from error


def siblings(record: Record, found: Iterable[Record]) -> list[Record]:
    """The records of one model, recipe and dataset under several seeds, by seed; `record` is among them."""
    run = record[1]
    own = {
        other[1].cell: other
        for other in [record, *found]
        if (other[1].dataset, other[1].model, other[1].variant) == (run.dataset, run.model, run.variant)
        and recipe_of(other[1]) == recipe_of(run)
        and other[1].n_samples == run.n_samples
    }
    return sorted(own.values(), key=lambda other: (other[1].seed or 0, other[1].cell))


def _seed(record: Record) -> Seed:
    folder, run = record
    return Seed(run, rows_of(folder, run), ended_of(folder, run))


def command_of(model: str, dataset: str, options: Mapping[str, Any]) -> str:
    """What one types to load the weights."""
    said = [
        f"--{name} {value}" if name in SHORT else f"--task-option {name}={str(value).lower()}"
        for name, value in _typed(options).items()
    ]
    return " ".join(["benchbench run --model", model, "--dataset", dataset, *said, "--pretrained"])


def _typed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as people say them: Gaussian noise by its deviation alone."""
    if options.get("noise") == "gaussian" and "strength" in options:
        rest = {name: value for name, value in options.items() if name not in ("noise", "strength")}
        return {"sigma": f"{options['strength']:g}", **rest}
    return dict(options)


def licence_of(dataset: str) -> str:
    """Under what terms the images of a dataset are, as its class says it."""
    try:
        said = getattr(DATASETS.get(dataset), "licence", None)
    except InputError:
        said = None
    return said if isinstance(said, str) else "not stated"
