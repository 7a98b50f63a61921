"""`benchbench.export`: records for dashboards, for the Hub and for other programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from benchbench.core.errors import InputError, listed, unknown_name
from benchbench.core.files import cannot_write
from benchbench.core.paths import as_path, printable
from benchbench.core.progress import SILENT, Progress, Stage
from benchbench.core.registry import SINKS
from benchbench.results.load import Record, records
from benchbench.results.rows import possible
from benchbench.results.store import folder_name
from benchbench.sinks.card import Weights, checked_dataset, write_card
from benchbench.sinks.over_seeds import by_model
from benchbench.sinks.replay import export as tell
from benchbench.sinks.tables import FORMATS, write_tables
from benchbench.verbs.outputs import refuse_in_record

HUB = "hf"


def export(
    record: Path | str | Sequence[Path | str],
    *,
    to: str,
    out: Path | str,
    weights: Weights | None = None,
    hub_dataset: str | None = None,
    over_seeds: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Put records where somebody looks at runs: a dashboard, the Hugging Face Hub, or tables.

    No network is needed and nothing is uploaded: what comes out is files.

    Args:
        record: A record's folder or one with records below, or several.
        to: A sink ("tensorboard", "wandb", "mlflow", or a plugin's), "hf" for a model card, or "csv", "parquet" or
            "json" for tables.
        out: The folder that is made; one that is there is never added to. Several cards are each in a folder of their
            own below it.
        weights: For "hf" whether weights are copied ("copy") or linked ("link"); None leaves them out.
        hub_dataset: For "hf" the dataset's id on the Hub, "owner/name", where benchbench knows none: leaderboards of
            the Hub know datasets by it alone.
        over_seeds: For "hf" one card a model, with means over its seeds, in place of one a record.
        progress: Who is told how far it is.

    Returns:
        The folder.

    Raises:
        InputError: There are no records, one is damaged or holds a number that cannot be and was named itself, the
            folder is there already, or a library is not installed.
        CellFailed: A sink failed; nothing is left of the folder.

    >>> benchbench.export("runs", to="tensorboard", out="tb")  # doctest: +SKIP
    """
    folder = as_path(out)
    known = [*FORMATS, HUB, *SINKS.names()]
    if to not in known:
        raise unknown_name("place to export to", str(to), known)
    if to != HUB and (weights is not None or hub_dataset is not None or over_seeds):
        raise InputError(
            f"weights, the Hub's dataset and means over seeds belong to a model card, with --to {HUB}; leave them out"
        )
    if weights is not None and weights not in get_args(Weights):
        raise unknown_name("way to hand weights over", str(weights), get_args(Weights))
    checked_dataset(hub_dataset)
    if to not in (HUB, *FORMATS):
        SINKS.make(to)  # what it needs is installed
    found = _found([record] if isinstance(record, Path | str) else record)
    with _fresh(folder):
        if to in FORMATS:
            write_tables(found, folder, to)
            return folder
        with progress.stage(f"exporting to {to}", len(found), "record") as stage:
            if to == HUB:
                groups = by_model(found) if over_seeds else [[one] for one in found]
                unknown = _cards(groups, folder, weights, hub_dataset, stage)
            else:
                unknown = set()
                for one in found:
                    tell(to, one, folder)
                    stage.advance()
    for dataset in sorted(unknown):
        progress.note(
            f"{dataset} has no id on the Hub that benchbench knows, so there is no .eval_results; "
            "--hub-dataset OWNER/NAME says it"
        )
    return folder


def _found(given: Sequence[Path | str]) -> list[Record]:
    """The records of folders, each once; what `rows.possible` refuses is left out where others are there."""
    by_cell: dict[str, Record] = {}
    folders = [as_path(own) for own in given]
    for folder in folders:
        here = list(records(folder))
        if not here:
            raise InputError(
                f"no records in {printable(folder)}; name a folder with a run.json in it or below"
            )
        for one in here:
            by_cell.setdefault(one[1].cell, one)
    if not by_cell:
        raise InputError("name at least one record")
    with possible(folders) as possible_rows:
        sound = [own for own in by_cell.values() if possible_rows(*own) is not None]
    if not sound:
        raise InputError(f"no record in {listed(list(map(printable, folders)))} is left; restore one")
    return sound


def _cards(
    groups: Sequence[Sequence[Record]],
    folder: Path,
    weights: Weights | None,
    dataset: str | None,
    stage: Stage,
) -> set[str]:
    """A card a group of records, in a folder of its own where there are several; returns the datasets of which the Hub
    knows nothing."""
    unknown = set()
    for group in groups:
        first, own = group[0][1], folder
        if len(groups) > 1:
            own = folder / f"{folder_name(first.dataset)}-{folder_name(first.model)}-{first.cell}"
            own.mkdir()
        if not write_card(group, own, dataset=dataset, weights=weights):
            unknown.add(first.dataset)
        stage.advance(len(group))
    return unknown


@contextmanager
def _fresh(folder: Path) -> Iterator[None]:
    """A folder that nobody has, and that vanishes with what was written where that did not come to its end."""
    refuse_in_record(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise InputError(
            f"{printable(folder)} is there already, and nothing is added to it; name another folder"
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise cannot_write(folder, error) from error
        raise
