"""What records would have said from before numbers said their scale, range and headline, and which of them restate
others, and tables from before a direction was a column.

Only names that such records can hold are here, and a record that says anything itself is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

import pandas as pd

from benchbench.core.scales import Range, Scale
from benchbench.results.record import Row

_SHARE: tuple[Scale, Range] = ("arcsine", (0.0, 1.0))
_POSITIVE: tuple[Scale, Range] = ("log", (0.0, None))
_ROOT: tuple[Scale, Range] = ("sqrt", (0.0, None))
# The first pattern that fits counts.
_SCALES: tuple[tuple[str, tuple[Scale, Range]], ...] = (
    *((name, ("sqrt", (None, None))) for name in ("fd_infinity*", "fid_infinity*", "kd*", "kid*")),
    *((f"{name}*", _SHARE) for name in ("precision", "recall", "coverage", "duplicate_rate", "high_quality")),
    *((f"{name}*", _SHARE) for name in ("conditional_accuracy", "authenticity", "class_tv")),
    *((f"{name}*", _ROOT) for name in ("density", "class_kl")),
    *((f"{name}*", ("arcsine", (-1.0, 1.0))) for name in ("ssim", "ms_ssim")),
    *(
        (f"{name}*", _POSITIVE)
        for name in ("fd", "fid", "sfid", "mse", "mae", "lpips", "cmmd", "swd", "mind")
    ),
    *((f"{name}*", ("log", (1.0, None))) for name in ("is", "inception_score", "vendi")),
    ("modes*", _ROOT),
    *((name, _POSITIVE) for name in ("sampling_rate", "training_rate", "latency_*", "peak_memory_*")),
    *((name, _POSITIVE) for name in ("parameters", "flops_per_image", "machine_load")),
)
DIRECTED = {f"translation_{way}": ("translation", way) for way in ("AtoB", "BtoA")}
"""What was a task's name, as task and direction."""

_RESTATED = ("*_infinity*", "*_subsets*", "*_one_split*")  # numbers that restate the one they stand beside
_HEADLINES = ("fid", "fd_*", "gram_distance*")  # and none at infinity


def directed(rows: pd.DataFrame) -> pd.DataFrame:
    """The table with the column `direction`, filled where it is lacking: a direction was once part of a task's name,
    and pandas reads an empty field as a null."""
    if "direction" in rows.columns and rows["direction"].notna().all():
        return rows
    known = rows["direction"] if "direction" in rows.columns else [pd.NA] * len(rows)
    said = [
        DIRECTED.get(task, (task, "")) if pd.isna(direction) else (task, direction)
        for task, direction in zip(rows["task"], known, strict=True)
    ]
    return rows.assign(
        task=pd.array([task for task, _ in said], dtype="string"),
        direction=pd.array([direction for _, direction in said], dtype="string"),
    )


def completed(rows: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns `direction`, `scale`, `minimum`, `maximum`, `headline` and `gated` filled for records
    that lack them."""
    rows = directed(rows)
    restated = {name: _is_any_of(name, _RESTATED) for name in rows["metric"].unique()}
    by_name = [not restated[name] for name in rows["metric"].to_numpy(object)]
    rows = rows.assign(gated=rows["gated"].fillna(pd.Series(by_name, rows.index, dtype="boolean")))
    silent = rows["scale"].isna()
    if not silent.any():
        return rows
    known = {name: _known(str(name)) for name in rows.loc[silent, "metric"].unique()}
    told = [
        known.get(name) if lacks else None
        for name, lacks in zip(rows["metric"].to_numpy(object), silent, strict=True)
    ]
    found = rows.assign(
        scale=rows["scale"].fillna(pd.Series([t and t[0] for t in told], rows.index, dtype="string")),
        minimum=rows["minimum"].fillna(pd.Series([t and t[1][0] for t in told], rows.index, dtype="Float64")),
        maximum=rows["maximum"].fillna(pd.Series([t and t[1][1] for t in told], rows.index, dtype="Float64")),
    )
    return found.assign(headline=found["headline"] | _headlines(found, silent))


def ends_of(row: Row) -> Range:
    """The smallest and the largest value that a number can take: as its row says, else as its name does."""
    if row.scale is not None:
        return row.minimum, row.maximum
    told = _known(row.metric)
    return (None, None) if told is None else told[1]


@lru_cache(4096)  # every line of a table asks
def _known(metric: str) -> tuple[Scale, Range] | None:
    return next((said for pattern, said in _SCALES if fnmatchcase(metric, pattern)), None)


def _is_any_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _headlines(rows: pd.DataFrame, silent: pd.Series) -> pd.Series:
    """Of each cell, task and direction whose rows say nothing, the first Fréchet or Gram distance."""
    leads = [
        name for name in rows["metric"].unique() if "infinity" not in name and _is_any_of(name, _HEADLINES)
    ]
    chosen = rows[silent & rows["metric"].isin(leads)].drop_duplicates(["cell", "task", "direction"]).index
    return pd.Series(rows.index.isin(chosen), rows.index, dtype="boolean")
