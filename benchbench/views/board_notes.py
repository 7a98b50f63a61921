"""What a reader of a board has to know, as lines below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from benchbench.results.claims.conditions import BUSY, MEASURED, Places, short_name
from benchbench.results.claims.ranks import Rank
from benchbench.results.summary import MODEL
from benchbench.views.agreement import agreement_notes
from benchbench.views.board_parts import RATE, Line, Part, Table
from benchbench.views.budget import budget_notes
from benchbench.views.chosen import checkpoint_notes
from benchbench.views.lacking import failure_notes
from benchbench.views.text import heading, model_name, plain

DAGGER = "†"
INTERVALS = "intervals: "  # before the methods
NOT_CANONICAL = (
    "the pixels of the data are not the published ones (the copy went through JPEG, or is another one): numbers on "
    "them do not compare with published numbers"
)


def notes(
    lines: Sequence[Line],
    table: Table,
    part: Part,
    first: Line,
    ranks: Mapping[str, Rank],
    controls: set[str],
) -> Iterator[str]:
    """What a reader of the board has to know."""
    runs = part.runs
    if methods := methods_of(lines):
        yield plain(f"{INTERVALS}{'; '.join(methods)}")
    if controls:
        yield plain(f"landmarks, not ranked: {', '.join(sorted(controls))}; intervals of a run")
    if ranks:
        yield (
            f"rank: by {_short(first)}, the ranks that are possible at 95% confidence, all of them taken together; "
            "the spread over seeds is pooled over the models where a model has fewer than five"
        )
    elif (
        bool(first["headline"])
        and len({line["name"] for line in lines if not pd.isna(line["value"])} - controls) > 1
    ):
        alone = max(line["n_seeds"] for line in lines) == 1
        why = "one run a model does not tell what another seed would do" if alone else "no two are told apart"
        yield f"no ranks: {why}"
    if first["aspect"] not in MEASURED:
        for name, said in _collapses(table.endings.iloc[runs[table.collapsed[runs]]]):
            yield plain(f"collapsed: {name}: {said}")
        yield from budget_notes(table.trainings(runs), is_true(first["headline"]))
    if table.timed[runs].any() and table.busy[runs].any():
        yield (f"{DAGGER} timed while other programs took more than {BUSY:.0%} of the machine: not ranked")
    if (table.beyond[runs] & (table.metric[runs] == "machine_busy")).any():
        yield "machine_busy beyond the cores: from before it was measured, by the load, which counts who waits"
    yield from failure_notes(table.failures.iloc[runs[table.failed[runs]]])
    if table.deficient[runs].any():
        yield "fewer images than the network has features: distances are too large, even between real images"
    yield from studies(table, runs)
    if table.copied[runs].any():
        yield NOT_CANONICAL
    if part.front:
        yield plain(f"Pareto front of {_short(first)} and {RATE}: {', '.join(part.front)}")


def studies(table: Table, runs: Places) -> list[str]:
    """What was asked of whom, a line a study."""
    said = sorted(set(table.studies.iloc[runs[table.human[runs]]].itertuples(index=False, name=None)))
    return [plain(f"people, {extractor}: {words}") for extractor, words in said]


def notes_on_choice(
    trained: pd.DataFrame, lead: Sequence[Line], columns: Sequence[Sequence[Line]], controls: set[str]
) -> Iterator[str]:
    """What the choice of a network and of weights has to do with the ranking. trained: the runs that were."""
    if lead[0]["headline"]:
        yield from agreement_notes(lead, columns, controls)
        yield from checkpoint_notes(trained, [column[0]["metric"] for column in columns])


def _collapses(fired: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Model and what happened, a line a model whose alarm fired."""
    for who, own in fired.drop_duplicates("cell").groupby(MODEL, sort=True):
        told = [
            f"seed {seed}: {words}" for seed, words in sorted(zip(own["seed"], own["collapse"], strict=True))
        ]
        yield model_name(*map(str, who)), "; ".join(told)


def methods_of(lines: Sequence[Line]) -> list[str]:
    """Of the intervals."""
    return sorted({line["interval"] for line in lines if not pd.isna(line["interval"])})


def is_true(said: Any) -> bool:
    return not pd.isna(said) and bool(said)


def _short(row: Line) -> str:
    """The heading of a column; the extractor, which the numbered note names, is left out."""
    return heading({**row, "metric": short_name(row["metric"], row["extractor"])})
