"""What a pass over images keeps of each of them: `benchmarks/million.py` with more and with fewer of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/million.py"
STATED = 100
"""Bytes an image: a digest (32, and an eighth for its room to grow), 8 for the size, 36 for the fingerprint while it is
made, and what the allocator holds back of them."""
MARGIN = 4 * 2**20
"""Bytes by which two peaks of one process differ anyway."""


@pytest.mark.costly
def test_memory_of_many_images() -> None:
    """180,000 images more, of 192 bytes as pixels and 64 as features: the peak grows by no more than `STATED` says, so
    a million images take 100 MB. Distances are of noise to its own moments, and fall with 1/N."""
    peaks, distances = [], []
    for n in (20_000, 200_000):
        said = subprocess.run(
            [sys.executable, str(SCRIPT), "--images", str(n)], capture_output=True, text=True, check=True
        ).stdout
        peaks.append(int(re.findall(r"images: (\d+) bytes", said)[0]))
        distances.append(float(re.findall(r"FD ([\d.e-]+)", said)[0]))
    assert peaks[1] - peaks[0] < STATED * 180_000 + MARGIN
    assert distances[1] < distances[0] / 3
