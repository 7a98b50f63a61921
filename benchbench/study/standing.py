"""How far a study has come: who answered how much."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import pandas as pd

from benchbench.study.answers import Answer, answers_of, raters
from benchbench.study.folder import Study
from benchbench.study.rater_file import file_of

COLUMNS = {
    "rater": "string", "answered": "Int64", "items": "Int64", "checks_right": "Int64", "checks": "Int64",
    "median_seconds": "Float64", "last": "string", "consent": "string",
}  # fmt: skip
"""Of the table, with their dtypes."""


def standing(study: Study) -> pd.DataFrame:
    """A line a rater.

    Args:
        study: Which.

    Returns:
        Columns as `COLUMNS`: how many of all items were answered, how many of the check items among those rightly,
        half of the answers took longer than `median_seconds`, when the last one came, and whether the rater agreed to
        the text that consent.txt holds now ("this text", "another text", "not said").

    Raises:
        InputError: A file of answers is damaged.
    """
    rows = [_row(study, rater, answers_of(study, rater)) for rater in raters(study)]
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in COLUMNS.items()}
    )


def check_images(study: Study) -> None:
    """`InputError` where an image is not the one that the study was made with."""
    for own in study.manifest.images:
        study.png(own)


def _row(study: Study, rater: str, answers: Sequence[Answer]) -> dict[str, object]:
    checks = [(answer, study.item(answer.item).check) for answer in answers]
    checks = [(answer, right) for answer, right in checks if right is not None]
    return {
        "rater": rater,
        "answered": len(answers),
        "items": len(study.manifest.items),
        "checks_right": sum(answer.choice == right for answer, right in checks),
        "checks": len(checks),
        "median_seconds": median(answer.ms for answer in answers) / 1000 if answers else None,
        "last": max((answer.at for answer in answers), default=None),
        "consent": _consent(study, rater),
    }


def _consent(study: Study, rater: str) -> str:
    head = file_of(study, rater).head
    if head is None or head.consent is None:
        return "not said"
    return "this text" if head.consent == study.consent_sha256 else "another text"
