"""Means over seeds: right ones, and of nothing that may not be averaged."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchbench.core.errors import InputError
from benchbench.results.record import Row
from benchbench.results.summary import summarise
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]


def test_mean_and_interval_over_seeds(make_row: MakeRow) -> None:
    """Values 1, 2, 3, 4: mean 2.5 by hand; the interval is scipy.stats.ttest_1samp's own confidence interval,
    another road to the same formula, so agreement to 1e-12 is rounding alone."""
    rows = [make_row(seed=s, cell=f"{s:016x}", value=float(s + 1)) for s in range(4)]
    line = summarise(to_frame(rows)).iloc[0]
    expected = stats.ttest_1samp([1.0, 2.0, 3.0, 4.0], 0).confidence_interval(0.95)
    assert line["value"] == 2.5
    np.testing.assert_allclose([line["low"], line["high"]], [expected.low, expected.high], rtol=1e-12)
    assert (line["interval"], line["n_seeds"], line["n_failed"]) == ("95% t over 4 seeds", 4, 0)


def test_one_seed_keeps_its_own_interval(make_row: MakeRow) -> None:
    """Nothing to average: the row as it is."""
    line = summarise(to_frame([make_row()])).iloc[0]
    found = (line["value"], line["low"], line["high"], line["interval"])
    assert found == (12.5, 11.0, 14.0, "95% bootstrap")


def test_protocols_are_never_averaged(make_row: MakeRow) -> None:
    """Two sample counts are two lines, nulls in the protocol notwithstanding."""
    rows = [make_row(seed=s, n_images=n, n_reference=None) for s, n in enumerate((1000, 1000, 5000))]
    summary = summarise(to_frame(rows))
    assert summary[["n_images", "n_seeds"]].to_numpy().tolist() == [[1000, 2], [5000, 1]]


def test_failures_are_counted_and_kept(make_row: MakeRow) -> None:
    """Rule 5 of the design: one failed seed is counted beside the mean of the rest; a model that only failed
    keeps a line without a value."""
    rows = [make_row(), make_row(seed=1, value=None), make_row(model="gan", value=None)]
    summary = summarise(to_frame(rows)).set_index("model")
    assert summary.loc["vae", ["value", "n_seeds", "n_failed"]].tolist() == [12.5, 1, 1]
    assert summary.loc["gan", "value"] is pd.NA
    assert summary.loc["gan", ["n_seeds", "n_failed"]].tolist() == [0, 1]


def test_one_seed_with_two_values_is_refused(make_row: MakeRow) -> None:
    """Two recipes under one model name would pass for two seeds; both cells are named."""
    with pytest.raises(InputError, match=r"several values of fd_.* for one seed \(cells 0011.*, bbbb"):
        summarise(to_frame([make_row(), make_row(cell="b" * 16, value=13.0)]))


def test_the_same_run_in_two_cells_counts_once(make_row: MakeRow) -> None:
    """Seed 0 was run again with more metrics: 12.5 is there twice and must not weigh twice: (12.5 + 14)/2."""
    rows = [make_row(), make_row(cell="b" * 16), make_row(cell="c" * 16, seed=1, value=14.0)]
    assert summarise(to_frame(rows)).iloc[0][["value", "n_seeds"]].tolist() == [13.25, 2]


def test_a_rate_measured_twice_is_averaged(make_row: MakeRow) -> None:
    """Clocks differ from run to run: mean of 10 and 20, and the range that covers both."""
    rate = {"metric": "sampling_rate", "aspect": "throughput", "interval": "range of 5 repeats"}
    rows = [
        make_row(value=10.0, low=9.0, high=11.0, **rate),
        make_row(value=20.0, low=18.0, high=21.0, cell="b" * 16, **rate),
    ]
    assert summarise(to_frame(rows)).iloc[0][["value", "low", "high", "n_seeds"]].tolist() == [15, 9, 21, 1]


def test_an_empty_table_has_an_empty_summary() -> None:
    """Same columns, no lines."""
    summary = summarise(to_frame([]))
    assert len(summary) == 0
    assert str(summary.dtypes["value"]) == "Float64"


def test_many_groups_at_once_are_each_what_they_are_alone(make_row: MakeRow) -> None:
    """All lines are computed together. Each must be what NumPy gives for its own values, collected by hand: two
    datasets, three models, protocols that hold nulls, seeds that failed. Rounding alone differs, 1e-12."""
    rng = np.random.default_rng(0)
    rows, expected, failed = [], {}, {}
    asked = itertools.product(("a", "b"), ("x", "y", "z"), (500, None), ("judge", None), range(6))
    for i, (dataset, model, n_images, extractor, seed) in enumerate(asked):
        value = float(rng.normal()) if rng.random() < 0.7 else None
        made = {"n_images": n_images, "extractor": extractor}
        named = {"dataset": dataset, "model": model, "seed": seed, "cell": f"{i:016x}"}
        rows.append(make_row(**named, **made, value=value))
        if value is None:
            failed[dataset, model] = failed.get((dataset, model), 0) + 1
        else:
            expected.setdefault((dataset, model, n_images, extractor), []).append(value)
    shuffled = to_frame([rows[i] for i in rng.permutation(len(rows))])
    lines = summarise(shuffled).astype(object)
    lines = lines.where(lines.notna(), None).to_dict("records")
    found = {
        tuple(line[name] for name in ("dataset", "model", "n_images", "extractor")): line for line in lines
    }
    assert found.keys() == expected.keys()
    assert len(found) == len(lines) == 24
    for which, values in expected.items():
        line, n = found[which], len(values)
        assert (line["n_seeds"], line["n_failed"]) == (n, failed[which[:2]])
        assert line["value"] == pytest.approx(np.mean(values), rel=1e-12)
        if n > 1:
            half = stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
            assert line["high"] - line["low"] == pytest.approx(2 * half, rel=1e-12)
