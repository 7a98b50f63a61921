"""Records with a number that no run writes: what boards and exports do with them. How such numbers are told,
test_merge.py has.

Cells are written through the store, so that their sums are right; numbers are by hand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError, SkippedWarning
from benchbench.results import load
from benchbench.results.record import Row

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
SOUND, ODD = "ab" * 8, "cd" * 8
WHY = r"metrics\.csv row 2: fd_efficientnet_lite0 is -3, and cannot be below 0"


@pytest.fixture
def odd(tmp_path: Path, make_row: MakeRow, land: Land) -> Path:
    """The folder of a record with a negative distance, of a gan, beside a sound one of a vae."""
    facts = {
        "data": {"fingerprint": "f" * 64, "train": {"n": 898}, "held_out": {"n": 899}, "notes": []},
        "seed": 0,
        "variant": "",
        "extractors": {},
        "machine": {"device_name": "a processor", "cores": 2, "device": "cpu"},
        "provenance": {"benchbench": "0.1.0", "code_revision": None, "python": "3.11", "packages": {}},
    }
    land(tmp_path / "runs", [make_row(cell=SOUND)], facts)
    return land(tmp_path / "runs", [make_row(cell=ODD, model="gan", value=-3.0)], facts)


@pytest.mark.parametrize("where", [None, "dataset=digits"])
def test_a_board_leaves_it_out(odd: Path, tmp_path: Path, where: str | None) -> None:
    """One sentence says which and why, and the board is that of the others, also where a group was asked for; so is the
    report."""
    with pytest.warns(SkippedWarning, match=f"left out: .*{ODD}/{WHY}"):
        board = benchbench.leaderboard(tmp_path / "runs", where=where)
    assert board["model"].tolist() == ["vae"]
    with pytest.warns(SkippedWarning, match=WHY):
        page = benchbench.report(tmp_path / "runs", output=tmp_path / "report.html").read_text()
    assert ODD not in page
    assert SOUND in page


def test_many_are_said_once(odd: Path, tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Up to three a sentence each; of more how many they are, three folders, and why of the first."""
    for more in range(2, 6):
        land(tmp_path / "runs", [make_row(cell=f"{more:016x}", seed=more, model="gan", value=-3.0)])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            load.results_below([tmp_path / "runs"], [tmp_path / "runs"])
        texts = [str(own.message) for own in said if own.category is SkippedWarning]
        if more < 4:
            assert len(texts) == more
        else:
            (text,) = texts
            assert text.startswith(f"left out: {more} records with a number that cannot be: {tmp_path}")
            assert text.count("/gan/") == 5  # the first one again, with what is wrong and the way out
            assert f"and {more - 3} more (benchbench verify names all); of the first, " in text
            assert "fd_efficientnet_lite0 is -3, and cannot be below 0" in text


def test_asked_for_by_name_it_is_refused(odd: Path) -> None:
    """Its own folder named is a wish that cannot be met: exit code 2, by every verb that shows it."""
    for arguments in (
        ["leaderboard", str(odd)],
        ["report", str(odd), "--output", str(odd.parent / "report.html")],
        ["export", str(odd), "--to", "csv", "--out", str(odd.parent / "out")],
    ):
        error = CliRunner().invoke(cli, arguments).exception
        assert isinstance(error, InputError), arguments
        assert error.exit_code == 2
        assert "row 2: fd_efficientnet_lite0 is -3, and cannot be below 0" in str(error)
    assert not (odd.parent / "out").exists()


def test_an_export_leaves_it_out(odd: Path, tmp_path: Path) -> None:
    """Tables hold the others; where there are no others nothing is made."""
    with pytest.warns(SkippedWarning, match=WHY):
        out = benchbench.export(tmp_path / "runs", to="csv", out=tmp_path / "out")
    assert pd.read_csv(out / "metrics.csv")["cell"].tolist() == [SOUND]
    with pytest.warns(SkippedWarning, match=WHY), pytest.raises(InputError, match=r"no record in .* is left"):
        benchbench.export(tmp_path / "runs" / "digits" / "gan", to="csv", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_is_judged_is_whole(odd: Path, tmp_path: Path) -> None:
    """A table for whoever computes with it, a comparison and a gate lack no record: they say what is wrong."""
    for ask in (
        lambda: benchbench.load_results(tmp_path / "runs"),
        lambda: benchbench.compare(str(tmp_path / "runs"), str(tmp_path / "runs")),
        lambda: benchbench.check(tmp_path / "runs", baseline=tmp_path / "runs"),
    ):
        with pytest.raises(InputError, match=WHY):
            ask()
