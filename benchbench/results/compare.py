"""Which numbers may stand beside each other.

Two numbers compare when they answer the same question (dataset, task, metric) under the same protocol.
Sample counts, network, resize, precision, metric version and the identity of the reference images are part
of the number; where one differs, the difference of the values means nothing and the answer names the field. What was
measured by the clock is also a property of the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchbench.core.errors import InputError, NothingComparable

QUESTION = ["dataset", "task", "metric"]
PROTOCOL = ["n_images", "n_reference", "extractor", "resize", "precision", "metric_version"]
# Not in metrics.csv but in run.json; compared where both tables carry them (see `with_fingerprints`).
FINGERPRINT = "data.fingerprint"
MACHINE = "machine"
COUNTED = ("parameters", "flops_per_image")  # the same on every machine and without uncertainty
_MACHINE = ("device", "device_name", "processor", "cores", "threads", "memory_gib")

Question = tuple[str, str, str]  # dataset, task, metric
_Protocols = dict[Question, dict[str, set[str]]]


def check_comparable(a_rows: pd.DataFrame, b_rows: pd.DataFrame) -> list[Question]:
    """The (dataset, task, metric) that both tables answer, sorted, after checking that they may be compared.

    Failed rows hold no number and are left out. Raises `NothingComparable` when the tables share no question,
    or when anything that `comparable` looks at differs within a shared one; the message names metric, field
    and both values. Raises `InputError` for a table that lacks a column.
    """
    shared, refused = comparable(a_rows, b_rows)
    if not shared and not refused:
        raise NothingComparable(
            f"the two share no number: one has {_listed(a_rows)}, the other {_listed(b_rows)}; "
            "compare runs of the same metric on the same dataset"
        )
    if refused:
        raise NothingComparable(
            f"these numbers were not made the same way: {'; '.join(refused.values())}; run both alike"
        )
    return shared


def comparable(a_rows: pd.DataFrame, b_rows: pd.DataFrame) -> tuple[list[Question], dict[Question, str]]:
    """The questions that both tables answer alike, sorted, and for those that they answer in two ways, how.

    Compared are `PROTOCOL`, the dataset's fingerprint and, for what a clock measured, the machine; the latter
    two where the tables state them. Raises `InputError` for a table that lacks a column.
    """
    fields = list(PROTOCOL)
    fields += [name for name in (FINGERPRINT, MACHINE) if name in a_rows.columns or name in b_rows.columns]
    a, b = (_numbers(rows, fields) for rows in (a_rows, b_rows))
    shared = sorted(set(a) & set(b))
    refused = {}
    for question in shared:
        left, right = a[question], b[question]
        differing = [
            f"{field} is {_values(left[field])} against {_values(right[field])}"
            for field in fields
            if len(left[field] | right[field]) > 1
        ]
        if differing:
            dataset, task, metric = question
            refused[question] = f"{metric} of {task} on {dataset}: {', '.join(differing)}"
    return [question for question in shared if question not in refused], refused


def with_fingerprints(results: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """`load_results(path)` with what `load_runs(path)` knows of each cell's dataset and machine.

    Adds the dataset's fingerprint, and the machine in words, null for numbers that do not depend on it.
    """
    if FINGERPRINT not in runs.columns:
        raise InputError(f"the run.json files of these records do not state {FINGERPRINT}")
    stated = runs.reindex(columns=[f"{MACHINE}.{name}" for name in _MACHINE])
    words = [_machine(line) for line in stated.itertuples(index=False, name=None)]
    known = runs[["cell", FINGERPRINT]].assign(**{MACHINE: words})
    joined = results.merge(known, on="cell", how="left", validate="many_to_one")
    measured = joined["aspect"].isin(["throughput", "cost"]) & ~joined["metric"].isin(COUNTED)
    return joined.assign(**{MACHINE: joined[MACHINE].where(measured, None)})


def _machine(facts: Sequence[Any]) -> str:
    """`device cpu, device_name AMD EPYC, …`. Which of several equal accelerators ran it makes no difference."""
    texts = ["unknown" if pd.isna(x) else f"{x:.0f}" if isinstance(x, float) else str(x) for x in facts]
    texts[0] = texts[0].split(":")[0]
    return ", ".join(f"{name} {text}" for name, text in zip(_MACHINE, texts, strict=True))


def _numbers(rows: pd.DataFrame, fields: list[str]) -> _Protocols:
    """Question -> field -> the values that the numbers at hand have there."""
    missing = [name for name in [*QUESTION, *fields, "status"] if name not in rows.columns]
    if missing:
        raise InputError(f"a table of results lacks the column(s) {', '.join(missing)}")
    numbers = rows[rows["status"] == "ok"]
    found: _Protocols = {}
    for *question, protocol in zip(
        *(numbers[name] for name in QUESTION), numbers[fields].to_dict("records"), strict=True
    ):
        sets = found.setdefault((question[0], question[1], question[2]), {name: set() for name in fields})
        for name, value in protocol.items():
            sets[str(name)].add("none" if pd.isna(value) else str(value))
    return found


def _values(values: set[str]) -> str:
    return " and ".join(sorted(values))


def _listed(rows: pd.DataFrame) -> str:
    numbers = rows[rows["status"] == "ok"]
    names = sorted({f"{m} on {d}" for m, d in zip(numbers["metric"], numbers["dataset"], strict=True)})
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "none") + more
