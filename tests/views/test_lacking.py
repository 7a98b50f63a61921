"""What a board says of numbers that are not there: what failed, and what something has to be fetched for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from benchbench.results.record import Row
from benchbench.results.summary import summarise
from benchbench.results.tables import to_frame
from benchbench.views.board import Board, boards
from benchbench.views.choice import EVERYTHING, Choice
from benchbench.views.lacking import lost_runs, without_number
from benchbench.views.leaderboard import leaderboard

MakeRow = Callable[..., Row]
LACKING = {"value": None, "status": "unavailable", "reason": "fetch the weights first"}
FAILED = {"value": None, "status": "failed", "reason": "not finite"}


def _row(make_row: MakeRow, model: str, seed: int, metric: str, said: dict[str, Any]) -> Row:
    cell = f"{model}{seed}".encode().hex().ljust(16, "0")[:16]
    return make_row(model=model, seed=seed, cell=cell, metric=metric, aspect="paired", extractor=None, **said)


@pytest.fixture
def frame(make_row: MakeRow) -> Callable[[dict[str, dict[str, Any]]], pd.DataFrame]:
    """The table of two models: of each metric what it says of the model "b"; "a" has PSNR and what lacks for both."""

    def made(of_b: dict[str, dict[str, Any]]) -> pd.DataFrame:
        rows = [_row(make_row, "a", 0, "psnr", {}), _row(make_row, "a", 0, "lpips", LACKING)]
        return to_frame([*rows, *(_row(make_row, "b", 0, name, said) for name, said in of_b.items())])

    return made


def _board(frame: pd.DataFrame, choice: Choice = EVERYTHING) -> Board:
    (board,) = boards(frame, choice)
    return board


def test_what_nobody_could_fetch_has_no_column(frame: Callable[..., pd.DataFrame]) -> None:
    """A column of one word for all models tells nothing that the note does not; the note says what to do."""
    board = _board(frame({"psnr": {}, "lpips": LACKING}))
    assert [measure.metric for measure in board.measures] == ["psnr"]
    assert "unavailable: lpips: fetch the weights first" in board.notes
    assert not any("failed" in note for note in board.notes)


@pytest.mark.parametrize("choice", [Choice(metrics=("lpips", "psnr")), Choice(columns=("lpips", "psnr"))])
def test_what_was_asked_for_has_one(frame: Callable[..., pd.DataFrame], choice: Choice) -> None:
    """Whoever names a metric sees what became of it."""
    board = _board(frame({"psnr": {}, "lpips": LACKING}), choice)
    assert {measure.metric for measure in board.measures} == {"psnr", "lpips"}
    place = [measure.metric for measure in board.measures].index("lpips")
    assert [entry.text for _, own in board.rows if (entry := own[place])] == ["unavailable", "unavailable"]


def test_alone_it_has_one(make_row: MakeRow) -> None:
    """A record of nothing else is still seen."""
    board = _board(to_frame([_row(make_row, "a", 0, "lpips", LACKING)]))
    assert [entry.text for _, own in board.rows if (entry := own[0])] == ["unavailable"]


def test_a_failure_is_told_from_a_lack(frame: Callable[..., pd.DataFrame]) -> None:
    """One of two models lacked the weights, the other's numbers failed: a column, a word each, and a note each."""
    board = _board(frame({"psnr": FAILED, "lpips": FAILED}))
    place = [measure.metric for measure in board.measures].index("lpips")
    words = {name: entry.text for name, own in board.rows if (entry := own[place])}
    assert words == {"a": "unavailable", "b": "failed"}
    assert {"failed: lpips: not finite", "unavailable: lpips: fetch the weights first"} <= set(board.notes)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ([FAILED], "(1 failed)"),
        ([LACKING, LACKING], "(2 unavailable)"),
        ([FAILED, LACKING], "(1 failed, 1 unavailable)"),
        ([], ""),
    ],
)
def test_lost_seeds_are_counted(make_row: MakeRow, lost: list[dict[str, Any]], said: str) -> None:
    """Beside the mean of one seed that has a number; by hand. LaTeX keeps what the other formats have."""
    rows = [_row(make_row, "a", seed, "psnr", own) for seed, own in enumerate([{}, *lost])]
    frame = to_frame(rows)
    (line,) = summarise(frame).to_dict("records")
    assert (line["n_failed"], line["n_unavailable"]) == (len(lost), lost.count(LACKING))
    assert lost_runs(line) == said
    assert without_number({**line, "value": pd.NA}) == ("unavailable" if FAILED not in lost else "failed")
    for format in ("markdown", "latex", "html"):
        assert said in leaderboard(frame, format=format)
