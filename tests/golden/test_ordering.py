"""Real images made worse step by step: each metric moves the way it has to (benchmarks/ordering.py says which way).

What is expected comes from what the metrics are for, not from a run: noise, blur and JPEG spoil images, removed
classes and repeated images spoil the set, copies of training images are memorization. `ordering.verdict` forgives a
step the wrong way that is within the metric's own 95% interval, which drawing other images would give as well, but
wants the whole way to go beyond it.
"""

from __future__ import annotations

from pathlib import Path

import ordering
import pandas as pd
import pytest

from benchbench.core.registry import EXTRACTORS
from benchbench.data.catalogue import load_dataset

LEVELS = {
    "noise": (16, 64),
    "blur": (1, 2.5),
    "jpeg": (25, 5),
    "removed": (2, 5),
    "repeated": (0.5, 0.9),
    "copied": (0.5, 0.9),
}


@pytest.fixture(scope="module")
def digits() -> pd.DataFrame:
    """400 digits a side, judged by the classifier of digits: about 5,000 small images."""
    return ordering.measure(load_dataset("digits"), EXTRACTORS.get("cnn_digits")(), 400, LEVELS)


@pytest.mark.costly
def test_digits(digits: pd.DataFrame) -> None:
    """Every claim holds here, without exception. NDB alone is not measured: 400 real images are too few."""
    failed = digits[digits.value.isna()]
    assert set(failed.metric) == {"ndb"}
    assert failed.reason.str.contains("at least 1000 real images").all()
    measured = digits.dropna(subset="value")
    assert set(measured.metric) == ordering.EXPECTED.keys() - {"ndb"}
    assert ordering.against_expectation(measured) == set()


@pytest.mark.costly
def test_a_metric_that_goes_the_wrong_way_is_found(digits: pd.DataFrame) -> None:
    """The check itself: a metric with its sign turned has every one of its claims against it, and one that does not
    move at all as well."""
    claims = {("fd", name) for name in ordering.DEGRADATIONS if ordering.expected("fd", name)}
    own = digits[digits.metric == "fd"]
    turned = own.assign(value=-own.value, low=-own.high, high=-own.low)
    still = own.assign(value=1.0, low=0.9, high=1.1)
    for wrong in (turned, still):
        assert ordering.against_expectation(wrong) == claims


SAY_WHY = {("precision", "blur"), ("density", "blur"), ("nn_distance_ratio", "noise"), ("ct", "noise")}
"""The exceptions that docs/ordering.md explains with numbers: if one of them goes, the page is out of date."""


def test_the_published_table() -> None:
    """docs/ordering.csv has every level of every degradation, and shows what the page says of it."""
    frame = pd.read_csv(Path(__file__).parents[2] / "docs" / "ordering.csv")
    levels = {name: set(rows.level) for name, rows in frame.groupby("degradation") if name != "none"}
    assert levels == {name: set(it.levels) for name, it in ordering.DEGRADATIONS.items()}
    assert SAY_WHY <= ordering.against_expectation(frame) <= ordering.EXCEPTIONS


@pytest.mark.slow
def test_cifar10(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 images a side under efficientnet_lite0, whose features contract to the middle for images as bad as these:
    no claim fails but those of `ordering.EXCEPTIONS`, and those that the page explains do."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    levels = {**LEVELS, "removed": (4, 8)}
    frame = ordering.measure(load_dataset("cifar10"), EXTRACTORS.get("efficientnet_lite0")(), 1000, levels)
    assert frame.value.notna().all()
    assert SAY_WHY <= ordering.against_expectation(frame) <= ordering.EXCEPTIONS
