"""What stands around the boards of the published records: what the images are, and what papers report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from benchbench.results.manifest import RunManifest, Split
from benchbench.views.board_notes import NOT_CANONICAL
from benchbench.views.paper_numbers import PaperNumber, of_papers, why_without
from benchbench.views.text import escape_markdown, interval, number

FEW_TO_LEARN = 1000
"""A generator that learned from fewer images shows that everything works, and no more."""


def of_data(runs: Sequence[RunManifest], frame: pd.DataFrame) -> Iterator[str]:
    """A table of the datasets, with what a reader has to know of each. runs: what every run.json says. frame: all
    numbers."""
    generated = set(frame.loc[frame["task"] == "generation", "dataset"])
    counts: dict[tuple[str, str, str], str] = {}
    notes: dict[tuple[str, str, str], dict[str, None]] = {}
    for run in sorted(runs, key=lambda own: (own.dataset, own.cell)):
        if (data := run.data) is None:
            continue
        few = data.train is not None and data.train.n < FEW_TO_LEARN and run.dataset in generated
        which = (run.dataset, (data.fingerprint or "")[:12], data.size if isinstance(data.size, str) else "")
        splits = [_counted(data.train, "to learn from"), _counted(data.held_out, "held out")]
        # A model that learns nothing is shown fewer of them.
        counts[which] = max(counts.get(which, ""), ", ".join(filter(None, splits)), key=len)
        said = [
            *(["a smoke test: so few images that a number compares with no paper's"] if few else []),
            *([NOT_CANONICAL] if data.canonical is False else []),
            *(data.notes or []),
        ]
        notes.setdefault(which, {}).update(dict.fromkeys(said))
    if not notes:
        return
    yield "## Data"
    lines = ["| dataset | fingerprint | size | images | what to know |", "|---|---|---|---|---|"]
    for which, own in notes.items():
        lines.append(f"| {' | '.join(escape_markdown(x) for x in (*which, counts[which], '; '.join(own)))} |")
    yield "\n".join(lines)


def _counted(split: Split | None, what: str) -> str:
    return "" if split is None else f"{split.n:,} {what}"


def of_published(frame: pd.DataFrame) -> Iterator[str]:
    """Papers' numbers beside ours, and why there are none of the other models. frame: all numbers."""
    rows, reasons = [], []
    asked = frame[~frame["control"].fillna(False) & (frame["variant"] == "") & (frame["task"] != "training")]
    for (dataset, model), own in asked.groupby(["dataset", "model"], sort=True):
        tasks = set(own["task"])
        papers = of_papers(str(model), str(dataset), tasks)
        mine = frame[(frame["dataset"] == dataset) & (frame["model"] == model)]
        rows += [(str(dataset), str(model), *_beside(mine, paper)) for paper in papers]
        if not papers and (why := why_without(str(model), str(dataset), tasks)):
            reasons.append((str(dataset), str(model), why))
    if rows or reasons:
        yield "## What papers report"
    if rows:
        lines = ["| dataset | model | here | the paper | its protocol |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(escape_markdown, row))} |" for row in rows]
        yield "\n".join(lines)
        yield "A number compares with a paper's only where the protocol is the same; the cards have ours."
    if reasons:
        yield "\n".join(f"- {escape_markdown(line)}" for line in _without(reasons))


def _without(reasons: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """A line a dataset and reason. reasons: the dataset, the model, why."""
    models: dict[tuple[str, str], list[str]] = {}
    for dataset, model, why in reasons:
        models.setdefault((dataset, why), []).append(model)
    for (dataset, why), own in models.items():
        yield f"{dataset}: none beside {', '.join(own)}: {why}"


def _beside(mine: pd.DataFrame, paper: PaperNumber) -> tuple[str, str, str]:
    """Our number of what the paper measured, else the headline's with a word that it is another; the paper's; how it
    was made."""
    good = mine[(mine["status"] == "ok") & (mine["task"] == paper.task)]
    same = good[good["metric"] == paper.metric]
    shown = same if len(same) else good[good["headline"].fillna(False)]
    value = " ".join(filter(None, [paper.value, paper.unit]))
    theirs = f"{value} ({paper.paper})"
    if shown.empty:
        return "no number", theirs, paper.protocol
    first = shown.sort_values(["variant", "seed", "cell"]).iloc[0]
    seed = "" if shown["cell"].nunique() == 1 else f", seed {first['seed']}"
    here = f"{first['metric']} {number(first['value'])} {interval(first)}".rstrip() + seed
    return here if len(same) else f"{here}; another measure", theirs, paper.protocol
