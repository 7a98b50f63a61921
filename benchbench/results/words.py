"""What happened to the modes of a run, in a sentence: from its `run.json` and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchbench.results.claims.conditions import of_family
from benchbench.results.manifest import RunFacts

MAX_NAMED = 10  # more missing classes than this are counted, not named


def mode_words(run: RunFacts, rows: pd.DataFrame) -> str:
    """One plain sentence on coverage, repetition and alarms; "" where the record knows nothing of them.

    rows: the record's, with the columns of `load_results`. Said is what was measured: classes where a classifier of
    the dataset looked, duplicates where `duplicate_rate` is among the metrics.

    >>> classes = {"names": ["a", "b", "c"], "generated": [5, 0, 1], "reference": [2, 2, 2]}
    >>> none = pd.DataFrame(columns=["metric", "extractor", "status"], dtype="string")
    >>> mode_words(RunFacts(classes=classes), none)
    'covered 2 of 3 classes, missing b'
    """
    parts = []
    if (classes := run.classes) is not None:
        parts.append(_coverage(classes.names, classes.generated, classes.reference))
    measured = rows[of_family(rows, "duplicate_rate") & (rows["status"] == "ok")]
    if len(measured):
        parts += _repetition(measured.iloc[0], run.duplicates_among_real or {})
    if (collapse := run.collapse) is not None:
        stopped = ", where training was stopped" if run.status == "collapsed" else ""
        parts.append(f"collapse alarm at step {collapse.step}{stopped}: {collapse.words}")
    return "; ".join(parts)


def _coverage(names: Sequence[str], generated: Sequence[int], reference: Sequence[int] | None) -> str:
    """ "covered 7 of 10 classes, missing 4, 7 and 9", of the classes that the reference has."""
    held = [number for number in range(len(names)) if reference is None or reference[number]]
    missing = [names[number] for number in held if not generated[number]]
    said = f"covered {len(held) - len(missing):,} of {len(held):,} classes"
    if not missing or len(missing) == len(held):
        return said
    return f"{said}, missing {_listed(missing)}"


def _repetition(row: Any, among_real: Mapping[str, float]) -> list[str]:
    """ "38% duplicates (2% among real images)". Nothing where there are none: a network that finds no two images
    alike has not shown that they differ."""
    if not row["value"]:
        return []
    said = f"{_percent(row['value'])} duplicates"
    real = among_real.get(row["extractor"], 0.0)
    return [f"{said} ({_percent(real)} among real images)" if real else said]


def _listed(names: Sequence[str]) -> str:
    """ "4, 7 and 9"; of many the number alone."""
    if len(names) > MAX_NAMED:
        return f"{len(names):,} of them"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _percent(share: float) -> str:
    """ "38%", and never 0% of something or 100% of less than everything."""
    if share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"
