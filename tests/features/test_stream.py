"""A million feature vectors leave no trace but their moments."""

from __future__ import annotations

import pytest
from stream import BATCH, distance_to_truth, resident_mebibytes, stream

D = 256


@pytest.mark.slow
def test_memory_is_flat_over_a_million() -> None:
    """From 100,000 to 1,000,000 vectors of 256 numbers the process may grow by what its allocator keeps of eight
    batches in float64, 64 MiB; the 900,000 vectors alone would take 879.

    The outcome is checked too: FD to N(0, I) itself is d/n + d(d + 1)/4n = 0.0167 in expectation
    (`metrics.sets.frechet`), and its spread is about √2/d of that, 0.6%; 5% is eight of those.
    """
    early = 0.0
    for moments in stream(1_000_000, D):
        if moments.n >= 100_000 and not early:
            early = resident_mebibytes()
    growth = resident_mebibytes() - early
    assert growth <= 8 * BATCH * D * 8 / 2**20
    distance, expected = distance_to_truth(moments)
    assert distance == pytest.approx(expected, rel=0.05)
