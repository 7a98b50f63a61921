"""What `benchmarks/scaling.py` makes of its constants: by hand."""

from __future__ import annotations

import pytest
from scaling import KEPT, Constants, D, cost

AT = Constants(
    decode=1e-3, network=1e-2, moments=1e-4, merge=1e-2, distance=2.0, kernel=1e-8, neighbours=3e-8, link=1e9
)
MOMENTS = 8 * (D * D + D)


def test_fid_is_what_is_dealt_out_and_one_distance() -> None:
    """1,000 images on four ranks: the network's 2.5 s hide the decoding, then moments, their merging and the distance;
    three other ranks send theirs."""
    found = cost("FID", 1000, ranks=4, cores=2, at=AT)
    assert found.received == 3 * MOMENTS
    assert found.seconds == pytest.approx(2.5 + 0.025 + 0.03 + 2.0 + 3 * MOMENTS / 1e9)
    assert found.held == 3 * MOMENTS + 1000 * KEPT


def test_decoding_counts_where_it_is_slower() -> None:
    """With one core that takes 0.02 s an image beside a network of 0.01 s, by definition of the maximum."""
    slow = Constants(**{**vars(AT), "decode": 0.02})
    assert cost("FID", 100, 1, 1, slow).seconds == pytest.approx(2.0 + 0.01 + 2.0)


@pytest.mark.parametrize(("metric", "pair"), [("KID", AT.kernel), ("PRDC", AT.neighbours)])
def test_pairs_grow_with_the_square(metric: str, pair: float) -> None:
    """N² pairs over the ranks; features of both sides are held, those of the others received."""
    found = cost(metric, 10_000, ranks=2, cores=8, at=AT)
    assert found.parts["pairs"] == pytest.approx(1e8 * pair / 2)
    assert found.received == MOMENTS + 4 * 10_000 * D / 2
    assert found.held == 3 * MOMENTS + 10_000 * KEPT + 8 * 10_000 * D
