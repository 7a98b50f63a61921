"""Means over seeds: right ones, and of nothing that may not be averaged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbench.core.errors import InputError
from benchbench.core.scales import Range, Scale
from benchbench.results.claims.numbers import numbers
from benchbench.results.claims.testing import over_seeds
from benchbench.results.load import load_results
from benchbench.results.record import Row
from benchbench.results.summary import summarise
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]


def of(values: Sequence[float], make_row: MakeRow, **changes: Any) -> pd.Series:
    """The one line of these values, one a seed, without intervals of their own unless said otherwise."""
    plain = {"low": None, "high": None, "interval": None}
    rows = [
        make_row(**(plain | changes | {"seed": s, "cell": f"{s:016x}", "value": v}))
        for s, v in enumerate(values)
    ]
    (_, line), *others = summarise(to_frame(rows)).iterrows()
    assert not others
    return line


def test_mean_and_interval_over_seeds(make_row: MakeRow) -> None:
    """Values 1, 2, 3, 4 of a metric without a scale: mean and median 2.5 by hand; the interval is
    scipy.stats.ttest_1samp's own, another road to the same formula, so that agreement to 1e-12 is rounding alone."""
    line = of([1.0, 2.0, 3.0, 4.0], make_row)
    expected = stats.ttest_1samp([1.0, 2.0, 3.0, 4.0], 0).confidence_interval(0.95)
    assert (line["value"], line["median"]) == (2.5, 2.5)
    np.testing.assert_allclose([line["low"], line["high"]], [expected.low, expected.high], rtol=1e-12)
    assert (line["interval"], line["n_seeds"], line["n_failed"]) == ("95% t over 4 seeds", 4, 0)


@pytest.mark.parametrize(
    ("scale", "ends", "there", "back", "said"),
    [
        ("log", (0.0, None), np.log, np.exp, "log"),
        ("sqrt", (0.0, None), np.sqrt, np.square, "root"),
        ("arcsine", (0.0, 1.0), lambda x: np.arcsin(np.sqrt(x)), lambda y: np.sin(y) ** 2, "arcsine"),
    ],
)
def test_the_interval_is_made_on_the_scale_of_the_metric(
    make_row: MakeRow,
    scale: str,
    ends: tuple[float, float | None],
    there: Callable[[Any], Any],
    back: Callable[[Any], Any],
    said: str,
) -> None:
    """Student's around the scale's place of the mean, with the spread of the moved values, and back: by NumPy."""
    values = np.array([0.2, 0.3, 0.35])
    line = of(values.tolist(), make_row, scale=scale, minimum=ends[0], maximum=ends[1])
    half = stats.t.ppf(0.975, 2) * np.std(there(values), ddof=1) / math.sqrt(3)
    expected = [back(there(values.mean()) + sign * half) for sign in (-1, 1)]
    np.testing.assert_allclose([line["low"], line["high"]], expected, rtol=1e-9)
    assert line["interval"] == f"95% t over 3 seeds, {said} scale"


KINDS: list[tuple[Scale, Range]] = [
    ("linear", (None, None)),
    ("linear", (0.0, 10.0)),
    ("log", (0.0, None)),
    ("log", (1.0, None)),
    ("sqrt", (None, None)),
    ("sqrt", (0.0, None)),
    ("arcsine", (0.0, 1.0)),
    ("arcsine", (-1.0, 1.0)),
]


@pytest.mark.costly
@settings(deadline=None, max_examples=15)
@given(st.data())
def test_intervals_are_possible_and_hold_their_value(make_row: MakeRow, data: st.DataObject) -> None:
    """Rule 3 of the design, for every scale at once: values anywhere in the range and at its ends, one dead seed among
    good ones, all at 0 or all at 1, with and without intervals of the runs."""
    rows: list[Row] = []
    for scale, (least, most) in KINDS:
        low, high = (-50.0 if least is None else least), (50.0 if most is None else most)
        value = st.one_of(st.floats(low, high), st.sampled_from([low, high]))
        equal = st.builds(lambda x, n: [x] * n, value, st.integers(2, 4))
        values = data.draw(st.one_of(st.lists(value, min_size=1, max_size=5), equal))
        half = data.draw(st.one_of(st.none(), st.floats(0, 1)))
        for seed, v in enumerate(values):
            ends = (None, None) if half is None else (max(low, v - half), min(high, v + half))
            own = {"low": ends[0], "high": ends[1], "interval": None if half is None else "95% bootstrap"}
            labels = {"scale": scale, "minimum": least, "maximum": most, "metric": f"{scale} {least} {most}"}
            rows.append(make_row(seed=seed, cell=f"{len(rows):016x}", value=v, **own, **labels))
    lines = summarise(to_frame(rows))
    assert len(lines) == len(KINDS)
    for line in lines.astype(object).where(lines.notna(), None).to_dict("records"):
        if line["low"] is None:
            assert (line["n_seeds"], line["interval"]) == (1, None)
            continue
        assert line["low"] <= line["value"] <= line["high"]
        assert line["minimum"] is None or line["low"] >= line["minimum"]
        assert line["maximum"] is None or line["high"] <= line["maximum"]


def test_seeds_that_agree_have_the_interval_of_their_runs(make_row: MakeRow) -> None:
    """Three runs at a precision of 0 of 500 images: not [0, 0] but what Student's t makes of the spread within a run,
    half of Wilson's interval on the arcsine scale over 1.96; by hand."""
    upper = 1.959964**2 / (500 + 1.959964**2)
    share = {"scale": "arcsine", "minimum": 0.0, "maximum": 1.0}
    line = of([0.0] * 3, make_row, low=0.0, high=upper, interval="95% Wilson", **share)
    spread = math.asin(math.sqrt(upper)) / 2 / 1.959964
    assert line["low"] == 0
    assert line["high"] == pytest.approx(
        math.sin(stats.t.ppf(0.975, 2) * spread / math.sqrt(3)) ** 2, rel=1e-6
    )
    assert of([0.0] * 3, make_row, low=0.0, high=upper, interval="range", **share)["high"] == 0


