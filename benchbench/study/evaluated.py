"""Which record `benchbench evaluate` made of the very images in a folder: there people's numbers of them belong.

Such a record keeps no images, but the fingerprint of their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchbench.core.errors import InputError, listed
from benchbench.core.progress import Progress
from benchbench.data.pipeline.fingerprint import combine, pixel_digests
from benchbench.results.load import Record, records
from benchbench.results.rows import rows_of
from benchbench.study.image_sets import ImageSet
from benchbench.study.manifest import System


@dataclass(frozen=True)
class Evaluated:
    """Records of evaluated images below a folder.

    Attributes:
        found: The records.
        fault: Why they cannot be read; None where they can.
    """

    found: tuple[Record, ...]
    fault: str | None = None


def evaluated(results: Path) -> Evaluated:
    """Those below a folder; of one that is not there none, and of one that is damaged the reason: images of a folder
    can be shown without a record."""
    if not results.is_dir():
        return Evaluated(())
    try:
        return Evaluated(tuple(own for own in records(results) if own[1].samples is not None))
    except InputError as error:
        return Evaluated((), str(error))


@dataclass(frozen=True)
class Bound:
    """A system of a folder's images.

    Attributes:
        system: With the record of them, where there is one.
        notes: What a reader should know of that.
    """

    system: System
    notes: tuple[str, ...] = ()


def bind(system: System, images: ImageSet, known: Evaluated, progress: Progress) -> Bound:
    """Find the record of a folder's images, by their pixels.

    Args:
        system: As the folder alone says it.
        images: All of them.
        known: Records that may be of them.
        progress: Who is told how far it is.

    Returns:
        The system with its record. Of several records of one model on one dataset the first by seed and key; of several
        models the one of the system's name; where neither tells which, no record and a note.
    """
    if known.fault is not None:
        return Bound(system, (f"{system.name} joins no record, for records cannot be read: {known.fault}",))
    same = _of_these(images, known.found, progress)
    if not same:
        return Bound(system)
    labelled = [(own, rows_of(*own)[0]) for own in same]
    labelled = [own for own in labelled if own[1].model == system.name] or labelled
    if len(models := sorted({f"{row.model} on {row.dataset}" for _, row in labelled})) > 1:
        return Bound(
            system,
            (
                f"the images of {system.name} are those of the records of {listed(models)}, and it joins none of them; "
                "--results names a folder with one of them",
            ),
        )
    (_, run), row = min(labelled, key=lambda own: (own[1].seed or 0, own[0][1].cell))
    joined = system.model_copy(
        update={
            "cell": run.cell,
            "model": row.model,
            "dataset": row.dataset,
            "task": row.task,
            "direction": row.direction,
            "variant": row.variant,
            "seed": run.seed or 0,
        }
    )
    said = f"{system.name} joins the record of exactly its images, {run.cell} of {row.model} on {row.dataset}"
    return Bound(joined, (said,))


def _of_these(images: ImageSet, known: Sequence[Record], progress: Progress) -> list[Record]:
    candidates = [own for own in known if own[1].samples is not None and own[1].samples.n == len(images)]
    if not candidates:
        return []
    digests = []
    with progress.stage("look for their record", len(images), "image") as stage:
        for row in range(len(images)):
            digests += pixel_digests(images.read(row))
            stage.advance()
    prints = {combine(digests, None)} | (
        {combine(digests, images.groups)} if images.groups is not None else set()
    )
    return [own for own in candidates if own[1].samples is not None and own[1].samples.fingerprint in prints]


def fitting(systems: Sequence[Bound]) -> list[Bound]:
    """As many, without records that cannot stand beside the others': of another dataset or task than those, or one that
    another system has.

    Args:
        systems: Of a study; those of records that were named stay as they are.

    Returns:
        The same systems in the same order.
    """
    asked = {_protocol(own.system) for own in systems if own.system.source != "folder"}
    of_folders = {
        _protocol(own.system) for own in systems if own.system.source == "folder" and own.system.cell
    }
    if not asked and len(of_folders) > 1:
        return [_parted(own, "records of these folders are of several datasets or tasks") for own in systems]
    found: list[Bound] = []
    for own in systems:
        if own.system.source == "folder" and own.system.cell:
            if asked and _protocol(own.system) not in asked:
                own = _parted(
                    own, f"its record is of {own.system.dataset}, {own.system.task}, and the others' are not"
                )
            elif own.system.cell in {other.system.cell for other in systems if other is not own}:
                own = _parted(own, "another system of the study has the same record")
        found.append(own)
    return found


def _protocol(system: System) -> tuple[str, str, str]:
    return system.dataset, system.task, system.direction


def _parted(own: Bound, why: str) -> Bound:
    if own.system.source != "folder" or not own.system.cell:
        return own
    bare = System(name=own.system.name, n=own.system.n, source=own.system.source)
    return replace(own, system=bare, notes=(f"{own.system.name} joins no record: {why}",))
