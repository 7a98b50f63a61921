"""The alarm on written histories: what must raise it, and what must not."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.training.watch.alarm import (
    Collapse,
    CollapseRule,
    collapse_at,
    effective_share,
    first_collapse,
)

RULE = CollapseRule()
NAN = float("nan")
JUDGED = ("coverage", "modes", "class_kl", "distance", "recall", "duplicate_rate")
HEALTHY = {"distance": 20.0, "coverage": 0.7, "recall": 0.6, "modes": 10.0, "class_kl": 0.05}


def history(n: int = 12, **columns: Sequence[float] | float) -> list[dict[str, float]]:
    """n panels every 100 steps; columns without `monitor_` in front, lists or constants."""
    rows: list[dict[str, float]] = []
    for i in range(n):
        row = {"epoch": 0.0, "step": 100.0 * (i + 1)}
        for name, values in (HEALTHY | columns).items():
            value = values if isinstance(values, int | float) else values[i]
            if not math.isnan(value):
                row[name if name.startswith("loss") else f"monitor_{name}"] = value
        rows.append(row)
    return rows


def first(rows: Sequence[dict[str, float]]) -> Collapse | None:
    """As the loop asks of a training that ends with `rows`: after every row, until the first answer."""
    planned = sum(any(math.isfinite(row.get(f"monitor_{name}", NAN)) for name in JUDGED) for row in rows)
    return next((found for end in range(len(rows) + 1) if (found := collapse_at(rows[:end], planned))), None)


CASES = [
    # Coverage held 0.6 for three panels and then is 0.2 for three: a third of it.
    ({"coverage": [0.1, 0.6, 0.7, 0.65, 0.4, 0.2, 0.1, 0.15] + [0.1] * 4}, 800, "fall", "0.6 to 0.2 and below"),
    # 10 modes, then 4 and fewer.
    ({"modes": [10] * 5 + [4, 3, 4] + [3] * 4}, 800, "fall", "number of modes fell from 10 to 4 .*60% less"),
    # One stray sample covers each mode, but two of ten equal classes hold nearly all: KL log 5.
    ({"class_kl": [0.05] * 4 + [math.log(5)] * 8}, 700, "fall", "effective share of classes fell from 0.951 to 0.2"),
    # Distance from 20 to 40 while recall goes from 0.6 to 0.2; coverage is not measured.
    (
        {"coverage": NAN, "distance": [20] * 5 + [40] * 7, "recall": [0.6] * 5 + [0.2] * 7},
        800,
        "drift",
        "distance rose from 20 to 40 .* recall fell from 0.6 to 0.2",
    ),
    # The discriminator knows all; speaks at panel 8.
    ({"loss_discriminator": 0.004}, 800, "saturation", "loss stayed below 0.02 for 3 scans"),
    ({"duplicate_rate": [0.0] * 8 + [0.5] * 4}, 1100, "duplicates", "50% of the samples"),
    # From the start: one of ten classes, KL log 10.
    ({"modes": 1, "class_kl": math.log(10)}, 800, "never", "classes was never above 0.1 in 8 scans"),
    # Nothing that any mode would own, so there is no KL either.
    ({"modes": 0, "class_kl": NAN}, 800, "never", "no sample was of any class in 8 scans"),
    ({"modes": NAN, "class_kl": NAN, "coverage": 0.01}, 800, "never", "coverage was never above 0.01"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "step", "rule", "words"), CASES)
def test_collapses(columns: dict[str, list[float] | float], step: int, rule: str, words: str) -> None:
    """Each at the panel at which the rule, followed by hand, is complete for the first time."""
    found = first(history(**columns))
    assert found is not None
    assert (found.step, found.rule) == (step, rule)
    assert re.search(words, found.words), found.words


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"coverage": [0.7] * 5 + [0.1, 0.1] + [0.7] * 5},  # two bad looks, not three
        {"coverage": [0.7] * 5 + [0.1, 0.1, 0.5] * 2 + [0.7]},  # never three in a row
        {"coverage": [0.2, 0.9] + [0.2] * 10},  # one lucky look is no level
        {"coverage": [0.14] * 6 + [0.05] * 6},  # less than `least`
        {"modes": [2] * 6 + [1] * 6},  # one mode of two
        {"distance": [20] * 6 + [60] * 6},  # worse, but as diverse as before
        {"recall": [0.6] * 6 + [0.1] * 6},  # less diverse, but closer than ever
        {"loss_discriminator": [0.001] * 7 + [0.3] * 5},  # wins at first, as discriminators do
        {"loss_discriminator": -3.0},  # a critic
        {"duplicate_rate": [1.0] * 6 + [0.0] * 6},  # an untrained generator makes one image
        {"duplicate_rate": 0.9, "duplicate_rate_real": 0.8},  # so do points in a plane
        {"modes": [1] * 7 + [10] * 5, "class_kl": [2.3] * 7 + [0.1] * 5},  # a slow start
        {  # collapsed in all columns, but better at each look
            "modes": 1,
            "class_kl": 2.3,
            "coverage": 0.01,
            "duplicate_rate": 0.9,
            "loss_discriminator": 0.001,
            "distance": [100 - i for i in range(12)],
        },
    ],
)
def test_no_alarm(columns: dict[str, list[float] | float]) -> None:
    """What healthy runs do, and what only looks like one of the rules."""
    assert first(history(**columns)) is None


def test_rows_without_a_panel_do_not_count() -> None:
    """Rows at the end of epochs lie between the panels, as gaps when the file is read again."""
    rows = history(coverage=[0.6] * 6 + [0.1] * 6)
    gap = {
        "epoch": 0.0,
        "step": 1.0,
        "monitor_coverage": NAN,
        "monitor_distance": NAN,
        "loss_discriminator": 0.0,
    }
    padded = [entry for row in rows for entry in (gap, row, gap)]
    assert first(padded) == first(rows) is not None
    assert first_collapse(padded) == first(rows)
    assert collapse_at([], 5) is None
    assert collapse_at([gap] * 20, 5) is None
    assert first_collapse([]) is None


DEAD = {"modes": 1, "class_kl": math.log(10), "duplicate_rate": 1.0, "loss_discriminator": 0.001}


@pytest.mark.parametrize(
    ("n", "at"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 5), (7, 6), (8, 6), (10, 8), (12, 8), (30, 8)]
)
def test_short_runs_are_judged(n: int, at: int) -> None:
    """Dead from its first look to its last, which are n: heard at panel min(8, three quarters of n, rounded up), but
    not before a fourth panel could show that three found nothing better than the first, and at the last panel in any
    case."""
    found = first(history(n, **DEAD))
    assert found is not None
    assert (found.step, found.rule) == (100 * at, "saturation")


@pytest.mark.parametrize(
    ("columns", "rule", "words"),
    [
        ({"loss_discriminator": 0.001}, "saturation", "for 3 scans"),
        ({"duplicate_rate": 1.0}, "duplicates", "in each of 3 scans"),
        ({"modes": 0, "class_kl": NAN}, "never", "no sample was of any class in 5 scans"),
    ],
)
def test_the_last_panel_is_judged_by_rules_3_to_5(columns: dict[str, float], rule: str, words: str) -> None:
    """Five looks whose distance swings as that of a dead generator does: a new best within the last three, so that no
    look before the last may speak, but the last is not the best. Where it is, the training still improved."""
    swinging = history(5, distance=[55, 94, 20, 52, 97], **columns)
    found = first(swinging)
    assert found is not None
    assert (found.step, found.rule) == (500, rule)
    assert words in found.words
    assert collapse_at(swinging, 6) is None  # one more look is to come
    assert first(history(5, distance=[55, 94, 20, 52, 19], **columns)) is None


def test_one_look_at_the_end() -> None:
    """It shows no improvement, so the level is all there is; a healthy one is none."""
    found = first(history(1, **DEAD | {"loss_discriminator": NAN}))
    assert found is not None
    assert (found.rule, found.words.split(",")[0]) == (
        "duplicates",
        "at least 100% of the samples had a near-twin in each of 1 scan",
    )
    assert first(history(1)) is None


@pytest.mark.parametrize(
    ("dataset", "model", "seed", "rule"),
    [
        ("digits", "sngan", 1, "saturation"),  # one digit of ten, all samples twins
        *[("grid25", "sngan", seed, "never") for seed in range(3)],  # black images
        *[("digits", "sngan", seed, None) for seed in (0, 2)],
        *[("digits", name, seed, None) for name in ("dcgan", "vae", "cgan", "wgan-gp") for seed in range(3)],
    ],
)
def test_real_curves(dataset: str, model: str, seed: int, rule: str | None) -> None:
    """Curves of real trainings of four to nine looks, judged by eye at their samples: four are dead and were silent
    while rules 3 to 5 waited for an eighth look; fourteen are alive. As read from a file, and as the loop asks."""
    table = pd.read_csv(Path(__file__).with_name("published_curves.csv"))
    chosen = table[(table["dataset"] == dataset) & (table["model"] == model) & (table["seed"] == seed)]
    rows = chosen.drop(columns=["dataset", "model", "seed"]).to_dict("records")
    assert len(rows) >= 4
    found = first_collapse(rows)  # type: ignore[arg-type]
    assert (found.rule if found else None) == rule
    assert found == first(rows)  # type: ignore[arg-type]


# Millionths, so that what differs still differs after arithmetic.
rising = st.lists(st.integers(1_000, 1_000_000), min_size=2, max_size=30, unique=True).map(
    lambda values: [value / 1e6 for value in sorted(values)]
)


@settings(max_examples=60, deadline=None)
@given(rising, st.data())
def test_steady_improvement_never_alarms(distance: list[float], data: st.DataObject) -> None:
    """The distance falls at every look, coverage, recall, modes and class shares never get worse: however bad
    their values, a training that improves has not collapsed, also not where it ends. Duplicates and the loss may be
    anything. Two looks at least: one shows no improvement."""
    n = len(distance)

    def column(low: float, high: float) -> list[float]:
        return sorted(data.draw(st.lists(st.floats(low, high), min_size=n, max_size=n)))

    rows = history(
        n,
        distance=[-value * 100 + 101 for value in distance],
        coverage=column(0, 1),
        recall=column(0, 1),
        modes=column(1, 1000),
        class_kl=column(0, 7)[::-1],
        duplicate_rate=data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)),
        loss_discriminator=data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)),
    )
    assert first(rows) is None


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.25, 0.95), st.floats(0.25, 0.95), st.floats(5, 500), st.integers(4, 1000), st.integers(0, 10**6)
)  # fmt: skip
def test_noise_never_alarms(coverage: float, recall: float, distance: float, modes: int, seed: int) -> None:
    """A run that has arrived: levels stand still, shares move by ±0.045 (three standard errors of a share among
    1,000 samples), the distance by ±15%, modes by a tenth, class KL by a third around 0.3. The largest ratio
    between two looks is 0.295/0.205 in shares, above 1 - `fall`, and 1.15/0.85 = 1.35 in distance, below
    1 + `rise`."""
    noise = np.random.default_rng(seed).uniform(-1, 1, (6, 40))
    rows = history(
        40,
        coverage=coverage + 0.045 * noise[0],
        recall=recall + 0.045 * noise[1],
        distance=distance * (1 + 0.15 * noise[2]),
        modes=np.round(modes * (1 + 0.1 * noise[3])),
        class_kl=0.3 * (1 + noise[4] / 3),
        duplicate_rate=0.1 + 0.1 * noise[5],
        loss_discriminator=0.3 + 0.25 * noise[5],
    )
    assert first(rows) is None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([("coverage", 1.0, RULE.least), ("modes", 100.0, RULE.least_modes)]),
    st.floats(0.5, 1),
    st.floats(0, 0.999),
    st.lists(st.floats(0, 1), max_size=6),
    st.integers(0, 10**6),
)
def test_a_fall_always_alarms(
    column: tuple[str, float, float], best: float, depth: float, between: list[float], seed: int
) -> None:
    """`window` panels at or above a level, anything, then `window` panels at or below 1 - `fall` of it: from the
    last of these on at the latest. With a best of half the scale the absolute floors (0.1, 2 modes) hold too."""
    name, scale, least = column
    low = best * (1 - RULE.fall) * depth
    assert scale * (best - low) >= least
    draw = np.random.default_rng(seed)
    values = [
        *draw.uniform(best, 1, RULE.window),
        *between,
        *draw.uniform(0, 1, RULE.window) * low,
    ]
    found = first(history(len(values), **{name: [scale * value for value in values]}))
    assert found is not None
    assert found.rule == "fall"


def test_effective_share_of_equal_modes() -> None:
    """m of K equal modes in equal shares: KL = log(K/m), so exp(-KL) = m/K."""
    assert effective_share(math.log(25 / 4)) == pytest.approx(4 / 25)
    assert effective_share(0.0) == 1
