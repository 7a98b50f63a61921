"""Over seeds: one line per model and protocol, with the mean and how sure we are of it.

Pattern: every line gets a number, and all lines are computed at once by it. Groups of ten thousand records are many
and small, and a loop over them is a hundred times slower.
"""

from __future__ import annotations

import numpy as np
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
    rows = frame.sort_values("cell", kind="stable", ignore_index=True)
    rows["asked"] = rows.groupby(who, sort=True, dropna=False).ngroup()
    failed = rows["status"] != "ok"
    firsts = (
        rows.drop_duplicates("asked").set_index("asked").assign(n_failed=failed.groupby(rows["asked"]).sum())
    )
    numbers = rows[~failed].copy()
    numbers["line"] = numbers.groupby(["asked", *PROTOCOL], sort=True, dropna=False).ngroup()
    lines = _over_seeds(numbers)
    empty = firsts[~firsts.index.isin(numbers["asked"])].reset_index()
    lines = pd.concat([lines, empty[["asked", *PROTOCOL]].assign(n_seeds=0)]).sort_values(
        "asked", kind="stable"
    )
    lines = lines.join(firsts[[*who, *_LABELS, "n_failed"]], on="asked")
    columns = [*who, *_LABELS, *PROTOCOL]
    dtypes = {name: frame.dtypes[name] for name in columns} | _NUMBERS
    return lines[[*columns, *_NUMBERS]].reset_index(drop=True).astype(dtypes)


def _over_seeds(numbers: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval of each `line` of rows that hold a number, with its protocol and what it was `asked`."""
    firsts = numbers.drop_duplicates("line").set_index("line").sort_index()
    values = numbers["value"].astype(float)
    by_seed = values.groupby([numbers["line"], numbers["seed"]]).agg(["mean", "min", "max"])
    clocked = firsts["aspect"].isin(_MEASURED).reindex(by_seed.index.get_level_values("line")).to_numpy()
    spread = (by_seed["max"] - by_seed["min"]).to_numpy()
    differing = by_seed.index[~clocked & (spread > 1e-6 * by_seed["mean"].abs().to_numpy())]
    if len(differing):
        raise _contradiction(numbers[numbers["line"] == differing[0][0]])
    over = by_seed["mean"].groupby(level="line").agg(["mean", "std", "size"])
    n = over["size"].to_numpy()
    one = n == 1
    half = stats.t.ppf(0.975, np.maximum(n - 1, 1)) * over["std"].to_numpy() / np.sqrt(n)
    own = numbers.groupby("line").agg({"low": "min", "high": "max"}).astype("Float64")
    named = pd.Series([f"95% t over {k} seeds" for k in n], over.index, dtype="string")
    return firsts[["asked", *PROTOCOL]].assign(
        value=over["mean"],
        low=own["low"].where(one, over["mean"] - half),
        high=own["high"].where(one, over["mean"] + half),
        interval=firsts["interval"].where(one, named),
        n_seeds=over["size"],
    )


def _contradiction(same: pd.DataFrame) -> InputError:
    first = same.iloc[0]
    return InputError(
        f"{first['model']} on {first['dataset']} has several values of {first['metric']} for one seed "
        f"(cells {', '.join(sorted(same['cell'].unique()))}): these were run with different settings; "
        "load them apart"
    )
