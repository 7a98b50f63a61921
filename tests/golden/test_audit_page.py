"""docs/audit.md says what the code says (benchmarks/audit.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import audit as script
import numpy as np
import pandas as pd
import pytest

from benchbench import audit
from benchbench.metrics.audit.claims import audited
from benchbench.metrics.audit.experiments import EXPERIMENTS
from benchbench.metrics.audit.suite import Extent, asked, drawn, evidence_of

DOCS = Path(__file__).parents[2] / "docs"
KEYS = ["experiment", "case", "check", "metric"]


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return script.read(DOCS / script.CHECKS)


def repeats() -> int:
    """Of the command by which the page says that it was made."""
    found = re.search(r"audit\.py docs --repeats (\d+)", (DOCS / script.PAGE).read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])


def same(found: pd.DataFrame, published: pd.DataFrame) -> None:
    """Every check has the verdict of the page."""
    both = found.merge(published, on=KEYS, suffixes=("", "_then"))
    assert len(both) == len(found)
    assert both.verdict.tolist() == both.verdict_then.tolist()


def test_tables_are_those_of_the_files() -> None:
    """Each piece between its marks is what the script makes of the files beside the page."""
    page = (DOCS / script.PAGE).read_text(encoding="utf-8")
    assert script.filled(page, script.parts(DOCS)) == page


def test_every_metric_and_experiment_is_there(published: pd.DataFrame) -> None:
    """The page is of all that claim something now, and of all experiments."""
    assert set(published.metric) == {own.family for own in audited()}
    assert set(published.experiment) == set(EXPERIMENTS)


@pytest.mark.costly
@pytest.mark.parametrize("names", [("precision_k3", "recall_k3"), ("vendi",)])
def test_a_part_of_it_comes_out_again(names: Sequence[str], published: pd.DataFrame) -> None:
    """One experiment as it was published; the whole is marked slow."""
    found = audit.metrics(names, experiments="gaussian-mixture-mode-dropping-invention", repeats=repeats())
    same(found, published)


@pytest.mark.slow
def test_the_whole_comes_out_again(published: pd.DataFrame) -> None:
    """All of it, one draw of each instead of the published ones: verdicts near their tolerance differ, few of them.
    That nine of ten are alike is a bound that was chosen, not measured."""
    found = audit.metrics(repeats=1).merge(published, on=KEYS, suffixes=("", "_then"))
    assert len(found) == len(published)
    assert (found.verdict == found.verdict_then).mean() > 0.9


@pytest.mark.slow
def test_real_images_come_out_again() -> None:
    """Digits on the extractor that ranks them, all metrics."""
    published = script.read(DOCS / script.IMAGES)
    found = audit.metrics(dataset="digits", extractor="cnn_digits")
    same(found, published)


@pytest.mark.slow
def test_draws_differ_as_the_page_says() -> None:
    """Standard deviations over 20 draws, as the page has them. 20 draws tell a Gaussian's to a sixth; these are wider
    spread, so a factor of 1.5 either way."""
    chosen = audited(["density", "precision_k3"])

    def spread(experiment: str, case: str, place: int, value: float, metric: str) -> float:
        sets = (drawn(experiment, case, place, value, repeat, Extent()) for repeat in range(20))
        return float(np.std([asked(chosen, evidence_of(*both))[metric][0] for both in sets], ddof=1))

    said = {
        ("gaussian-mean-difference", "64", 25, 0.0, "density"): 0.08,
        ("gaussian-std-difference", "1", 0, 0.001, "density"): 0.22,
        ("gaussian-mean-difference", "1", 0, -6.0, "precision_k3"): 0.18,
    }
    for one, number in said.items():
        assert number / 1.5 < spread(*one) < number * 1.5
