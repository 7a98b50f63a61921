"""Answers for other programs: a line an answer, with systems by name in the places where the rater saw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchbench.study.answers import read_answers
from benchbench.study.folder import Study
from benchbench.study.manifest import DESTROYED, REAL

PLACES = 3
"""As many images as an item has at most, beside a source."""
COLUMNS = {
    "rater": "string", "item": "string", "kind": "string", "check": "boolean",
    **{f"shown_{place}": "string" for place in range(1, PLACES + 1)},
    "choice": "string", "place": "Int64", "right": "boolean", "ms": "Int64", "at": "string",
}  # fmt: skip
"""Of the table, with their dtypes."""
NOBODY = {REAL: "(real)", DESTROYED: "(destroyed)"}
"""What stands for images that no system made: a name in brackets, which a system may have, and no model has."""


def answers_table(study: Study) -> pd.DataFrame:
    """Every answer, whoever gave it; those of raters who will not count are there, too.

    Args:
        study: Which.

    Returns:
        Columns as `COLUMNS`, by rater and in the order in which each answered. shown_1 to shown_3: whose image stood at
        each place, from the left, null where there was none. choice: the name of whose image was chosen, or "tie",
        "real", "fake". place: of the chosen image, from 1; null for a word. right: of a check item whether it was
        answered rightly, else null.

    Raises:
        InputError: A file of answers is damaged.
    """
    found = [_line(study, own) for own in read_answers(study).to_dict("records")]
    return pd.DataFrame(
        {name: pd.Series([line[name] for line in found], dtype=dtype) for name, dtype in COLUMNS.items()}
    )


def _line(study: Study, answer: Mapping[Any, Any]) -> dict[str, object]:
    item, choice = study.item(str(answer["item"])), str(answer["choice"])
    shown: tuple[int, ...] = answer["shown"]
    names = [_name(study, item.systems[image]) for image in shown]
    place = shown.index(int(choice)) if choice.isdecimal() else None
    return {
        **{name: answer[name] for name in ("rater", "item", "ms", "at")},
        "kind": study.manifest.kind,
        "check": item.check is not None,
        **{f"shown_{k + 1}": names[k] if k < len(names) else None for k in range(PLACES)},
        "choice": choice if place is None else names[place],
        "place": None if place is None else place + 1,
        "right": None if item.check is None else choice == item.check,
    }


def _name(study: Study, system: int) -> str:
    return NOBODY[system] if system < 0 else study.manifest.systems[system].name
