"""Stores of several machines as one: every record is looked at before the first is copied.

A cell that several stores hold is one cell, and its records must say the same (`results.agree`); where they do not,
nobody can know which is right, so all such cells are named and nothing is written. A record that is in place already is
never touched. Copies land whole or not at all, so that a join that was cut short goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchbench.core.errors import Disagreement, InputError
from benchbench.core.files import atomic_write
from benchbench.core.paths import printable
from benchbench.results.agree import TOLERANCE, disagreements
from benchbench.results.key import is_key
from benchbench.results.load import Record, load_failures
from benchbench.results.rows import rows_of
from benchbench.results.store import FAILED, RUN, Store
from benchbench.results.touched import read
from benchbench.results.verify import verify_records

MOST_SAID = 12  # faults or cells in one sentence


@dataclass(frozen=True)
class Merged:
    """What was joined.

    Attributes:
        into: The store.
        copied: The keys of the cells that were copied there.
        there: The keys of those that it had before.
        agreeing: The keys of those that several stores hold; they agree.
        failures: How many cells that failed elsewhere, and that nobody has, it now says so of.
    """

    into: Path
    copied: list[str]
    there: list[str]
    agreeing: list[str]
    failures: int


def merge_stores(sources: Sequence[Path], into: Path, tolerance: float = TOLERANCE) -> Merged:
    """Copy all records of some stores into one.

    Args:
        sources: The folders; of records that agree that of the first one is taken.
        into: The store, which may hold records, and may be one of the sources.
        tolerance: How far apart two values of one number may be, relative.

    Returns:
        What was copied.

    Raises:
        InputError: A record is damaged, of another schema version or twice in one store, or the store cannot be
            written; nothing was written where it is said of the records.
        Disagreement: Stores hold one cell with different numbers; nothing was written.
    """
    _refuse_nested(sources, into)
    store = Store(into)
    roots = ([into] if into.is_dir() else []) + [own for own in sources if not _same(own, into)]
    by_cell = _verified(roots)
    _refuse_disagreeing(by_cell, tolerance)
    store.check_writable()
    inside = into.resolve()
    there, copied = [], []
    for cell, found in by_cell.items():
        if found[0][0].resolve().is_relative_to(inside):
            there.append(cell)
        else:
            store.adopt(*_fullest(found))
            copied.append(cell)
    failures = sum(_adopt_failures(store, root, by_cell.keys()) for root in roots if not _same(root, into))
    return Merged(into, copied, there, [cell for cell, found in by_cell.items() if len(found) > 1], failures)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _refuse_nested(sources: Sequence[Path], into: Path) -> None:
    """A store within another one would hold every cell twice."""
    target = into.resolve()
    for source in sources:
        own = source.resolve()
        if own != target and (target.is_relative_to(own) or own.is_relative_to(target)):
            raise InputError(
                f"{printable(into)} and {printable(source)} lie within each other; name another folder"
            )


def _verified(roots: Sequence[Path]) -> dict[str, list[Record]]:
    """The records of all stores by cell, those of the first store first; `InputError` for any fault."""
    by_cell: dict[str, list[Record]] = {}
    faults = []
    for root in roots:
        found = verify_records([root])
        faults += found.faults
        for record in found.records:
            same = by_cell.setdefault(record[1].cell, [])
            if not any(_same(record[0], other) for other, _ in same):
                same.append(record)
    if faults:
        raise InputError(f"nothing was written: {_said(faults)}")
    return by_cell


def _refuse_disagreeing(by_cell: dict[str, list[Record]], tolerance: float) -> None:
    said = []
    for cell, ((folder, run), *others) in by_cell.items():
        rows = rows_of(folder, run) if others else []
        for other, its in others:
            if its.content_sha256 is not None and its.content_sha256 == run.content_sha256:
                continue
            if found := list(disagreements(rows, rows_of(other, its), tolerance)):
                more = f" and {len(found) - 3} more" if len(found) > 3 else ""
                who = f"{run.model} on {run.dataset}, seed {run.seed}"
                said.append(f"{cell} ({who}) in {folder} and {other}: {', '.join(found[:3])}{more}")
    if said:
        n = len(said)
        raise Disagreement(
            f"nothing was written: {n} cell{'' if n == 1 else 's'} with different numbers ({tolerance:.2g} apart is "
            f"allowed): {_said(said)}; leave one of the two out, or allow more with --tolerance"
        )


def _said(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - MOST_SAID} more" if len(texts) > MOST_SAID else ""
    return "; ".join(texts[:MOST_SAID]) + more


def _fullest(found: Sequence[Record]) -> Record:
    """The first record, or a copy of it that has more of its files: some may have been taken away."""
    first = found[0][1]
    copies = [own for own in found if own[1].files == first.files]
    return max(copies, key=lambda own: sum((own[0] / name).exists() for name in first.files))


def _adopt_failures(store: Store, root: Path, finished: object) -> int:
    """Carry over why cells failed that no store has finished. Returns of how many."""
    n = 0
    for failure in load_failures(root).to_dict("records"):
        cell, dataset, model = (failure[name] for name in ("cell", "dataset", "model"))
        if not (cell and dataset and model and is_key(cell)) or cell in finished:  # type: ignore[operator]
            continue
        folder = store.cell_dir(dataset, model, cell)
        if not (folder / RUN).exists() and not (folder / FAILED).exists():
            atomic_write(folder / FAILED, read(Path(failure["path"]) / FAILED))
            n += 1
    return n
