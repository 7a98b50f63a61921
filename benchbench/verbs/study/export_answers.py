"""`benchbench.study.export_answers`: the answers of a study as a table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from benchbench.study.answers_table import answers_table
from benchbench.study.folder import load


def export_answers(folder: Path | str) -> pd.DataFrame:
    """The answers of a study for other programs, with systems by name.

    Args:
        folder: The study.

    Returns:
        A line an answer, check items and raters who will not count among them, with the columns rater, item, kind,
        check (whether the answer is known), shown_1, shown_2, shown_3 (whose image stood at each place, from the left;
        null where there was none), choice (the name of whose image was chosen, or "tie", "real" or "fake"), place (of
        the chosen image, from 1), right (of a check item), ms and at (UTC). Images that no system made are of "(real)"
        or "(destroyed)".

    Raises:
        InputError: There is no study, or a file of answers is damaged.

    >>> benchbench.study.export_answers("my-study").groupby("rater").ms.median()  # doctest: +SKIP
    """
    return answers_table(load(folder))


def written(frame: pd.DataFrame, format: str) -> str:
    """As text for a file or a pipe: "json" or "csv"."""
    if format == "csv":
        return str(frame.to_csv(index=False, lineterminator="\n"))
    plain = frame.astype(object)
    content = {"schema_version": 1, "answers": plain.where(plain.notna(), None).to_dict("records")}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
