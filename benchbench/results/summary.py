"""Over seeds: one line per model and set of conditions, with the mean and how sure we are of it.

Pattern: every line gets a number, and all lines are computed at once by it. Groups of ten thousand records are many
and small, and a loop over them is a hundred times slower.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchbench.core.scales import Range, Scale, to_scale, usable
from benchbench.results.claims.conditions import CONDITIONS, FACTS, MEASURED, QUESTION, SAME, contradiction
from benchbench.results.claims.testing import Z, seeds_interval
from benchbench.results.older import directed
from benchbench.results.record import OLDER
from benchbench.results.tables import DTYPES

MODEL = ["model", "variant"]
_LABELS = ["aspect", "higher_is_better", "scale", "minimum", "maximum", "headline", "gated", "control"]
_READ = ["cell", "seed", "status", "collapse", "value", "low", "high", "interval", "busy"]
_NUMBERS = {
    "value": "Float64",
    "low": "Float64",
    "high": "Float64",
    "interval": "string",
    "median": "Float64",
    "n_seeds": "Int64",
    "n_failed": "Int64",
    "n_unavailable": "Int64",
    "n_collapsed": "Int64",
    "busy": "Float64",
}
_OTHER = {name: dtype for name, dtype in {**DTYPES, **FACTS}.items() if name not in OLDER}


def summarise(frame: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """One line per (dataset, task, direction, metric, model, variant, conditions) of a table from `load_results`.

    `value` is the mean over seeds. With two seeds or more the interval is Student's on the metric's own scale, so
    that it lies in the metric's range and holds the value, and its spread is not taken to be less than that within
    a run. With one run it is that run's own; a control, whose seeds are no trainings, shows a run's own too.
    `n_failed` counts the runs of that model without a number, `n_unavailable` those of them that lacked something to
    be fetched first, `n_collapsed` those whose alarm fired; a model that has no number at all keeps a line with value
    <NA>. Numbers under different conditions are never averaged. Cells that share a seed (run again with more metrics)
    count as one run; `InputError` where their values differ, since two recipes under one name are no seeds.

    by: columns of the frame whose values stand apart too; they come first in the result.
    """
    who = [*by, *QUESTION, *MODEL]
    frame = complete(frame)
    needed = [*who, *_LABELS, *CONDITIONS, *_READ]
    rows = frame[list(dict.fromkeys(needed))].sort_values("cell", kind="stable", ignore_index=True)
    rows["asked"] = rows.groupby(who, sort=True, dropna=False).ngroup()
    failed = rows["status"] != "ok"
    lost = {"n_failed": failed, "n_unavailable": rows["status"] == "unavailable"}
    firsts = rows.drop_duplicates("asked").set_index("asked")
    firsts = firsts.assign(**{name: which.groupby(rows["asked"]).sum() for name, which in lost.items()})
    numbers = _with_intervals_that_hold(rows[~failed].copy())
    numbers["line"] = numbers.groupby(["asked", *CONDITIONS], sort=True, dropna=False).ngroup()
    lines = _over_seeds(numbers)
    empty = firsts[~firsts.index.isin(numbers["asked"])].reset_index()
    lines = pd.concat([lines, empty[["asked", *CONDITIONS]].assign(n_seeds=0, n_collapsed=0)]).sort_values(
        "asked", kind="stable"
    )
    lines = lines.join(firsts[[*who, *_LABELS, *lost]], on="asked")
    columns = [*who, *_LABELS, *CONDITIONS]
    dtypes = {name: frame.dtypes[name] for name in columns} | _NUMBERS
    return lines[[*columns, *_NUMBERS]].reset_index(drop=True).astype(dtypes)


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with every column that a frame may lack which was not loaded from records, null."""
    missing = {
        name: pd.array([None] * len(frame), dtype=dtype)  # type: ignore[call-overload]
        for name, dtype in _OTHER.items()
        if name not in frame.columns
    }
    whole = directed(frame).assign(**missing)
    known = {"headline": False, "gated": True, "control": False}
    return whole.assign(**{name: whole[name].fillna(value) for name, value in known.items()})


def _with_intervals_that_hold(numbers: pd.DataFrame) -> pd.DataFrame:
    """Without the intervals that leave out their own value, which some older records have: they bound nothing."""
    holds = (numbers["low"] <= numbers["value"]) & (numbers["value"] <= numbers["high"])
    numbers.loc[~holds.fillna(False).astype(bool), ["low", "high", "interval"]] = pd.NA
    return numbers


