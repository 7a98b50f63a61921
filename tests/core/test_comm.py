"""Who takes which images, and how the ranks speak with each other."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranks import ThreadComm, on_ranks

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError, MetricFailed, RankLost


@given(st.integers(0, 200), st.integers(1, 9))
def test_every_image_is_one_ranks(n: int, size: int) -> None:
    """The shards, one behind the other, are all images in their order; no two differ by more than one in length."""
    shards = []
    for rank in range(size):
        comm = ThreadComm.__new__(ThreadComm)
        comm.rank, comm.size = rank, size
        shards.append(comm.shard(n))
    assert [i for shard in shards for i in shard] == list(range(n))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_alone_is_everybody() -> None:
    """One process takes all, and what it found is the whole."""
    assert ALONE.shard(5) == range(5)
    assert ALONE.gather("x") == ["x"]
    assert ALONE.first(lambda: 3) == 3
    assert ALONE.together(lambda: 4) == 4
    assert torch.equal(ALONE.rows(torch.eye(2)), torch.eye(2))


def test_rows_are_in_the_order_of_images() -> None:
    """Seven rows over three ranks come back whole on each of them; of one row two ranks have none."""
    for n in (7, 1):
        rows = torch.arange(2 * n).reshape(n, 2)

        def work(comm: Comm, rows: torch.Tensor = rows) -> torch.Tensor:
            shard = comm.shard(len(rows))
            return comm.rows(rows[shard.start : shard.stop])

        assert all(torch.equal(found, rows) for found in on_ranks(3, work))


def test_rank_0_measures_for_all() -> None:
    """`make` runs once, on rank 0."""
    made: list[int] = []

    def work(comm: Comm) -> str:
        return comm.first(lambda: made.append(comm.rank) or "measured")  # type: ignore[func-returns-value]

    assert on_ranks(3, work) == ["measured"] * 3
    assert made == [0]


@pytest.mark.parametrize(
    "error", [InputError("no such file"), MetricFailed("not finite", status="unavailable")]
)
def test_a_failure_is_everybodys(error: Exception) -> None:
    """What goes wrong on rank 1 is raised on each, with all that it says: nobody waits for a rank that has left."""

    def work(comm: Comm) -> str:
        def fails_on_1() -> str:
            if comm.rank == 1:
                raise error
            return "well"

        with pytest.raises(type(error), match=str(error)) as caught:
            comm.together(fails_on_1)
        return str(vars(caught.value))

    assert on_ranks(3, work) == [str(vars(error))] * 3


def test_a_rank_that_fails_ends_work_in_which_others_meet() -> None:
    """Rank 1 fails before a meeting to which the others come: its error is raised there; and all can go on."""

    def work(comm: Comm) -> list[str]:
        with pytest.raises(InputError, match="no such file"), comm.in_step():
            if comm.rank == 1:
                raise InputError("no such file")
            comm.gather("mine")
        return comm.gather(f"rank {comm.rank}")

    assert on_ranks(3, work) == [["rank 0", "rank 1", "rank 2"]] * 3


def test_ranks_that_do_different_things_do_not_go_on() -> None:
    """One has ended its work while another meets in it: no answer is taken for another one's."""

    def work(comm: Comm) -> str:
        with pytest.raises(RankLost, match="not at the same place") as caught, comm.in_step():
            if comm.rank == 0:
                comm.gather(1)
        return str(caught.value)

    assert len(set(on_ranks(2, work))) == 1


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    """One that holds a lock cannot be pickled."""

    class OddError(Exception):
        def __init__(self) -> None:
            super().__init__("odd")
            self.lock = threading.Lock()

    def work(comm: Comm) -> str:
        def fails() -> None:
            if comm.rank:
                raise OddError

        with pytest.raises(Exception, match="odd") as caught:
            comm.together(fails)
        return type(caught.value).__name__

    assert on_ranks(2, work) == ["CellFailed", "CellFailed"]


def test_what_must_agree() -> None:
    """The ranks that differ from the first one are named, on all of them."""

    def work(comm: Comm) -> str:
        comm.agree(["same"])
        with pytest.raises(InputError) as caught:
            comm.agree(comm.rank // 2)
        return str(caught.value)

    (said,) = set(on_ranks(4, work))
    assert said.startswith("ranks 2, 3 of 4 would do other things than rank 0")


def test_the_first_goes_before_the_others() -> None:
    """What rank 0 leaves is there when the others begin."""
    made: list[int] = []
    assert on_ranks(3, lambda comm: comm.first_alone(lambda: made.append(comm.rank) or made[0])) == [0] * 3  # type: ignore[func-returns-value]
    assert made[0] == 0
    assert sorted(made) == [0, 1, 2]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sums_over_ranks(size: int) -> None:
    """The sum of what the ranks have, the same on each; what was handed in stays."""

    def work(comm: Comm) -> list[list[float]]:
        mine = torch.tensor([1.0, comm.rank])
        return [comm.total(mine).tolist(), comm.summed(mine).tolist(), mine.tolist()]

    whole = [float(size), sum(range(size))]
    assert on_ranks(size, work) == [[whole, whole, [1.0, rank]] for rank in range(size)]
