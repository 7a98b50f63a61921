"""`benchbench.study.score`: the answers of a study as numbers, and those as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchbench.core.errors import InputError
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path, printable
from benchbench.results.claims.people import WithPeople, with_people
from benchbench.results.load import Record, results_below
from benchbench.results.people import MAIN, People
from benchbench.results.store import Store
from benchbench.study.folder import load
from benchbench.study.recorded import Recorded, answers_sha256, people_of, record, sources
from benchbench.study.scoring import Scored
from benchbench.study.scoring import score as scores_of

COLUMNS = {
    "system": "string", "metric": "string", "value": "Float64", "low": "Float64", "high": "Float64",
    "interval": "string", "reason": "string",
}  # fmt: skip


@dataclass(frozen=True)
class StudyScored:
    """What a study says, and where it stands.

    Attributes:
        scored: The numbers, the raters, and how surely systems are told apart.
        people: What a record of each system says of the study.
        recorded: The records; None where none was asked for.
        agreed: How far automatic metrics agree with people.
        notes: What a reader should know.
    """

    scored: Scored
    people: list[People]
    recorded: Recorded | None
    agreed: list[WithPeople]
    notes: list[str]

    @property
    def numbers(self) -> pd.DataFrame:
        """A line a system and metric, columns as `COLUMNS`."""
        names = [own.name for own in self.scored.study.manifest.systems]
        lines = [
            (names[own.system], own.metric, own.value, own.low, own.high, own.method, own.why)
            for own in sorted(self.scored.numbers, key=lambda own: own.system)
        ]
        return pd.DataFrame(
            {
                name: pd.Series([line[place] for line in lines], dtype=dtype)
                for place, (name, dtype) in enumerate(COLUMNS.items())
            }
        )

    def as_json(self) -> str:
        """All of it for a program; null is a number that cannot be had."""
        numbers = self.numbers.astype(object)
        content = {
            "schema_version": 1,
            "numbers": numbers.where(numbers.notna(), None).to_dict("records"),
            "raters": [asdict(own) for own in self.scored.raters],
            "systems": [own.as_json() for own in self.people],
            "with_metrics": [asdict(own) for own in self.agreed],
            "records": [str(path) for path in self.recorded.paths] if self.recorded else [],
            "notes": self.notes,
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def score(
    folder: Path | str,
    *,
    results: Path | str = OUTPUT,
    out: Path | str | None = None,
    rows: bool = True,
) -> pd.DataFrame:
    """Turn the answers of a study into numbers, and write these as rows beside the records whose images were shown.

    Args:
        folder: The study.
        results: Where the records of its systems lie.
        out: The folder for the rows; None for `results`.
        rows: Whether any are written. With False nothing but the study has to be there.

    Returns:
        A line a system and metric, with the columns system, metric, value, low, high, interval and reason. What a
        reader should know is in `.attrs["notes"]`.

    Raises:
        InputError: There is no study or it was damaged, a record is damaged, or the rows cannot be written; rows of
            this study from other answers are never written over.

    >>> benchbench.study.score("my-study")  # doctest: +SKIP
    """
    found = scored(as_path(folder), as_path(results), None if out is None else as_path(out), rows)
    frame = found.numbers
    frame.attrs["notes"] = found.notes
    return frame


def scored(folder: Path, results: Path, out: Path | None, rows: bool) -> StudyScored:
    """What `score` and the command do."""
    study = load(folder)
    own = scores_of(study)
    answers = answers_sha256(own)
    people = [people_of(own, place, answers) for place in range(len(study.manifest.systems))]
    there: dict[str, Record] = {}
    agreed: list[WithPeople] = []
    if results.is_dir():
        there = sources(own, results)
        agreed = _agreed(own, results) if there else []
    elif rows and any(system.cell for system in study.manifest.systems):
        raise InputError(
            f"there is no folder {printable(results)} of the records whose images were shown; name it with --results, "
            "or write no rows with --no-rows"
        )
    recorded = record(own, there, Store(results if out is None else out)) if rows and own.answers else None
    return StudyScored(own, people, recorded, agreed, list(_notes(own, recorded, rows)))


def _agreed(own: Scored, results: Path) -> list[WithPeople]:
    """Of each automatic metric of the systems' records."""
    main = MAIN[own.study.manifest.kind]
    systems = own.study.manifest.systems
    people = {
        systems[number.system].cell: number.value
        for number in own.numbers
        if number.metric == main and number.value is not None and systems[number.system].cell
    }
    rows, _ = results_below([results])
    return with_people(rows, people)


def _notes(own: Scored, recorded: Recorded | None, rows: bool) -> Iterator[str]:
    if not own.raters:
        yield "nobody has answered yet"
    elif not own.counted:
        yield "every rater is left out: the study says nothing, whatever its numbers"
    if own.strengths is not None and own.strengths.note is not None:
        yield own.strengths.note
    if rows and recorded is None:
        yield "no rows are written, for there is no answer that counts"
    for name, why in ({} if recorded is None else recorded.without).items():
        yield f"no rows of {name}: {why}"


def written(found: StudyScored, format: str) -> Any:
    """As text for a file or a pipe: "json" or "csv"."""
    return found.as_json() if format == "json" else found.numbers.to_csv(index=False, lineterminator="\n")