def test_a_dead_seed_is_seen_beside_the_mean(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]
) -> None:
    """FD 100, 104 and 3,000, whose alarm fired: the mean is 1,068, the median 104, and one of three collapsed. A seed
    whose alarm fired in two cells is one."""
    for seed, value in enumerate((100.0, 104.0, 3000.0)):
        run = {"collapse": {"step": 5, "words": "few classes"}} if seed == 2 else {}
        cells = [f"{seed:016x}", "f" * 16][: 1 + (seed == 2)]
        for cell in cells:
            land(tmp_path, [make_row(seed=seed, cell=cell, value=value, scale="log", minimum=0.0)], run)
    line = summarise(load_results(tmp_path)).iloc[0]
    assert (line["value"], line["median"]) == (pytest.approx(3204 / 3), 104)
    assert (line["n_seeds"], line["n_collapsed"]) == (3, 1)
    assert 0 < line["low"] < 104 < line["high"]


def test_a_control_shows_the_interval_of_its_runs(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]
) -> None:
    """`real` hands out the same images under every seed: the interval of a run, never the zero between equal numbers.
    One that states none has what its seeds say."""
    for seed in range(3):
        for model, own in (("real", {}), ("noise", {"low": None, "high": None, "interval": None})):
            row = make_row(
                model=model, seed=seed, cell=f"{model}{seed}".encode().hex(), value=12.5 + seed / 1e3, **own
            )
            land(tmp_path, [row], {"control": True})
    lines = summarise(load_results(tmp_path)).set_index("model")
    real, noise = lines.loc["real"], lines.loc["noise"]
    assert (real["low"], real["high"], real["interval"]) == (11.0, 14.0, "95% bootstrap")
    assert noise["interval"] == "95% t over 3 seeds, log scale"
    assert 12.49 < noise["low"] < noise["high"] < 12.51


def test_an_interval_that_leaves_out_its_value_is_none(make_row: MakeRow) -> None:
    """`modes` 780 in [694, 721], as older records have it: no interval, alone and as the spread of a run."""
    own = {"low": 694.0, "high": 721.0, "interval": "95% bootstrap", "scale": "sqrt", "minimum": 0.0}
    alone = of([780.0], make_row, **own)
    assert (alone["low"] is pd.NA, alone["high"] is pd.NA, alone["interval"] is pd.NA) == (True, True, True)
    bare = of([780.0, 790.0], make_row, scale="sqrt", minimum=0.0)
    with_it = of([780.0, 790.0], make_row, **own)
    assert (with_it["low"], with_it["high"]) == (bare["low"], bare["high"])


@pytest.mark.parametrize("field", ["data", "size", "extractor_weights", "decoder", "machine"])
def test_what_only_run_json_knows_keeps_lines_apart(make_row: MakeRow, field: str) -> None:
    """Other pixels, size, weights of the judge, decoder or machine: 710 and 310 are two lines, never "2 seeds, 510"."""
    rows = [make_row(seed=s, cell=f"{s:016x}", value=v) for s, v in enumerate((710.0, 310.0))]
    frame = to_frame(rows)
    assert summarise(frame.assign(**{field: ["x", "x"]}))["n_seeds"].tolist() == [2]
    lines = summarise(frame.assign(**{field: ["x", "y"]}))
    assert (lines["value"].tolist(), lines[field].tolist()) == ([710.0, 310.0], ["x", "y"])


def test_a_line_says_what_the_engine_would(make_row: MakeRow) -> None:
    """All lines are computed at once for speed, `testing.over_seeds` one number at a time: the same intervals, on every
    scale, with and without intervals of the runs. Rounding alone, 1e-9."""
    rng = np.random.default_rng(0)
    rows = []
    for i, (scale, ends) in enumerate(KINDS):
        for n, half in ((1, 0.1), (3, 0.1), (3, None), (5, 2.0)):
            for seed in range(n):
                value = float(rng.uniform(0.2, 0.9) + (ends[0] or 0.0))
                own = {"low": None, "high": None, "interval": None}
                if half is not None:
                    bounds = (value - half, value + half)
                    low = bounds[0] if ends[0] is None else max(ends[0], bounds[0])
                    high = bounds[1] if ends[1] is None else min(ends[1], bounds[1])
                    own = {"low": low, "high": high, "interval": "95% bootstrap"}
                labels = {"scale": scale, "minimum": ends[0], "maximum": ends[1], "metric": f"m{i}"}
                who = {"model": f"{n}-{half}", "seed": seed, "cell": f"{n}-{half}-{seed}"}
                rows.append(make_row(value=value, **own, **labels, **who))
    table = to_frame(rows)
    engine = {
        (unit.model, asked.metric): over_seeds(one)
        for unit, held in numbers(table).items()
        for asked, (one,) in held.items()
    }
    lines = summarise(table)
    assert len(lines) == len(engine) == 4 * len(KINDS)
    for line in lines.to_dict("records"):
        told = engine[line["model"], line["metric"]]
        assert told is not None
        assert (line["low"], line["high"]) == pytest.approx(told[:2], rel=1e-9, abs=1e-12)


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
    asked = itertools.product(("a", "b"), ("x", "y", "z"), (500, None), ("extractor", None), range(6))
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
