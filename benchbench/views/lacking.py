"""What a board says of numbers that are not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from benchbench.results.claims.conditions import short_name
from benchbench.views.text import plain


def is_lacking(line: Mapping[Any, Any]) -> bool:
    """Whether a line of `summarise` has no number only because something has to be fetched first."""
    return bool(pd.isna(line["value"]) and line["n_failed"] == line["n_unavailable"])


def without_number(line: Mapping[Any, Any]) -> str:
    """What stands for a line of `summarise` that has none."""
    return "unavailable" if is_lacking(line) else "failed"


def lost_runs(line: Mapping[Any, Any]) -> str:
    """`(2 failed)` of the runs behind a mean that have no number; "" where all have one."""
    lacking = int(line["n_unavailable"])
    counts = ((int(line["n_failed"]) - lacking, "failed"), (lacking, "unavailable"))
    said = ", ".join(f"{n} {word}" for n, word in counts if n)
    return said and f"({said})"


def failure_notes(rows: pd.DataFrame) -> Iterator[str]:
    """Why numbers of a table from `load_results` are not there, a line a metric: the reason that most runs give."""
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for metric, extractor, status, reason in rows.loc[
        rows["status"] != "ok", ["metric", "extractor", "status", "reason"]
    ].itertuples(index=False):
        word = "unavailable" if status == "unavailable" else "failed"
        said = "no reason is recorded" if pd.isna(reason) else str(reason)
        reasons.setdefault((word, short_name(metric, extractor)), Counter())[said] += 1
    for (word, name), own in sorted(reasons.items()):
        yield plain(f"{word}: {name}: {min(own, key=lambda text: (-own[text], text))}")
