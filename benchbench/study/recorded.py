"""A study's numbers in the store: a record a system, beside the record whose images people were shown.

Records never change, so that what people said of a record is a record of its own, under its own key: same dataset,
model, variant, seed and recipe, hence the same row of every board, and the images' own record is named in it. The
study takes the place of an extractor, `study_1a2b3c4d`, pinned as those are by a sha256, here of the study and of all
its answers: numbers of two studies, or of one before and after more answers, are never averaged, ranked or tested
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.core.paths import printable
from benchbench.results.claims.conditions import PEOPLE
from benchbench.results.key import KEY_LENGTH
from benchbench.results.load import Record, records
from benchbench.results.manifest import ExtractorFacts, Machine, Provenance, RunFacts
from benchbench.results.people import Agreement, Bounded, FromChance, FromOther, LeftOut, People
from benchbench.results.provenance import collect_provenance, read_manifest, utc_now
from benchbench.results.record import SCHEMA_VERSION, Row
from benchbench.results.rows import rows_of
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import write_rows
from benchbench.study.manifest import System
from benchbench.study.rates_tested import FromChance as Tested
from benchbench.study.scoring import Measured, Scored

VERSION = 1
"""Raised whenever the same answers would give other numbers."""
MADE_BY = (
    "name", "variant", "settings", "control", "seed", "n_samples", "data", "notes", "status", "recipe", "config",
    "sampling", "code_hash", "weights_loaded_sha256", "selected_on", "protocol", "monitor", "collapse", "training",
    "samples",
)  # fmt: skip
"""What a record says of how its images were made, which is true of what people say of them. The key of the training
is none: whoever tidies a store would take a training that goes on for finished."""


@dataclass(frozen=True)
class Recorded:
    """paths: of the records that hold the numbers, in the order of the systems. fresh: how many were written now.
    without: why a system has none, by its name."""

    paths: list[Path]
    fresh: int
    without: dict[str, str] = field(default_factory=dict)


def extractor_of(scored: Scored) -> str:
    """What stands where others name their network."""
    return f"study_{scored.study.manifest.id[:8]}"


def answers_sha256(scored: Scored) -> str:
    """Of who answered what, whenever."""
    columns = scored.answered[["rater", "item", "choice"]].astype(str)
    return digest(sorted(columns.itertuples(index=False, name=None)))


def sources(scored: Scored, root: Path) -> dict[str, Record]:
    """The records whose images were shown, by cell, as far as they lie below `root`; `InputError` as
    `load_results`."""
    wanted = {own.cell for own in scored.study.manifest.systems if own.cell}
    return {run.cell: (folder, run) for folder, run in records(root) if run.cell in wanted} if wanted else {}


Planned = list[tuple[int, System, Record]]


def record(scored: Scored, found: Mapping[str, Record], store: Store) -> Recorded:
    """Write the numbers of each system that has a record.

    Args:
        scored: The study.
        found: `sources` of it.
        store: Where.

    Returns:
        Where they lie.

    Raises:
        InputError: Numbers of this study from other answers are there, or the store cannot be written; nothing was
            written.
    """
    store.prepare()
    answers = answers_sha256(scored)
    without, planned = {}, []
    for place, system in enumerate(scored.study.manifest.systems):
        if not system.cell:
            without[system.name] = (
                "its images are of a folder, of which no record was found when the study was made; benchbench evaluate "
                "makes one, and a study that is made after it with --results joins it"
            )
        elif system.cell not in found:
            without[system.name] = f"its record {system.cell} is not here"
        else:
            planned.append((place, system, found[system.cell]))
    _refuse_earlier(scored, planned, store, answers)
    paths, fresh = [], 0
    for place, system, source in planned:
        key = _key(scored, system, answers)
        run = source[1]
        path = store.find(run.dataset, run.model, key)
        if path is None:
            fresh += 1
            with store.write(run.dataset, run.model, key, _facts(scored, place, source, answers)) as folder:
                write_rows(folder / METRICS, _rows(scored, place, source, key))
            path = store.cell_dir(run.dataset, run.model, key)
        paths.append(path)
    return Recorded(paths, fresh, without)


def _refuse_earlier(scored: Scored, planned: Planned, store: Store, answers: str) -> None:
    """`InputError` where numbers of the study from other answers lie in the store: two of them would be two rows of
    one thing, and whoever looks often enough finds what they look for."""
    cells = [folder for _, _, (_, run) in planned for folder in store.cells(run.dataset, run.model)]
    if earlier := sorted({folder for folder in cells if _is_earlier(scored, folder, answers)}):
        more = f" and {len(earlier) - 1} more folders have" if len(earlier) > 1 else " has"
        raise InputError(
            f"{printable(earlier[0])}{more} this study's numbers from other answers; a study is recorded when it is "
            "over: delete them, write into another folder (--out), or none (--no-rows)"
        )


def _is_earlier(scored: Scored, folder: Path, answers: str) -> bool:
    people = read_manifest(folder / RUN).people
    return (
        people is not None and people.study == scored.study.manifest.id and people.answers_sha256 != answers
    )


def _key(scored: Scored, system: System, answers: str) -> str:
    made_of = {
        "schema_version": SCHEMA_VERSION,
        "study": scored.study.manifest.content_sha256,
        "cell": system.cell,
        "version": VERSION,
        "answers": answers,
    }
    return digest(made_of)[:KEY_LENGTH]


def _rows(scored: Scored, place: int, source: Record, key: str) -> list[Row]:
    folder, run = source
    first = rows_of(folder, run)[0]
    system = scored.study.manifest.systems[place]
    asked = {"task": system.task or first.task, "direction": system.direction}
    named = {name: getattr(first, name) for name in ("model", "variant", "dataset", "seed")}
    return [
        _row(own, extractor_of(scored), {"cell": key, **named, **asked})
        for own in scored.numbers
        if own.system == place
    ]


def _row(own: Measured, extractor: str, who: Mapping[str, Any]) -> Row:
    return Row(
        **who,
        metric=f"{own.metric}_{extractor}",
        aspect=PEOPLE,
        value=own.value,
        low=own.low,
        high=own.high,
        interval=own.method,
        unit="",
        higher_is_better=own.higher_is_better,
        n_images=None,  # of systems of one study they may differ by one, and nothing else of how they were judged does
        n_reference=None,
        extractor=extractor,
        resize=None,
        precision=None,
        status="ok" if own.value is not None else "failed",
        reason=own.why,
        metric_version=VERSION,
        scale=own.scale,
        minimum=own.ends[0],
        maximum=own.ends[1],
        headline=False,
        gated=own.gated,
    )


def _facts(scored: Scored, place: int, source: Record, answers: str) -> RunFacts:
    """What the run.json says."""
    import torch

    from benchbench.core.device import describe_machine

    before = source[1].stated()
    made = {name: before[name] for name in MADE_BY if name in before}
    sha256 = digest([scored.study.manifest.content_sha256, answers])
    return RunFacts(
        **made,
        provenance=Provenance(**collect_provenance()),
        machine=Machine(**describe_machine(torch.device("cpu"))),
        extractors={extractor_of(scored): ExtractorFacts(weights_sha256=sha256)},
        finished=utc_now(),
        artefacts=[],
        people=people_of(scored, place, answers),
    )


def people_of(scored: Scored, place: int, answers: str) -> People:
    """What a record says of the study."""
    manifest, overall = scored.study.manifest, scored.overall
    return People(
        study=manifest.id,
        name=manifest.systems[place].name,
        kind=manifest.kind,
        question=manifest.question,
        ties=manifest.ties,
        cell=manifest.systems[place].cell,
        raters=len(scored.counted),
        left_out=[LeftOut(rater=own.rater, why=str(own.left_out)) for own in scored.left_out],
        remarks=[f"{own.rater}: {said}" for own in scored.raters for said in own.remarks],
        pass_checks=manifest.pass_checks,
        answers=scored.answers,
        items=scored.items,
        answers_sha256=answers,
        agreement=Agreement(
            alpha=scored.agreed.value,
            low=scored.agreed.low,
            high=scored.agreed.high,
            items=scored.agreed.n_items,
        ),
        hype_infinity=None
        if overall is None
        else Bounded(value=overall.value, low=overall.low, high=overall.high),
        apart=list(_apart(scored, place)),
        from_chance=next((_from_chance(own) for own in scored.chances if own.system == place), None),
    )


def _from_chance(own: Tested) -> FromChance:
    return FromChance(
        metric=f"human_{own.metric}",
        chance=own.chance,
        value=own.difference.value + own.chance,
        p=own.p,
        detectable=own.detectable,
    )


def _apart(scored: Scored, place: int) -> Iterator[FromOther]:
    for pair in scored.pairs:
        if place in (pair.a, pair.b):
            sign, other = (1, pair.b) if place == pair.a else (-1, pair.a)
            low, high = sorted([sign * pair.difference.low, sign * pair.difference.high])
            yield FromOther(
                other=scored.study.manifest.systems[other].name,
                value=sign * pair.difference.value + 0.0,  # no negative zero
                low=low,
                high=high,
                p=pair.p,
                detectable=pair.detectable,
            )