def _over_seeds(numbers: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of each `line` of rows that hold a number, with its conditions and what it was `asked`."""
    firsts = numbers.drop_duplicates("line").set_index("line").sort_index()
    values = numbers["value"].astype(float)
    by_seed = values.groupby([numbers["line"], numbers["seed"]]).agg(["mean", "min", "max"])
    clocked = firsts["aspect"].isin(MEASURED).reindex(by_seed.index.get_level_values("line")).to_numpy()
    spread = (by_seed["max"] - by_seed["min"]).to_numpy()
    differing = by_seed.index[~clocked & (spread > SAME * by_seed["mean"].abs().to_numpy())]
    if len(differing):
        same = numbers[numbers["line"] == differing[0][0]]
        first = same.iloc[0]
        who = f"{first['model']} on {first['dataset']}"
        raise contradiction(who, first["metric"], "one seed", same["cell"])
    over = by_seed["mean"].groupby(level="line").agg(["mean", "median", "min", "size"])
    moved = _moved(numbers, firsts, over["min"])
    n = over["size"].to_numpy()
    low, high = _bounds(
        firsts, over["mean"].to_numpy(), moved["variance"].to_numpy(), n, moved["scale"].to_numpy()
    )
    own = numbers.groupby("line").agg({"low": "min", "high": "max"}).astype("Float64")
    single = (n == 1) | (firsts["control"].to_numpy(bool) & own["low"].notna().to_numpy())
    named = pd.Series(
        [f"95% t over {k} seeds{_ON[s]}" for k, s in zip(n, moved["scale"], strict=True)],
        over.index,
        dtype="string",
    )
    return (
        firsts[["asked", *CONDITIONS]]
        .assign(
            value=over["mean"],
            low=own["low"].where(single, low),
            high=own["high"].where(single, high),
            interval=firsts["interval"].where(single, named),
            median=over["median"],
            n_seeds=over["size"],
            n_collapsed=numbers[numbers["collapse"].notna()].groupby("line")["seed"].nunique(),
            busy=numbers.groupby("line")["busy"].max(),
        )
        .fillna({"n_collapsed": 0})
    )


_ON = {"linear": "", "log": ", log scale", "sqrt": ", root scale", "arcsine": ", arcsine scale"}


def _moved(numbers: pd.DataFrame, firsts: pd.DataFrame, least: pd.Series) -> pd.DataFrame:
    """Of each line the scale on which it is worked, and the variance there over seeds, never less than that within a
    run."""
    stated = firsts["scale"].fillna("linear").to_numpy(object)
    scale = pd.Series([usable(s, x) for s, x in zip(stated, least, strict=True)], firsts.index, dtype=object)
    line = numbers["line"].to_numpy()
    ends = numbers[["minimum", "maximum"]].to_numpy(float, na_value=np.nan)
    whole = numbers[["low", "value", "high"]].to_numpy(float, na_value=np.nan)
    whole[~numbers["interval"].str.startswith("95%").fillna(False).to_numpy(bool), ::2] = np.nan
    on = scale.reindex(line).to_numpy()
    y = np.full_like(whole, np.nan)
    for name in set(on):
        some = on == name
        x = whole[some]
        if name == "arcsine":
            low, high = ends[some].T[:, :, None]
            y[some] = to_scale((x - low) / (high - low), "arcsine", (0.0, 1.0))
        else:
            y[some] = to_scale(x, name)
    below, here, above = y.T
    half = np.where(np.isfinite(below), (above - below) / 2, above - here)
    table = pd.DataFrame(
        {"line": line, "seed": numbers["seed"].to_numpy(), "y": here, "within": (half / Z) ** 2}
    )
    by_seed = table.groupby(["line", "seed"]).mean().groupby(level="line")
    found = by_seed.agg({"y": "var", "within": "mean"})
    return pd.DataFrame({"scale": scale, "variance": found.max(axis=1)}).reindex(firsts.index)


def _bounds(
    firsts: pd.DataFrame,
    mean: np.ndarray[tuple[int], np.dtype[np.float64]],
    variance: np.ndarray[tuple[int], np.dtype[np.float64]],
    n: np.ndarray[tuple[int], np.dtype[np.int64]],
    scale: np.ndarray[tuple[int], np.dtype[np.object_]],
) -> tuple[pd.Series, pd.Series]:
    low, high = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    ends = [
        tuple(None if pd.isna(end) else float(end) for end in limits)
        for limits in zip(firsts["minimum"], firsts["maximum"], strict=True)
    ]
    places: dict[tuple[Scale, Range], list[int]] = {}
    for place, (name, (minimum, maximum)) in enumerate(zip(scale, ends, strict=True)):
        places.setdefault((name, (minimum, maximum)), []).append(place)
    for (name, limits), some in places.items():
        low[some], high[some] = seeds_interval(mean[some], variance[some], n[some], name, limits)
    return tuple(pd.Series(ends, firsts.index, dtype="Float64") for ends in (low, high))  # type: ignore[return-value]
