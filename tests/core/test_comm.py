"""Who takes which images, and how the ranks speak with each other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranks import ThreadComm, on_ranks

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError, MetricFailed


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
