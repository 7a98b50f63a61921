"""Means over seeds: right ones, and of nothing that may not be averaged."""

from __future__ import annotations

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
