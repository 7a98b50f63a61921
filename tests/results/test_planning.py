"""How many seeds and images a stated difference takes: against the noncentral t distribution, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchbench.core.errors import NothingComparable
from benchbench.results.claims.planning import NEGLIGIBLE, Planned, plan
from benchbench.results.claims.spread import Pool
from benchbench.results.record import Row
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]
Runs = Callable[..., list[Row]]
Z = float(stats.norm.ppf(0.975))
LOGS = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])  # of a standard deviation of √0.025


@pytest.fixture
def runs(make_row: MakeRow) -> Runs:
    """One row a seed with these values on the log scale, without intervals unless a ratio is given."""

    def make(values: Sequence[float], ratio: float | None = None, **changes: Any) -> list[Row]:
        plain = {
            "scale": "log",
            "minimum": 0.0,
            "headline": True,
            "interval": None,
            "low": None,
            "high": None,
        }
        who = f"{changes.get('model', 'vae')}-{changes.get('metric', 'fd')}"
        return [
            make_row(
                **plain
                | (
                    {}
                    if ratio is None
                    else {"low": v / ratio, "high": v * ratio, "interval": "95% bootstrap"}
                )
                | changes
                | {"value": float(v), "seed": seed, "cell": f"{who}-{seed}"}
            )
            for seed, v in enumerate(values)
        ]

    return make


def only(tables: Sequence[pd.DataFrame], smallest: float, **known: Any) -> Planned:
    """The one plan."""
    (one,) = plan(tables, smallest, **known)
    return one


def power(effect: float, n: int) -> float:
    """Of a two-sided t test of n seeds a side at 5%, by `scipy.stats.nct`."""
    degrees, shift, critical = 2 * n - 2, effect * math.sqrt(n / 2), stats.t.isf(0.025, 2 * n - 2)
    return float(stats.nct.sf(critical, degrees, shift) + stats.nct.cdf(-critical, degrees, shift))


@pytest.mark.parametrize("smallest", [0.1, 0.2, 0.5])
def test_seeds_on_the_log_scale_are_a_closed_form(runs: Runs, smallest: float) -> None:
    """Five seeds with a log spread of √0.025, FD: the effect is log(1 + smallest)/√0.025 standard deviations, and the
    answer is the least n with a power of 80%, by SciPy's noncentral t."""
    one = only([to_frame(runs(100 * np.exp(LOGS)))], smallest)
    effect = math.log1p(smallest) / math.sqrt(0.025)
    assert one.seeds is not None
    assert power(effect, one.seeds) >= 0.8 > power(effect, one.seeds - 1)
    assert one.value == pytest.approx(100 * np.exp(LOGS).mean())
    assert one.smallest == pytest.approx(smallest * one.value)
    # A thousandth of the value is a thousandth on the log scale, to second order.
    assert one.spread == pytest.approx(math.sqrt(0.025), rel=1e-3)
    assert (one.source, one.of_images, one.headline) == ("5 seeds of its own", 0, True)


def test_where_higher_is_better_the_difference_is_downwards(runs: Runs) -> None:
    """−10% is log 0.9, a little more on the scale than +10%."""
    rows = runs(100 * np.exp(LOGS), higher_is_better=True)
    one = only([to_frame(rows)], 0.1)
    effect = abs(math.log(0.9)) / math.sqrt(0.025)
    assert one.seeds is not None
    assert power(effect, one.seeds) >= 0.8 > power(effect, one.seeds - 1)


def test_shares_are_planned_on_their_own_scale(runs: Runs) -> None:
    """Precision 0.9 with an arcsine spread of 0.05: from 0.9 to 0.81, by hand."""
    moved = math.asin(math.sqrt(0.9)) + 0.05 * np.array([-1, 1, -1, 1, 0])
    rows = runs(np.sin(moved) ** 2, scale="arcsine", maximum=1.0, higher_is_better=True, headline=False)
    one = only([to_frame(rows)], 0.1)
    value = float((np.sin(moved) ** 2).mean())
    effect = (math.asin(math.sqrt(value)) - math.asin(math.sqrt(0.9 * value))) / np.std(moved, ddof=1)
    assert one.seeds is not None
    assert power(effect, one.seeds) >= 0.8
    assert one.seeds == 2 or power(effect, one.seeds - 1) < 0.8
    assert not one.headline


