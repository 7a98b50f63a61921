"""Records as tables for other programs: numbers, curves and runs, in CSV, Parquet or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from benchbench.core.files import atomic_write
from benchbench.results.load import Record, results_of, runs_of
from benchbench.sinks.replay import curves_of

Format = Literal["csv", "parquet", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
FIRST = ["cell", "model", "variant", "dataset", "seed"]
"""What tells runs apart, before the curves' own columns."""


def write_tables(found: Sequence[Record], folder: Path, form: Format) -> None:
    """Write `metrics`, `curves` and `runs` of records into a folder. `metrics` has the columns of `load_results`,
    `curves` a line a row of the curves, `runs` what `load_runs` says; as JSON it is what run.json says, whole."""
    tables = {"metrics": results_of(found), "curves": _curves(found)}
    if form == "json":
        whole = json.dumps([run.as_json() for _, run in found], indent=2, ensure_ascii=False, allow_nan=False)
        atomic_write(folder / "runs.json", whole + "\n")
    else:
        # A column that holds several kinds of things has no type in Parquet.
        runs = runs_of(found)
        mixed = {str(name): runs[name].map(_as_text) for name in runs if runs[name].dtype == object}
        tables["runs"] = runs.assign(**mixed)
    for name, table in tables.items():
        path = folder / f"{name}.{form}"
        if form == "csv":
            atomic_write(path, table.to_csv(index=False))
        elif form == "parquet":
            table.to_parquet(path, index=False)
        else:
            atomic_write(path, table.to_json(orient="records", indent=2, double_precision=15) + "\n")


def _curves(found: Sequence[Record]) -> pd.DataFrame:
    """All curves, one below the other."""
    told = []
    for record in found:
        _, run = record
        who = dict(
            zip(
                FIRST,
                (run.cell, run.name or run.model, run.variant or "", run.dataset, run.seed),
                strict=True,
            )
        )
        told += [{**who, **row} for row in curves_of(record)]
    frame = pd.DataFrame(told)
    return frame if told else pd.DataFrame(columns=[*FIRST, "epoch", "step"])


def _as_text(value: object) -> object:
    """What is no text as JSON; what is absent stays so."""
    if isinstance(value, str) or value is None or (isinstance(value, float) and value != value):
        return value
    return json.dumps(value, ensure_ascii=False)
