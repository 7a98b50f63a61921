"""Which number of a baseline belongs to which number of a candidate.

Two numbers belong together when they answer the same question (model, variant, dataset, task, metric) under the
same conditions: the protocol, the fingerprint of the dataset, unit and direction, and, for what a clock or the
memory measured, the machine. Everything else is left over, and said so: in another condition, only on one side,
failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from benchbench.core.errors import InputError
from benchbench.results.compare import FINGERPRINT, MACHINE, PROTOCOL, with_fingerprints
from benchbench.results.load import load_failures, records, results_of, runs_of

MEASURED = ("throughput", "cost")  # aspects that depend on the machine, `COUNTED` apart
SAME = 1e-6  # relative: two runs of the same thing differ by rounding alone
# Runnable processes a core, from which on others were at work; what is measured takes up to one a core itself.
BUSY = 1.2
FIELDS = (*PROTOCOL, "unit", "higher_is_better", FINGERPRINT, MACHINE)  # all of them equal, or no pair

Left = Literal["failed", "missing", "not run", "not comparable", "new"]


class Question(NamedTuple):
    """What a number answers. A model as a whole has neither task nor metric."""

    dataset: str
    model: str
    variant: str
    task: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Numbers:
    """One side's answer. `interval`: the run's own at 95%, where there is one run. `load`: runnable processes
    a core, the most over the runs."""

    by_seed: dict[int, float]
    interval: tuple[float, float] | None = None
    load: float | None = None

    @property
    def mean(self) -> float:
        """Over seeds."""
        return sum(self.by_seed.values()) / len(self.by_seed)


@dataclass(frozen=True)
class Pair:
    """Two answers that compare. `conditions`: what both were made under, by field name."""

    question: Question
    aspect: str
    unit: str
    higher_is_better: bool | None
    baseline: Numbers
    candidate: Numbers
    conditions: Mapping[str, str]


@dataclass(frozen=True)
class Leftover:
    """What has no partner, and why. `directed`: whether higher or lower is better there."""

    question: Question
    aspect: str
    what: Left
    reason: str
    directed: bool = True


_KEPT = (
    "cell",
    "seed",
    "aspect",
    "unit",
    "higher_is_better",
    "value",
    "low",
    "high",
    "interval",
    "status",
    "reason",
)
_Conditions = tuple[tuple[str, str], ...]
_Row = Mapping[str, Any]  # `_KEPT`, `load` and `conditions`, which are the `_Conditions`


def match(baseline: Path, candidate: Path) -> tuple[list[Pair], list[Leftover]]:
    """Everything below two folders, paired; ordered by dataset, model, task and metric.

    Raises `InputError` for a folder that is not there, a damaged record, and for one seed that has two values.
    """
    ours, theirs = _answers(baseline), _answers(candidate)
    pairs: list[Pair] = []
    left = list(_failed_cells(candidate, baseline, ours))
    absent = {(entry.question.dataset, entry.question.model) for entry in left}
    models = [{question[:3] for question in answers} for answers in (ours, theirs)]
    for whole in sorted(models[0] - models[1]):
        if whole[:2] not in absent:
            reason = "the candidate has no record of this model on this dataset"
            left.append(Leftover(Question(*whole), "", "not run", reason))
    for whole in sorted(models[1] - models[0]):
        reason = "the baseline has no record of this model on this dataset"
        left.append(Leftover(Question(*whole), "", "new", reason))
    for question in sorted(ours.keys() | theirs.keys()):
        if question[:3] in models[0] & models[1]:
            found, rest = _compare(question, ours.get(question, []), theirs.get(question, []))
            pairs += found
            left += rest
    return pairs, left


def _answers(folder: Path) -> dict[Question, list[_Row]]:
    """Every row below a folder with what `run.json` adds, by question."""
    found = list(records(folder))
    results, runs = results_of(found), runs_of(found)
    answers: dict[Question, list[_Row]] = {}
    if results.empty:
        return answers
    table = with_fingerprints(results, runs)
    conditions = list(zip(*(_texts(name, table[name]) for name in FIELDS), strict=True))
    columns: dict[str, Iterable[Any]] = {
        **{name: table[name].to_numpy(object) for name in [*Question._fields, *_KEPT]},
        "load": table["cell"].map(_loads(results, runs)).to_numpy(object),
        "conditions": conditions,
    }
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        answers.setdefault(Question(*(row[name] for name in Question._fields)), []).append(row)
    return answers


def _texts(name: str, column: pd.Series) -> list[tuple[str, str]]:
    """Each value beside the name of its field; a null is "none"."""
    return [(name, text) for text in column.astype("string").fillna("none").to_numpy(object)]


def _loads(results: pd.DataFrame, runs: pd.DataFrame) -> dict[str, float]:
    """Runnable processes a core of each cell, before the run or at its end; where somebody looked."""
    machine = runs.set_index("cell").reindex(columns=["machine.load_1min", "machine.cores"])
    during = results.loc[results["metric"] == "machine_load"].groupby("cell")["value"].max()
    most = pd.concat([machine["machine.load_1min"].astype("Float64"), during], axis=1).max(axis=1)
    a_core = most / machine["machine.cores"].astype("Float64")
    return {str(cell): float(load) for cell, load in a_core.dropna().items()}


def _failed_cells(
    candidate: Path, baseline: Path, ours: Mapping[Question, Sequence[_Row]]
) -> Iterator[Leftover]:
    """Cells of the candidate that could not be carried out, of models that the baseline has numbers of."""
    before = load_failures(baseline)
    known = set(zip(before["dataset"], before["model"], before["seed"], strict=True))
    have = {(q.dataset, q.model) for q, rows in ours.items() if any(row["status"] == "ok" for row in rows)}
    for cell in load_failures(candidate).to_dict("records"):
        who = (cell["dataset"], cell["model"])
        if who in have and (*who, cell["seed"]) not in known:
            reason = f"the cell of seed {cell['seed']} failed: {cell['reason']}"
            yield Leftover(Question(*who, ""), "", "failed", reason)


def _compare(
    question: Question, ours: Sequence[_Row], theirs: Sequence[_Row]
) -> tuple[list[Pair], list[Leftover]]:
    """The pairs and leftovers of one question that both models were asked, or one of them."""
    first = (ours or theirs)[0]
    aspect, directed = str(first["aspect"]), not pd.isna(first["higher_is_better"])
    a, b = _by_conditions(ours), _by_conditions(theirs)
    pairs = [_pair(question, dict(same), a[same], b[same]) for same in sorted(a.keys() & b.keys())]
    only_a, only_b = sorted(a.keys() - b.keys()), sorted(b.keys() - a.keys())
    left: list[tuple[Left, str]] = []
    broken = {row["seed"]: row["reason"] for row in theirs if row["status"] == "failed"}
    broken_before = {row["seed"] for row in ours if row["status"] == "failed"}
    new_failures = sorted(broken.keys() - broken_before)
    if a and new_failures:
        seeds = ", ".join(map(str, new_failures))
        left.append(("failed", f"failed with seed {seeds}: {broken[new_failures[0]]}"))
    elif only_a and only_b:
        left.append(("not comparable", _differences(only_a, only_b)))
    elif only_a:
        left.append(("missing", _why_missing(theirs)))
    elif only_b:
        left.append(("new", "the baseline has no such number"))
    elif not pairs:
        left.append(("not comparable", "there is no number on either side"))
    if not (stated := [pair for pair in pairs if _machine_is_known(pair)]) and pairs:
        left.append(("not comparable", "the records do not state the machine"))
    return stated, [Leftover(question, aspect, what, reason, directed) for what, reason in left]


def _why_missing(theirs: Sequence[_Row]) -> str:
    """Why the candidate lacks a number, in the words of its own record where that has any."""
    reasons = [str(row["reason"]) for row in theirs if row["status"] != "ok"]
    return f"the candidate has no such number{f': {reasons[0]}' if reasons else ''}"


def _machine_is_known(pair: Pair) -> bool:
    return not pair.conditions[MACHINE].startswith("device unknown")


def _by_conditions(rows: Iterable[_Row]) -> dict[_Conditions, list[_Row]]:
    """The rows that hold a number, by everything that has to be equal."""
    found: dict[_Conditions, list[_Row]] = {}
    for row in rows:
        if row["status"] == "ok":
            found.setdefault(row["conditions"], []).append(row)
    return found


def _differences(a: Sequence[_Conditions], b: Sequence[_Conditions]) -> str:
    """ "n_images is 1000 against 5000; …": the fields in which the baseline and the candidate differ."""
    sides = [{name: sorted({dict(one)[name] for one in side}) for name, _ in side[0]} for side in (a, b)]
    said = [
        f"{name} is {' and '.join(values)} against {' and '.join(sides[1][name])}"
        for name, values in sides[0].items()
        if values != sides[1][name]
    ]
    return "; ".join(said) or "the conditions are mixed in another way"


def _pair(
    question: Question, conditions: Mapping[str, str], ours: Sequence[_Row], theirs: Sequence[_Row]
) -> Pair:
    first = ours[0]
    direction = first["higher_is_better"]
    return Pair(
        question,
        str(first["aspect"]),
        str(first["unit"]),
        None if pd.isna(direction) else bool(direction),
        _numbers(question, ours),
        _numbers(question, theirs),
        conditions,
    )


def _numbers(question: Question, rows: Sequence[_Row]) -> Numbers:
    """One value a seed. Cells that share a seed (run again with more metrics) count as one run."""
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(int(row["seed"]), []).append(float(row["value"]))
    means = {seed: sum(same) / len(same) for seed, same in sorted(values.items())}
    first = rows[0]
    if first["aspect"] not in MEASURED:
        for seed, same in values.items():
            if max(same) - min(same) > SAME * abs(means[seed]):
                cells = ", ".join(sorted(str(row["cell"]) for row in rows if row["seed"] == seed))
                raise InputError(
                    f"{question.model} on {question.dataset} has several values of {question.metric} for seed "
                    f"{seed} (cells {cells}): these were run with different settings; keep them in folders apart"
                )
    interval = None
    if len(means) == 1 and not pd.isna(first["interval"]) and first["interval"].startswith("95%"):
        interval = None if pd.isna(first["low"]) else (float(first["low"]), float(first["high"]))
    loads = [row["load"] for row in rows if not pd.isna(row["load"])]
    return Numbers(means, interval, max(loads, default=None))
