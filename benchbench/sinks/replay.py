"""A record as sinks are told of it: afterwards, or at the end of the run that left it."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchbench.core.errors import CellFailed, InputError, because
from benchbench.core.files import cannot_write
from benchbench.core.registry import SINKS
from benchbench.results.load import Record
from benchbench.results.rows import read_file, rows_of
from benchbench.results.store import folder_name
from benchbench.results.touched import damaged
from benchbench.sinks.feed import Feed
from benchbench.sinks.sink import LoggedRun

CURVES = "curves.csv"


def run_of(record: Record, folder: Path, *, offline: bool) -> LoggedRun:
    """What a sink is told of a record. folder: where it may write."""
    _, run = record
    recipe = run.recipe
    return described(
        key=run.cell,
        dataset=run.dataset,
        model=run.model,
        called=run.name or " ".join(filter(None, (run.model, run.variant))),
        seed=run.seed or 0,
        made={
            "hyper": run.config,
            "sampling": run.sampling,
            "training": None if recipe is None or run.training is None else recipe.training,
        },
        folder=folder,
        offline=offline,
    )


def described(
    *,
    key: str,
    dataset: str,
    model: str,
    called: str,
    seed: int,
    made: Mapping[str, Any],
    folder: Path,
    offline: bool,
) -> LoggedRun:
    """A run as sinks are told of it. called: the model and what was set, or its owner's name for it. made: what it was
    made with, by concern; what is None is left out."""
    facts = {"model": model, "dataset": dataset, "seed": seed}
    return LoggedRun(
        key=key,
        name=f"{called} on {dataset}, seed {seed}",
        dataset=dataset,
        place=f"{folder_name(dataset)}/{folder_name(model)}/{key}",
        config={**facts, **{name: said for name, said in made.items() if said}},
        folder=folder,
        offline=offline,
    )


def replay(record: Record, feed: Feed) -> None:
    """Tell a feed what a record says: its curves as far as they are new, its numbers and its pictures."""
    folder, run = record
    curves = curves_of(record)
    feed.curves(curves)
    feed.end(int(curves[-1]["step"]) if curves else 0, rows_of(folder, run), pictures_of(record))


def curves_of(record: Record) -> list[dict[str, float]]:
    """The rows of its curves; none where nothing was trained."""
    folder, run = record
    if CURVES not in run.files:
        return []
    # pyarrow rounds correctly, so what was written is what is read.
    table = pd.read_csv(io.BytesIO(read_file(folder, run, CURVES)), engine="pyarrow")
    if "step" not in table or not all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
        raise damaged(folder / CURVES, "holds what no training writes")
    rows: list[dict[str, float]] = table.to_dict("records")  # type: ignore[assignment]  # names are text
    return rows


def pictures_of(record: Record) -> list[tuple[str, bytes]]:
    """PNG files of its artefacts by kind, those that are still there; pictures may be taken out of a record."""
    folder, run = record
    files = {own.file: own.kind for own in run.artefacts or ()}
    if (
        run.artefacts is None
    ):  # of older records the name says the kind; the plot of the curves is no artefact
        files = {file: Path(file).stem for file in run.files if file != "training.png"}
    return [
        (f"record/{folder_name(kind)}", read_file(folder, run, file))
        for file, kind in files.items()
        if file.endswith(".png") and (folder / file).exists()
    ]


def export(name: str, record: Record, folder: Path) -> None:
    """Put a record where a sink has it, with nothing but files below a folder.

    Raises:
        InputError: There is no such sink, its library is not installed, or the folder cannot be written.
        CellFailed: The sink failed.
    """

    def failed(_: str, error: BaseException) -> None:
        if isinstance(error, InputError):
            raise error
        if (refused := _of_the_disk(error)) is not None:
            raise cannot_write(folder, refused) from error
        raise CellFailed(f"{name} does not take the record {record[0]}: {because(error)}") from error

    feed = Feed({name: (SINKS.make(name), run_of(record, folder, offline=True))}, failed)
    replay(record, feed)
    feed.close("finished")


_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def _of_the_disk(error: BaseException) -> OSError | None:
    """What the system said where it would not let a sink write; libraries wrap it, or keep no more than its words."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno in _OF_THE_DISK:
            return at
        if os.strerror(errno.ENOSPC).lower() in because(at).lower():
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        at = at.__cause__ or at.__context__
    return None
