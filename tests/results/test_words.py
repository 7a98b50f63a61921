"""What happened to the modes, as a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.results.words import mode_words

TEN: dict[str, Any] = {
    "judge": "cnn_digits",
    "names": [str(n) for n in range(10)],
    "generated": [9, 1, 4, 2, 0, 3, 7, 0, 1, 0],
    "reference": [5] * 10,
}
ALARM = {"step": 600, "rule": "fall", "words": "coverage fell from 0.90 to 0.20"}


def said(run: dict[str, Any], *rows: Row) -> str:
    return mode_words(RunFacts(**run), to_frame(rows))


@pytest.mark.parametrize(
    ("run", "share", "sentence"),
    [
        ({}, None, ""),
        ({"classes": None, "collapse": None, "status": "finished"}, 0.0, ""),
        ({"classes": TEN}, None, "covered 7 of 10 classes, missing 4, 7 and 9"),
        ({"classes": TEN}, 0.38, "covered 7 of 10 classes, missing 4, 7 and 9; 38% duplicates"),
        (
            {"duplicates_among_real": {"efficientnet_lite0": 0.325}},
            0.38,
            "38% duplicates (32% among real images)",
        ),
        ({}, 0.004, "under 1% duplicates"),
        ({}, 0.996, "over 99% duplicates"),
        ({}, 1.0, "100% duplicates"),
        ({"collapse": ALARM}, None, "collapse alarm at step 600: coverage fell from 0.90 to 0.20"),
        (
            {"collapse": ALARM, "status": "collapsed"},
            None,
            "collapse alarm at step 600, where training was stopped: coverage fell from 0.90 to 0.20",
        ),
    ],
)
def test_sentences(
    make_row: Callable[..., Row], run: dict[str, Any], share: float | None, sentence: str
) -> None:
    """By hand; the first is the issue's own. What was not measured is not spoken of."""
    rows = [make_row()]
    if share is not None:
        rows.append(make_row(metric="duplicate_rate_efficientnet_lite0", value=share, low=None, high=None))
    assert said(run, *rows) == sentence


@pytest.mark.parametrize(
    ("generated", "reference", "sentence"),
    [
        ([1, 1, 1], [2, 2, 2], "covered 3 of 3 classes"),
        ([1, 0, 1], [2, 2, 2], "covered 2 of 3 classes, missing b"),
        ([1, 0, 0], [2, 0, 2], "covered 1 of 2 classes, missing c"),
        ([1, 0, 0], None, "covered 1 of 3 classes, missing b and c"),
        ([0, 0, 0], [2, 2, 2], "covered 0 of 3 classes"),
    ],
)
def test_coverage(
    make_row: Callable[..., Row], generated: list[int], reference: list[int] | None, sentence: str
) -> None:
    """A class that no real image has is none to miss; where nothing is covered the list would be all of them."""
    classes = {"names": ["a", "b", "c"], "generated": generated, "reference": reference}
    assert said({"classes": classes}, make_row()) == sentence


def test_many_missing_classes_are_counted(make_row: Callable[..., Row]) -> None:
    """A thousand modes, 12 of them covered: nobody reads 988 names."""
    names = [f"{n:03}" for n in range(1000)]
    classes = {"names": names, "generated": [1] * 12 + [0] * 988, "reference": [3] * 1000}
    assert said({"classes": classes}, make_row()) == "covered 12 of 1,000 classes, missing 988 of them"


def test_a_failed_duplicate_rate_says_nothing(make_row: Callable[..., Row]) -> None:
    """It has no value, which is not a share of 0."""
    assert said({}, make_row(metric="duplicate_rate_efficientnet_lite0", value=None)) == ""
