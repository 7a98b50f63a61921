"""k-th neighbours: against all distances in float64, across tiles, with duplicates, ties and tight clusters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.numerics import neighbours
from benchbench.metrics.numerics.neighbours import (
    Merged,
    Side,
    count_within,
    kth_neighbour,
    lower_bounds,
    mean_row,
    merged_kth_neighbour,
)


def gaussian(seed: int, n: int, d: int, scale: float = 1.0, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + offset


def clusters(seed: int, n: int, d: int, spread: float) -> Tensor:
    """Four far-apart centres with tight points around them: float32 products cannot order these."""
    centres = gaussian(seed, 4, d, scale=10.0)
    return centres[torch.arange(n) % 4] + gaussian(seed + 1, n, d, scale=spread)


def brute_force(x: Tensor, k: int, y: Tensor | None = None) -> np.ndarray:
    """SciPy's distances (from differences, float64), self left out by its position, sorted."""
    distances = cdist(x.double().numpy(), (x if y is None else y).double().numpy())
    if y is None:
        np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, k - 1]


@pytest.fixture(params=[16, 768])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Small tiles, so that little sets cross many of them; and the real ones."""
    monkeypatch.setattr(neighbours, "_TILE", request.param)
    return request.param


CASES = {
    "spread": gaussian(0, 100, 8),
    "far from the origin": gaussian(0, 100, 8, offset=1000.0),
    "high-dimensional": gaussian(0, 60, 700),
    "duplicates": gaussian(0, 40, 5).repeat(2, 1)[:70],
    "all equal": torch.ones(50, 6),
    "on a grid, full of ties": torch.cartesian_prod(*[torch.arange(4.0)] * 3),
    "tight clusters": clusters(0, 90, 16, 1e-4),
    "tiny": gaussian(0, 60, 4, scale=1e-22),
    "float64": gaussian(0, 60, 4).double() + 1e-12,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("k", [1, 5])
def test_distances_are_the_exact_ones(name: str, k: int, tile: int) -> None:
    """Oracle: SciPy's float64 distances. Both are roots of float64 sums of squares: 1e-12 relative; equal
    rows are exactly 0 in both."""
    x = CASES[name]
    distance, index = kth_neighbour(x, k)
    np.testing.assert_allclose(distance.numpy(), brute_force(x, k), rtol=1e-12, atol=0)
    named = (x.double() - x[index].double()).square().sum(1).sqrt()
    np.testing.assert_allclose(named.numpy(), distance.numpy(), rtol=1e-12, atol=0)
    if len(x.unique(dim=0)) == len(x):
        assert (index != torch.arange(len(x))).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_neighbours_of_some_rows(name: str, share: float, tile: int) -> None:
    """Of a few rows, and of so many that all are sought: what is said of all of them, to the last bit, since both are
    the same float64 sums."""
    merged = Merged.of(CASES[name])
    rows = torch.randperm(len(merged.rows), generator=torch.Generator().manual_seed(1))
    rows = rows[: max(1, int(share * len(rows)))]
    of_all, of_some = merged_kth_neighbour(merged, 3), merged_kth_neighbour(merged, 3, rows=rows)
    assert torch.equal(of_some[0][rows], of_all[0][rows])


@pytest.mark.parametrize("name", CASES)
def test_counts_within_a_distance(name: str, tile: int) -> None:
    """Oracle: SciPy's float64 distances. The threshold is one that occurs, and it counts; beyond it is the next one,
    unless that agrees with it to 1e-12, which is a tie. At 0 there are duplicates alone."""
    x = CASES[name]
    distances = cdist(x.double().numpy(), x.double().numpy())
    for threshold in (0.0, float(np.median(distances)), float(distances.max())):
        expected = (distances <= threshold * (1 + 1e-12)).sum(1) - 1
        assert count_within(x, threshold).tolist() == expected.tolist()


@pytest.mark.parametrize("name", CASES)
def test_neighbours_in_another_set(name: str, tile: int) -> None:
    """Oracle and tolerance as above; a point that is in both sets is its own nearest neighbour at 0."""
    x = CASES[name]
    y = torch.cat([x[:20], x[:50] * 0.9 + 0.01 * x.abs().max()])
    distance, index = kth_neighbour(x, 2, y)
    np.testing.assert_allclose(distance.numpy(), brute_force(x, 2, y), rtol=1e-12, atol=0)
    assert (kth_neighbour(x, 1, y)[0][:20] == 0).all()
    assert int(index.max()) < len(y)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(1, 300),
    st.sampled_from([1e-3, 1.0, 1e3]),
    st.sampled_from([0.0, 30.0]),
)
def test_bounds_enclose_the_distance(seed: int, d: int, scale: float, offset: float) -> None:
    """Property: for any features the float32 bounds hold the float64 distance between them. Oracle: SciPy."""
    x = gaussian(seed, 20, d, scale, offset * scale)
    side = Side.of(x, mean_row(x), torch.float32)
    low = lower_bounds(side, side)
    high = low + side.slack[:, None] + side.slack
    exact = cdist(x.double().numpy(), x.double().numpy(), "sqeuclidean")
    assert (low.double().numpy() <= exact).all()
    assert (high.double().numpy() >= exact).all()


def test_tight_clusters_do_need_the_float64_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the test above: on tight clusters the float32 pass leaves rows open, on spread-out points none."""
    asked: list[torch.dtype] = []
    make = Side.of.__func__  # type: ignore[attr-defined]

    def of(rows: Tensor, centre: Tensor, dtype: torch.dtype) -> Side:
        asked.append(dtype)
        return make(Side, rows, centre, dtype)

    monkeypatch.setattr(Side, "of", of)
    kth_neighbour(CASES["spread"], 5)
    assert asked == [torch.float32]
    kth_neighbour(CASES["tight clusters"], 5)
    assert torch.float64 in asked


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_permutation_and_rotation(seed: int) -> None:
    """Distances follow a permutation of the points and do not change under an orthogonal map; in float64
    features the map itself rounds at 1e-15."""
    x = gaussian(seed, 40, 6).double()
    distance = kth_neighbour(x, 3)[0]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(kth_neighbour(x[order], 3)[0], distance[order], rtol=1e-12, atol=0)
    rotation = torch.linalg.qr(gaussian(seed + 1, 6, 6).double())[0]
    torch.testing.assert_close(kth_neighbour(x @ rotation, 3)[0], distance, rtol=1e-12, atol=0)


def test_reduced_precision_products_are_switched_off_and_on_again() -> None:
    """A user's setting survives, and does not change the answer: exactly the same tensor comes out."""
    expected = kth_neighbour(CASES["spread"], 3)[0]
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(kth_neighbour(CASES["spread"], 3)[0], expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_what_cannot_be_searched() -> None:
    """Too few points, NaN, features of different length, and numbers whose squares overflow float32."""
    with pytest.raises(MetricFailed, match="at least 6"):
        kth_neighbour(gaussian(0, 5, 3), 5)
    bad = gaussian(0, 10, 3)
    bad[2, 1] = float("nan")
    with pytest.raises(MetricFailed, match="NaN"):
        kth_neighbour(bad)
    with pytest.raises(InputError, match="3 and 4 dimensions"):
        kth_neighbour(gaussian(0, 5, 3), 1, gaussian(0, 5, 4))
    with pytest.raises(MetricFailed, match="too large"):
        kth_neighbour(gaussian(0, 10, 3, scale=1e30))
