"""What is computed of all pairs of images, its tiles dealt out over ranks: what one process finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ranks import on_ranks

from benchbench.core.comm import Comm, shared_by
from benchbench.metrics.numerics import gram, neighbours
from benchbench.metrics.numerics.neighbours import count_within, kth_neighbour
from benchbench.metrics.sets.kernel import Subsets, kernel_distance
from benchbench.metrics.sets.prdc import overlap
from benchbench.metrics.sets.probabilistic import supports
from benchbench.metrics.sets.rke import rke


def sets() -> tuple[torch.Tensor, torch.Tensor]:
    """Of two Gaussians, with rows that are twice in a set and rows that are in both."""
    rng = torch.Generator().manual_seed(0)  # ranks are threads here, which share torch's own
    x, y = torch.randn(90, 5, generator=rng), torch.randn(70, 5, generator=rng) + 0.3
    x[:3], y[:4], y[10] = x[50], x[4:8], y[11]
    return x, y


def found() -> dict[str, Any]:
    """All that is dealt out, of these sets."""
    x, y = sets()
    kernel = kernel_distance(x, y, Subsets.draw(90, 70, subsets=4, size=20))
    near = overlap(x, y, k=3, halves=True)
    of_both = supports(x, y, halves=True)
    assert near.halves is not None
    assert of_both.halves is not None
    return {
        "mmd": [kernel.value, kernel.standard_error, kernel.biased, *kernel.subsets.tolist()],
        "float64": kernel_distance(x.double(), y.double()).value,
        "halves": near.halves.flatten().tolist(),
        "balls": near.balls.tolist(),
        "sides": near.recalled.tolist() + near.covered.tolist() + near.holding.tolist(),
        "clipped": near.clipped.tolist() + near.own.tolist() + near.filled.tolist(),
        "rke": rke(x),
        "supports": torch.cat([of_both.fake, of_both.real, of_both.halves.flatten()]).tolist(),
        "own": kth_neighbour(x, 2)[0].tolist(),
        "other": kth_neighbour(x, 1, y)[0].tolist(),
        "within": count_within(x, 0.5).tolist(),
    }


@pytest.mark.parametrize("size", [2, 3, 7])
def test_tiles_of_several_ranks(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 16 rows, so that each rank has some, and of seven ranks one has none of a kind. Whole numbers and
    distances are equal, as each is computed on one rank; sums in float64 come in another order, hence 1e-12 of their
    size, those in float32 (`supports`) 1e-5; every rank has the same."""
    for module, names in ((neighbours, ("_TILE", "_WIDE")), (gram, ("HEIGHT", "WIDTH"))):
        for name in names:
            monkeypatch.setattr(module, name, 16)
    expected = found()

    def work(comm: Comm) -> dict[str, Any]:
        with shared_by(comm):
            return found()

    first, *others = on_ranks(size, work)
    assert all(other == first for other in others)
    for name, value in expected.items():
        close = {"mmd": 1e-12, "float64": 1e-12, "rke": 1e-12, "supports": 1e-5}.get(name)
        assert first[name] == (pytest.approx(value, rel=close, abs=close / 100) if close else value)


def test_who_does_not_share_computes_alone() -> None:
    """Outside of `shared_by`, and in what one rank makes for all, nobody waits for others."""

    def work(comm: Comm) -> list[Any]:
        with shared_by(comm):
            return [comm.first(lambda: count_within(sets()[0], 0.5).tolist()), comm.rank]

    alone = count_within(sets()[0], 0.5).tolist()
    assert on_ranks(2, work) == [[alone, 0], [alone, 1]]
