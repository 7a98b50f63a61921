"""What a board says of numbers that are not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from benchbench.results.claims.conditions import short_name
from benchbench.views.text import plain


def failure_notes(rows: pd.DataFrame) -> Iterator[str]:
    """Why numbers of a table from `load_results` failed, a line a metric: the reason that most of its runs give."""
    reasons: dict[str, Counter[str]] = {}
    for metric, extractor, reason in rows.loc[
        rows["status"] != "ok", ["metric", "extractor", "reason"]
    ].itertuples(index=False):
        said = "no reason is recorded" if pd.isna(reason) else str(reason)
        reasons.setdefault(short_name(metric, extractor), Counter())[said] += 1
    for name, own in sorted(reasons.items()):
        yield plain(f"failed: {name}: {min(own, key=lambda text: (-own[text], text))}")
