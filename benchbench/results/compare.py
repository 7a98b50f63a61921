"""Which numbers may stand beside each other.

Two numbers compare when they answer the same question (dataset, task, metric) under the same protocol.
Sample counts, network, resize, precision, metric version and the identity of the reference images are part
of the number; where one differs, the difference of the values means nothing and the answer is an error that
names the field.
"""

from __future__ import annotations

import pandas as pd

from benchbench.core.errors import InputError, NothingComparable

QUESTION = ["dataset", "task", "metric"]
PROTOCOL = ["n_images", "n_reference", "extractor", "resize", "precision", "metric_version"]
# Not in metrics.csv but in run.json; compared where both tables carry it (see `with_fingerprints`).
FINGERPRINT = "data.fingerprint"


def check_comparable(a_rows: pd.DataFrame, b_rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The (dataset, task, metric) that both tables answer, sorted, after checking that they may be compared.

    Failed rows hold no number and are left out. Raises `NothingComparable` when the tables share no question,
    or when anything in `PROTOCOL` or the dataset's fingerprint differs within a shared one; the message names
    metric, field and both values. Raises `InputError` for a table that lacks a column.
    """
    fields = list(PROTOCOL)
    if FINGERPRINT in a_rows.columns or FINGERPRINT in b_rows.columns:
        fields.append(FINGERPRINT)
    a, b = (_numbers(rows, fields) for rows in (a_rows, b_rows))
    shared = sorted(set(a) & set(b))
    if not shared:
        raise NothingComparable(
            f"the two share no number: one has {_listed(a)}, the other {_listed(b)}; "
            "compare runs of the same metric on the same dataset"
        )
    differences = [
        f"{metric} on {dataset}: {field} is {_values(left)} against {_values(right)}"
        for dataset, task, metric in shared
        for field in fields
        for left, right in [(a[dataset, task, metric][field], b[dataset, task, metric][field])]
        if len(left | right) > 1
    ]
    if differences:
        raise NothingComparable(
            "these numbers were not made the same way: " + "; ".join(differences) + "; run both alike"
        )
    return shared


def with_fingerprints(results: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """`load_results(path)` with the dataset's fingerprint that `load_runs(path)` knows of each cell."""
    if FINGERPRINT not in runs.columns:
        raise InputError(f"the run.json files of these records do not state {FINGERPRINT}")
    return results.merge(runs[["cell", FINGERPRINT]], on="cell", how="left", validate="many_to_one")


_Protocols = dict[tuple[str, str, str], dict[str, set[str]]]


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


def _listed(questions: _Protocols) -> str:
    names = sorted(f"{metric} on {dataset}" for dataset, _, metric in questions)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "none") + more
