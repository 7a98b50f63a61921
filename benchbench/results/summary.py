"""Over seeds: one line per model and protocol, with the mean and how sure we are of it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy import stats

from benchbench.core.errors import InputError
from benchbench.results.compare import PROTOCOL, QUESTION

MODEL = ["model", "variant"]
_LABELS = ["aspect", "unit", "higher_is_better"]
_MEASURED = ("throughput", "cost")  # by the clock: another run gives another value of the same thing
_NUMBERS = {
    "value": "Float64",
    "low": "Float64",
    "high": "Float64",
    "interval": "string",
    "n_seeds": "Int64",
    "n_failed": "Int64",
}


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per (dataset, task, metric, model, variant, protocol) of a table from `load_results`.

    `value` is the mean over seeds. With two seeds or more the interval is Student's, mean ± t(0.975, n - 1)
    s/√n, and named so; with one it is that run's own. `n_failed` counts the runs of that model without a
    number; a model that has none at all keeps a line with value <NA>. Numbers of different protocols are
    never averaged. Cells that share a seed (run again with more metrics) count as one run; `InputError` where
    their values differ, since two recipes under one name are no seeds.
    """
    who = [*QUESTION, *MODEL]
    lines: list[dict[Any, Any]] = []
    for _, runs in frame.sort_values("cell").groupby(who, sort=True, dropna=False):
        numbers = runs[runs["status"] == "ok"]
        n_failed = len(runs) - len(numbers)
        shared = runs.iloc[0][[*who, *_LABELS]].to_dict()
        if numbers.empty:
            lines.append(shared | runs.iloc[0][PROTOCOL].to_dict() | {"n_seeds": 0, "n_failed": n_failed})
        for _, same in numbers.groupby(PROTOCOL, sort=True, dropna=False):
            protocol = same.iloc[0][PROTOCOL].to_dict()
            lines.append(shared | protocol | _over_seeds(same) | {"n_failed": n_failed})
    columns = [*who, *_LABELS, *PROTOCOL]
    dtypes = {name: frame.dtypes[name] for name in columns} | _NUMBERS
    return pd.DataFrame(lines, columns=[*columns, *_NUMBERS]).astype(dtypes)


def _over_seeds(same: pd.DataFrame) -> dict[str, Any]:
    """Mean and interval of the runs of one model under one protocol."""
    first = same.iloc[0]
    by_seed = same.groupby("seed")["value"]
    values = by_seed.mean().to_numpy(dtype=float)
    spread = (by_seed.max() - by_seed.min()).to_numpy(dtype=float)
    if first["aspect"] not in _MEASURED and (spread > 1e-6 * abs(values)).any():
        raise InputError(
            f"{first['model']} on {first['dataset']} has several values of {first['metric']} for one seed "
            f"(cells {', '.join(sorted(same['cell'].unique()))}): these were run with different settings; "
            "load them apart"
        )
    n = len(values)
    mean = float(values.mean())
    if n == 1:
        low, high, interval = same["low"].min(), same["high"].max(), first["interval"]
    else:
        half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5)
        low, high, interval = mean - half, mean + half, f"95% t over {n} seeds"
    return {"value": mean, "low": low, "high": high, "interval": interval, "n_seeds": n}
