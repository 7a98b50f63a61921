"""Boards mark models whose training was ended by its budget, and say how the others ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from benchbench.results.claims.conditions import FACTS
from benchbench.results.record import Row
from benchbench.results.tables import DTYPES, to_frame
from benchbench.views.board import boards
from benchbench.views.budget import budget_notes
from benchbench.views.leaderboard import leaderboard

pytestmark = pytest.mark.costly  # the claims behind a board take most of a second

WORDS = "improvement over the last third 30% [29%, 31%], 30% per 1,000 steps, 10 scans"


def table(make_row: Callable[..., Row], ended: dict[tuple[str, int], str | None]) -> pd.DataFrame:
    """A distance, one that is no headline and a rate of each model and seed, with how its training ended."""
    rows, told = [], []
    for number, ((model, seed), verdict) in enumerate(ended.items()):
        named: Any = {"model": model, "seed": seed, "cell": f"{number:016x}"}
        coverage = {"metric": "coverage_x", "aspect": "diversity", "higher_is_better": True}
        rate = {"metric": "sampling_rate", "aspect": "throughput", "unit": "images/s"}
        rows += [
            make_row(**named, value=2.0 + number, low=None, high=None, interval=None, headline=True),
            *(
                make_row(**named, **other, value=0.5, low=None, high=None, interval=None)
                for other in (coverage, rate)
            ),
        ]
        told += [verdict] * 3
    frame = to_frame(rows)
    facts = {name: pd.array([None] * len(frame), dtype=dtype) for name, dtype in FACTS.items()}
    frame = frame.assign(**facts)
    frame["budget"] = pd.array(told, dtype="string")
    frame["budget_words"] = frame["budget"].map(lambda _: WORDS, na_action="ignore").astype("string")
    frame["chosen_by"] = frame["budget"].map(lambda _: "last", na_action="ignore").astype("string")
    return frame.astype({name: dtype for name, dtype in DTYPES.items() if name in frame})


def test_the_mark_and_its_key(make_row: Callable[..., Row]) -> None:
    """Any run that was still improving marks the model; the board of the headline says by how much, others what the
    mark means, and those of speed nothing: a rate does not depend on it."""
    frame = table(
        make_row,
        {
            ("gan", 0): "stopped by budget",
            ("gan", 1): "converged",
            ("vae", 0): "undecided",
            ("vae", 1): "unknown",
            ("real", 0): None,
        },
    )
    quality, diversity, speed = boards(frame)
    assert {run.name: run.by_budget for run in quality.runs} == {"gan": True, "vae": False, "real": False}
    assert "gan (2 seeds, §)" in [name for name, _ in quality.rows]
    assert f"§ stopped by budget: gan: seed 0: {WORDS}" in quality.notes
    (others,) = [note for note in quality.notes if note.startswith("training: ")]
    assert "converged (less than 2% better over the last third): gan (seed 1)" in others
    assert "cannot say whether it still improved: vae (seed 0)" in others
    assert others.endswith("(too few scans, or none): vae (seed 1)")
    assert "gan (2 seeds, §)" in [name for name, _ in diversity.rows]
    assert [note for note in diversity.notes if "§" in note] == [
        "§ stopped by budget, improving by 2% or more over the last third of its training"
    ]
    assert "gan (2 seeds)" in [name for name, _ in speed.rows]
    assert not any("§" in note or "training" in note for note in speed.notes)


def test_a_seed_is_named_once(make_row: Callable[..., Row]) -> None:
    """What people said of a model's images is a record of its own, with the model's seed: no second run."""
    frame = table(make_row, {("gan", 0): "converged", ("gan", 1): "converged"})
    notes = list(budget_notes(frame.assign(seed=0), whole=True))
    assert notes == ["training: converged (less than 2% better over the last third): gan (seed 0)"]


def test_nothing_is_said_where_nothing_was_trained(make_row: Callable[..., Row]) -> None:
    """Of controls, and of tables that come from elsewhere."""
    frame = table(make_row, {("real", 0): None, ("noise", 0): None})
    assert "§" not in leaderboard(frame)
    assert "training:" not in leaderboard(frame)


def test_a_paper_has_the_mark_too(make_row: Callable[..., Row]) -> None:
    """In LaTeX beside the star of a collapse, with its key in the caption."""
    text = leaderboard(table(make_row, {("gan", 0): "stopped by budget", ("vae", 0): None}), format="latex")
    assert r"$^{\S}$" in text
    assert r"$^{\S}$ stopped by budget, while it still improved" in text
