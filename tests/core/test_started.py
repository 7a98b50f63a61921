"""What the environment of a process says of the job that it belongs to."""

from __future__ import annotations

import pytest

from benchbench.core.errors import InputError
from benchbench.core.processes import patience
from benchbench.core.started import Started, speaks, started

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


def say(monkeypatch: pytest.MonkeyPatch, **said: str) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)


def test_a_process_alone() -> None:
    """Nobody said anything."""
    assert started() is None
    assert speaks()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (TORCHRUN, Started(5, 8, 1, 4)),
        (TORCHRUN | {"WORLD_SIZE": "1"}, None),
        (TORCHRUN | {"RANK": ""}, None),
    ],
)
def test_what_torchrun_says(
    said: dict[str, str], expected: Started | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 5 of 8 on two machines; a job of one; a scheduler that says how many processes there are and not which."""
    say(monkeypatch, **said)
    assert started() == expected
    assert speaks() == (expected is None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"MASTER_PORT": ""},
        {"RANK": "8"},
        {"RANK": "-1"},
        {"WORLD_SIZE": "eight"},
        {"WORLD_SIZE": "9" * 5000},
        {"LOCAL_RANK": "4"},
        {"LOCAL_WORLD_SIZE": "9"},
    ],
)
def test_half_of_it_is_an_error(wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that names torchrun, of any length of nonsense."""
    say(monkeypatch, **TORCHRUN | wrong)
    with pytest.raises(InputError, match="torchrun") as caught:
        started()
    assert len(str(caught.value)) < 500


def test_how_long_a_rank_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour, or as the environment says."""
    assert patience() == 1800
    monkeypatch.setenv("BENCHBENCH_RANK_TIMEOUT", " 90 ")
    assert patience() == 90
    for wrong in ("0", "-5", "soon", "inf", "nan"):
        monkeypatch.setenv("BENCHBENCH_RANK_TIMEOUT", wrong)
        with pytest.raises(InputError, match="BENCHBENCH_RANK_TIMEOUT"):
            patience()
