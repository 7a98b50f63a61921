"""Who has answered how much of a study, for a terminal."""

from __future__ import annotations

import pandas as pd

from benchbench.views.blocks import Blocks, Column
from benchbench.views.text import number


def raters_table(found: pd.DataFrame) -> Blocks:
    """A line a rater.

    Args:
        found: As `study.standing.standing` has it.

    Returns:
        What a console prints.
    """
    columns = [
        Column("answered", [f"{own.answered} of {own.items}" for own in found.itertuples()]),
        Column("checks right", [f"{own.checks_right} of {own.checks}" for own in found.itertuples()]),
        Column("s/answer", ["" if pd.isna(own) else number(float(own)) for own in found["median_seconds"]]),
        Column("agreed to", [str(own) for own in found["consent"]], right=False),
    ]
    return Blocks("", Column("rater", [str(own) for own in found["rater"]]), columns)


def raters_headline(found: pd.DataFrame) -> str:
    """How far all of them are.

    >>> raters_headline(pd.DataFrame({"answered": [3, 4], "items": [4, 4], "consent": ["this text", "another text"]}))
    '7 answers of 2 raters, 1 of whom answered everything; 1 agreed to another text than consent.txt holds now'
    """
    if not len(found):
        return "nobody has answered yet"
    done = int((found["answered"] == found["items"]).sum())
    others = int((found["consent"] == "another text").sum())
    who = "1 rater" if len(found) == 1 else f"{len(found)} raters"
    said = f"{int(found['answered'].sum())} answers of {who}, {done} of whom answered everything"
    return said + (f"; {others} agreed to another text than consent.txt holds now" if others else "")
