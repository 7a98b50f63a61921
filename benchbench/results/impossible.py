"""Numbers that cannot be: outside the range of their metric, beside an interval that holds its number by construction,
or of another model, dataset or seed than `run.json` says.

No run writes one. Whoever changes a record by hand and computes its sums anew does, and no sum finds that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchbench.core.validation import shown
from benchbench.results.manifest import RunManifest
from benchbench.results.older import ends_of
from benchbench.results.record import Row
from benchbench.results.touched import RUN

ROUNDING = 1e-6
"""Relative, and of numbers below 1 absolute: so far a sum in another order may carry one over the end of its range."""
_AROUND = ("delta", "Wilson", "Newcombe", " t over ", "u-statistic", "Agresti-Min")
"""Methods of intervals that hold their number by construction. Percentiles of redrawn images need not: of an estimator
with a bias they may lie beside it."""


def impossible(rows: Iterable[Row], run: RunManifest) -> Iterator[str]:
    """What no run writes though every field is one, as the end of a sentence that begins with the table."""
    # What run.json says once of all rows; a row calls the model as its owner does.
    said = {"model": run.name or run.model, "dataset": run.dataset, "seed": run.seed}
    for number, row in enumerate(rows, start=2):
        for name, its in said.items():
            ours = getattr(row, name)
            if its is not None and ours != its:
                yield f"has {shown(ours)} as the {name} of row {number}, and {RUN} says {shown(its)}"
        if row.value is not None and (why := _out_of_place(row, row.value)) is not None:
            yield f"row {number}: {row.metric} is {row.value:g}, {why}"


def _out_of_place(row: Row, value: float) -> str | None:
    """Why a number cannot be what its metric or its interval says."""
    slack = ROUNDING * max(1.0, abs(value))
    minimum, maximum = ends_of(row)
    if minimum is not None and value < minimum - slack:
        return f"and cannot be below {minimum:g}"
    if maximum is not None and value > maximum + slack:
        return f"and cannot be above {maximum:g}"
    if row.low is None or row.high is None:
        return None
    if row.low > row.high:
        return f"with an interval from {row.low:g} down to {row.high:g}"
    around = row.interval is not None and any(word in row.interval for word in _AROUND)
    if around and not row.low - slack <= value <= row.high + slack:
        return f"outside its interval [{row.low:g}, {row.high:g}] ({row.interval})"
    return None