def test_the_part_that_images_would_remove(runs: Runs) -> None:
    """Intervals of a ratio of 1.2 either way: (log 1.2/Z)² of the 0.025 are of the images. With `enough` of them that
    part is a tenth of what is left, and fewer seeds do; both by hand."""
    one = only([to_frame(runs(100 * np.exp(LOGS), ratio=1.2))], 0.1)
    within = (math.log(1.2) / Z) ** 2
    assert one.of_images == pytest.approx(within / 0.025, rel=1e-9)
    beyond = 0.025 - within
    assert one.n_images == 1000
    assert one.enough == math.ceil(1000 * within / beyond * (1 - NEGLIGIBLE) / NEGLIGIBLE)
    left = within * 1000 / one.enough
    assert left / (left + beyond) == pytest.approx(NEGLIGIBLE, rel=1e-3)
    effect = math.log(1.1) / math.sqrt(beyond + left)
    assert one.seeds is not None
    assert one.seeds_with_enough is not None
    assert one.seeds_with_enough < one.seeds
    assert power(effect, one.seeds_with_enough) >= 0.8 > power(effect, one.seeds_with_enough - 1)


def test_images_may_be_all_there_is(runs: Runs) -> None:
    """Seeds scatter less than their own intervals say: all of the spread is of the images."""
    one = only([to_frame(runs(100 * np.exp(LOGS / 10), ratio=1.2))], 0.1)
    assert (one.of_images, one.enough) == (1, None)


def test_few_seeds_are_planned_with_the_spread_of_others(runs: Runs) -> None:
    """Two seeds of the model, others on record: the posterior variance, (d0 s0² + d s²)/(d0 + d), from the prior that
    the engine states; three models on record tell it, the model's own seeds are no others."""
    shape = np.exp(LOGS[[0, 2, 4]])
    own = to_frame(runs([90.0, 110.0]))
    others = [runs(50 * k * shape, model=f"m{k}") for k in (1, 2, 3)]
    one = only([own], 0.1, known=to_frame([row for rows in others for row in rows]))
    prior = Pool(tuple(tuple(50 * k * shape) for k in (1, 2, 3))).prior("log", (0.0, None))
    assert prior is not None
    variance = (prior.degrees * prior.variance + np.var(np.log([90, 110]), ddof=1)) / (prior.degrees + 1)
    assert one.source == "pooled with 3 models"
    assert one.spread == pytest.approx(math.sqrt(variance), rel=1e-3)
    assert only([own], 0.1).source == "2 seeds of its own"


def test_more_than_a_million_seeds_are_no_number(runs: Runs) -> None:
    """A difference of a millionth of a spread: "not by seeds"."""
    assert only([to_frame(runs(100 * np.exp(LOGS)))], 1e-7).seeds is None


def test_what_a_claim_can_be_about_headlines_first(runs: Runs) -> None:
    """Controls, rates, doublets and what has no direction are not planned for; of two models each gets its lines."""
    values = 100 * np.exp(LOGS)
    rows = [
        *runs(values, metric="zz_fd"),
        *runs(values, metric="aa_kd", headline=False),
        *runs(values, metric="fd_infinity_x", gated=False),
        *runs(values, metric="sampling_rate", aspect="throughput", headline=False),
        *runs(values, metric="machine_load", higher_is_better=None, headline=False),
        *runs(values, metric="zz_fd", model="gan"),
    ]
    control = to_frame(runs(values, model="noise")).assign(control=True)
    found = plan([to_frame(rows).assign(control=False), control], 0.1)
    assert [(one.unit.model, one.asked.metric) for one in found] == [
        ("gan", "zz_fd"),
        ("vae", "zz_fd"),
        ("vae", "aa_kd"),
    ]


def test_nothing_to_plan_with(runs: Runs) -> None:
    """One run, and nobody knows how seeds scatter: exit code 3 and what to do."""
    with pytest.raises(NothingComparable, match="run one model under two seeds or more, then plan") as caught:
        plan([to_frame(runs([100.0]))], 0.1)
    assert caught.value.exit_code == 3
