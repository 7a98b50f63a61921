"""Moments against numpy.cov in float64, and against themselves in other orders, shards and batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments


def features(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equal_to_numpy_cov() -> None:
    """numpy.cov (two passes, float64) is the oracle; 1e-12 is some 1000 roundings of values near 1."""
    x = features(257, 13)
    moments = Moments.zeros(13)
    for batch in x.split(10):
        moments.update(batch)
    assert moments.n == 257
    np.testing.assert_allclose(moments.mean.numpy(), x.numpy().mean(axis=0), atol=1e-12, rtol=0)
    np.testing.assert_allclose(
        moments.covariance.numpy(), np.cov(x.numpy(), rowvar=False), atol=1e-12, rtol=0
    )


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 60),
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 60),
    cut=st.floats(0, 1),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_order_shards_and_batches_change_nothing(
    n: int, seed: int, batch: int, cut: float, scale: float
) -> None:
    """Sums over a set do not depend on its order or partition; 1e-11 relative to the scale is rounding."""
    x = features(n, 4, seed) * scale + scale
    whole = Moments.of(x)
    shuffled = x[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    k = round(cut * n)
    left, right = Moments.zeros(4), Moments.zeros(4)
    for moments, part in ((left, shuffled[:k]), (right, shuffled[k:])):
        for rows in part.split(batch):
            moments.update(rows)
    left.merge(right)
    assert left.n == n
    torch.testing.assert_close(left.mean, whole.mean, atol=1e-11 * scale, rtol=0)
    torch.testing.assert_close(left.m2, whole.m2, atol=1e-11 * n * scale**2, rtol=0)


def test_large_offset() -> None:
    """Mean 1e6, spread 1: raw float32 second moments near 1e12 have a step of 65536 and lose the variance.

    The features are float32 numbers, so numpy.cov on their float64 copies is exact to 1e-8 here: deviations
    from a mean of 1e6 carry an error of 1e6 · 2⁻⁵³ = 1e-10.
    """
    x = (features(500, 3) + 1e6).float()
    exact = np.cov(x.double().numpy(), rowvar=False)
    moments = Moments.zeros(3)
    for batch in x.split(7):
        moments.update(batch)
    np.testing.assert_allclose(moments.covariance.numpy(), exact, atol=1e-8)

    naive = (x.T @ x - len(x) * torch.outer(x.mean(0), x.mean(0))) / (len(x) - 1)
    assert (naive - torch.from_numpy(exact)).abs().max() > 1, "the trap this class avoids is gone"


def test_memory_does_not_grow() -> None:
    """8 D² + 8 D bytes from the definition, before and after a stream of 200 batches."""
    moments = Moments.zeros(16)

    def size() -> int:
        return sum(
            t.untyped_storage().nbytes() for t in vars(moments).values() if isinstance(t, torch.Tensor)
        )

    before = size()
    for seed in range(200):
        moments.update(features(8, 16, seed))
    assert before == size() == 8 * 16 * 16 + 8 * 16
    assert set(vars(moments)) == {"n", "mean", "m2"}, "nothing else may accumulate"
    assert moments.n == 1600


def test_merge_with_itself_and_with_nothing() -> None:
    """Each vector twice: same mean, twice the m2 (exactly: the shift between equal means is 0)."""
    moments, once = Moments.of(features(9, 3)), Moments.of(features(9, 3))
    moments.merge(moments)
    assert moments.n == 18
    torch.testing.assert_close(moments.m2, 2 * once.m2, atol=0, rtol=0)
    moments.merge(Moments.zeros(3))
    moments.update(torch.empty(0, 3))
    assert moments.n == 18


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_finite_is_refused_and_leaves_no_trace(bad: float) -> None:
    """A NaN would spoil every later number: the sentence counts them, and the moments stay as they were."""
    x = features(6, 3)
    moments = Moments.of(x)
    mean = moments.mean.clone()
    broken = x.clone()
    broken[2, 1] = broken[4, 0] = bad
    with pytest.raises(MetricFailed, match="2 of 6 feature vectors hold NaN or infinity"):
        moments.update(broken)
    assert moments.n == 6
    assert torch.equal(moments.mean, mean)


@pytest.mark.parametrize("n", [0, 1])
def test_covariance_needs_two(n: int) -> None:
    """n − 1 would be 0 or −1."""
    with pytest.raises(MetricFailed, match="at least 2 images"):
        _ = Moments.of(features(n, 3)).covariance


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.zeros(3, 5), "N×4 but have 3×5"),
        (torch.zeros(4), "N×4 but have 4"),
        (torch.zeros(2, 4, dtype=torch.float16), "float32 or float64 but are float16"),
    ],
)
def test_wrong_features_are_named(x: torch.Tensor, says: str) -> None:
    """The sentence states what was expected and what came."""
    with pytest.raises(InputError, match=says):
        Moments.zeros(4).update(x)
    with pytest.raises(InputError, match="5-dimensional"):
        Moments.zeros(4).merge(Moments.zeros(5))


def test_file_keeps_every_bit(tmp_path: Path) -> None:
    """npz stores float64 as it is: equality, not closeness; nothing but the file is left behind."""
    moments = Moments.of(features(20, 6))
    moments.save(tmp_path / "m.npz")
    again = Moments.load(tmp_path / "m.npz")
    assert again.n == 20
    assert torch.equal(again.mean, moments.mean)
    assert torch.equal(again.m2, moments.m2)
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


GOOD = {"n": np.int64(3), "mean": np.zeros(2), "m2": np.eye(2)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sigma": np.eye(2)}, "arrays are m2, mean, n, sigma"),
        ({"mean": np.zeros(2, np.float32)}, "dtypes are int64, float32"),
        ({"m2": np.eye(3)}, "shapes are"),
        ({"mean": np.array([0, np.nan])}, "NaN"),
        ({"n": np.int64(-1)}, "negative count"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, change: dict[str, np.ndarray], says: str) -> None:
    """pytorch-fid's mu/sigma files and broken ones: one sentence with the file and what is wrong."""
    np.savez(tmp_path / "m.npz", **(GOOD | change))
    with pytest.raises(InputError, match=says):
        Moments.load(tmp_path / "m.npz")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Truncated, no zip, absent, a bare .npy: each is an InputError with the path."""
    Moments.of(features(5, 3)).save(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:100])
    (tmp_path / "text.npz").write_text("no moments here")
    np.save(tmp_path / "bare.npy", np.eye(2))
    for name in ("cut.npz", "text.npz", "absent.npz", "bare.npy"):
        with pytest.raises(InputError, match=name):
            Moments.load(tmp_path / name)
