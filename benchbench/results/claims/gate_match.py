"""Which number of a baseline belongs to which number of a candidate, and what is left over.

Two numbers belong together when they answer the same question (model, variant, dataset, task, direction, metric)
under the same conditions. Everything else is left over, and said so: under another condition, only on one side, failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from benchbench.results.claims.conditions import Conditions, differences
from benchbench.results.claims.numbers import Asked, Number, Numbers, Unit, failures, meet, numbers
from benchbench.results.load import load_failures, results_below, walked, which_seed

Left = Literal["failed", "missing", "not run", "not comparable", "new"]


class Question(NamedTuple):
    """What a number answers. A model as a whole has no task, direction or metric."""

    dataset: str
    model: str
    variant: str
    task: str = ""
    direction: str = ""
    metric: str = ""

    @property
    def unit(self) -> Unit:
        """Whose number it is."""
        return Unit(self.dataset, self.model, self.variant)

    @property
    def asked(self) -> Asked:
        """What it answers about its unit."""
        return Asked(self.task, self.direction, self.metric)


@dataclass(frozen=True)
class Pair:
    """Two answers that compare."""

    question: Question
    baseline: Number
    candidate: Number

    @property
    def busy(self) -> float:
        """The share of the machine that other programs took, the most of either side."""
        return max(self.baseline.busy or 0.0, self.candidate.busy or 0.0)


@dataclass(frozen=True)
class Leftover:
    """What has no partner, and why. `directed`: whether higher or lower is better there."""

    question: Question
    aspect: str
    what: Left
    reason: str
    directed: bool = True


@dataclass(frozen=True)
class Matched:
    """pairs and left: ordered by dataset, model, task, direction and metric. known: all numbers of both sides, for what
    they say of the spread over seeds."""

    pairs: list[Pair]
    left: list[Leftover]
    known: list[Numbers]


def match(baseline: Path, candidate: Path) -> Matched:
    """Everything below two folders, paired.

    Raises `InputError` for a folder that is not there, a damaged record, and for one seed that has two values.
    """
    walks = {folder: walked(folder) for folder in {baseline, candidate}}
    tables = [results_below([folder], walks=walks)[0] for folder in (baseline, candidate)]
    ours, theirs = (numbers(rows) for rows in tables)
    lost = [failures(rows) for rows in tables]
    broken, before = (load_failures(folder, walks[folder]) for folder in (candidate, baseline))
    left = list(_failed_cells(broken, before, ours))
    absent = {(entry.question.dataset, entry.question.model) for entry in left}
    for unit in sorted(ours.keys() - theirs.keys()):
        if unit[:2] not in absent:
            reason = "the candidate has no record of this model on this dataset"
            left.append(Leftover(Question(*unit), "", "not run", reason))
    for unit in sorted(theirs.keys() - ours.keys()):
        reason = "the baseline has no record of this model on this dataset"
        left.append(Leftover(Question(*unit), "", "new", reason))
    pairs: list[Pair] = []
    for unit in sorted(ours.keys() & theirs.keys()):
        for asked in sorted(ours[unit].keys() | theirs[unit].keys()):
            held = [side[unit].get(asked, []) for side in (ours, theirs)]
            failed = [side.get(unit, {}).get(asked) for side in lost]
            found, rest = _compare(Question(*unit, *asked), held[0], held[1], failed[0], failed[1])
            pairs += found
            left += rest
    return Matched(pairs, left, [ours, theirs])


def _failed_cells(failed: pd.DataFrame, before: pd.DataFrame, ours: Numbers) -> Iterator[Leftover]:
    """Cells of the candidate that could not be carried out, of models that the baseline has numbers of."""
    known = set(zip(before["dataset"], before["model"], before["seed"], strict=True))
    have = {unit[:2] for unit, held in ours.items() if any(held.values())}
    for cell in failed.to_dict("records"):
        who = (cell["dataset"], cell["model"])
        if who in have and (*who, cell["seed"]) not in known:
            reason = f"the cell of {which_seed(cell)} failed: {cell['reason']}"
            yield Leftover(Question(*who, ""), "", "failed", reason)


def _compare(
    question: Question,
    ours: Sequence[Number],
    theirs: Sequence[Number],
    failed_before: Number | None,
    failed: Number | None,
) -> tuple[list[Pair], list[Leftover]]:
    """The pairs and leftovers of one question that both models were asked, or one of them."""
    first = next(number for number in (*ours, *theirs, failed_before, failed) if number is not None)
    met, only_a, only_b = meet(ours, theirs)
    pairs = [Pair(question, before, after) for before, after in met]
    left: list[tuple[Left, str]] = []
    broken = dict(failed.failed) if failed else {}
    new_failures = sorted(_failed_seeds(failed) - _failed_seeds(failed_before))
    if ours and new_failures:
        seeds = ", ".join(map(str, new_failures))
        left.append(("failed", f"failed with seed {seeds}: {broken[new_failures[0]]}"))
    elif only_a and only_b:
        left.append(("not comparable", differences(only_a, only_b)))
    elif only_a:
        left.append(("missing", _why_missing(broken)))
    elif only_b:
        left.append(("new", "the baseline has no such number"))
    elif not pairs:
        left.append(("not comparable", "there is no number on either side"))
    stated = [pair for pair in pairs if _machine_is_known(pair.baseline.conditions)]
    if pairs and not stated:
        left.append(("not comparable", "the records do not state the machine"))
    directed = first.higher_is_better is not None
    return stated, [Leftover(question, first.aspect, what, reason, directed) for what, reason in left]


def _failed_seeds(number: Number | None) -> set[int]:
    return set() if number is None else set(number.failed) - number.unavailable


def _why_missing(broken: Mapping[int, str]) -> str:
    """Why the candidate lacks a number, in the words of its own record where that has any."""
    return f"the candidate has no such number{f': {next(iter(broken.values()))}' if broken else ''}"


def _machine_is_known(conditions: Conditions) -> bool:
    return not dict(conditions)["machine"].startswith("device unknown")
