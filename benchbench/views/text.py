"""Numbers and names as text, the same way in every view."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

ASPECTS = ("quality", "diversity", "mode_collapse", "memorization", "paired", "human", "throughput", "cost")


def number(value: float) -> str:
    """Four significant digits; digits before the point are never hidden.

    >>> number(0.1), number(12.3456), number(123456), number(3e-7), number(9.99996)
    ('0.1000', '12.35', '123456', '3.000e-07', '10.00')
    """
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.3e}"))))
    return f"{value:.{max(0, 3 - exponent)}f}" if -5 <= exponent < 9 else f"{value:.3e}"


def percent(share: float) -> str:
    """A share to two digits, whole per cents in full; what is not nothing never looks like it.

    >>> percent(0.0043), percent(0.043), percent(0.25), percent(2.843), percent(12345), percent(0)
    ('0.43%', '4.3%', '25%', '284%', '1.2e+06%', '0%')
    """
    hundredths = 100 * share
    return f"{hundredths:.0f}%" if 10 <= abs(hundredths) < 1e5 else f"{hundredths:.2g}%"


def arrow(higher_is_better: Any) -> str:
    """↑ where more is better, ↓ where less is, nothing where neither is."""
    return "" if pd.isna(higher_is_better) else "↑" if higher_is_better else "↓"


def heading(row: Any) -> str:
    """`sampling_rate (images/s) ↑`: a metric's name, its unit and which way is better."""
    unit = f" ({row['unit']})" if row["unit"] else ""
    return f"{plain(row['metric'] + unit)} {arrow(row['higher_is_better'])}".rstrip()


def plain(text: Any) -> str:
    """One line of printable characters: a name or reason must not move the cursor or break a table."""
    line = " ".join(str(text).split())
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )


def escape_markdown(text: str) -> str:
    """`text` as one line that Markdown shows as it is, in a table too; a name notifies nobody on GitHub."""
    return re.sub(r"([\\`*_{}\[\]<>|~#&$!@])", r"\\\1", plain(text))


def model_name(model: str, variant: str) -> str:
    """`beta-vae beta=4`; the variant is empty for a model as it comes."""
    return plain(f"{model} {variant}")


def interval(row: Any) -> str:
    """`[11.00, 14.00]`, or nothing where there is none."""
    return "" if pd.isna(row["low"]) else f"[{number(row['low'])}, {number(row['high'])}]"


def protocol(row: Any) -> str:
    """How a number was made, in words, from a row with the fields of `results.compare.PROTOCOL`."""
    parts = []
    if not pd.isna(row["n_images"]):
        against = "" if pd.isna(row["n_reference"]) else f" against {row['n_reference']}"
        parts.append(f"{row['n_images']} image{'' if row['n_images'] == 1 else 's'}{against}")
    parts += [plain(row[name]) for name in ("extractor", "resize", "precision") if not pd.isna(row[name])]
    if row["metric_version"] != 1:  # the first version is what anybody expects
        parts.append(f"metric version {row['metric_version']}")
    return ", ".join(parts)


def task_words(task: str, direction: str) -> str:
    """A task as people say it.

    >>> task_words("translation", "AtoB"), task_words("generation", "")
    ('translation, A to B', 'generation')
    """
    return plain(task) + direction_words(direction)


def direction_words(direction: str) -> str:
    """What tells the numbers of two directions apart, behind the name of a metric or of a task.

    >>> direction_words("AtoB"), direction_words("")
    (', A to B', '')
    """
    return f", {plain(direction).replace('to', ' to ')}" if direction else ""


def by_aspect(frame: pd.DataFrame) -> pd.Series:
    """Sort key: the place of each row's aspect in `ASPECTS`, unknown ones last."""
    places = {aspect: place for place, aspect in enumerate(ASPECTS)}
    distinct = {aspect: places.get(aspect, len(places)) for aspect in frame["aspect"].unique()}
    return frame["aspect"].map(distinct).astype(int)


def standing(frame: pd.DataFrame) -> pd.Series:
    """Sort key: the headline comes first, what restates another number last."""
    led = frame["headline"].fillna(False).astype(int)
    return 1 - led + (~frame["gated"].fillna(True).astype(bool)).astype(int)
