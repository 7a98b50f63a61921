"""The fuzz tests themselves: their files are damaged, the same each time, and no fault passes them by."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from harness import faults
from mutations import BINARY, TEXT, Mutation, mutations

from benchbench.core.errors import InputError

HUGE = 3 * 2**30


@pytest.mark.parametrize("mutators", [BINARY, TEXT], ids=["binary", "text"])
def test_the_same_seed_damages_in_the_same_way(mutators) -> None:
    """By the definition: seeded. Another seed damages otherwise, and nearly every copy differs from the original."""
    content = b'{"a": 1, "b": [2.5, "x"]}\n' * 20
    one, again, other = (list(mutations(content, 100, seed, mutators)) for seed in (0, 0, 1))
    assert one == again
    assert one != other
    assert sum(damaged != content for _, damaged in one) > 90


def misbehave(path: Path) -> None:
    """Does what its file says."""
    word = path.read_text()
    if word == "raise":
        raise ValueError("a traceback")
    if word == "grow":
        bytearray(HUGE)
    if word == "hang":
        time.sleep(60)
    if word == "die":
        os._exit(1)
    if word == "refuse":
        raise InputError("no such file; give another")
    if word == "mumble":
        raise InputError("")


@pytest.mark.costly
def test_no_fault_passes_by(tmp_path: Path) -> None:
    """By the definition: whatever is no plain refusal is a fault, and after each the others are still read."""
    words = ("raise", "fine", "hang", "grow", "refuse", "die", "mumble")
    damaged = [Mutation(word, word.encode()) for word in words]
    found = faults(misbehave, tmp_path / "x", damaged, seconds=2)
    assert [text.partition(":")[0] for text in found] == ["raise", "hang", "grow", "die", "mumble"]
    assert "a traceback" in found[0]
    assert "hung for 2 s" in found[1]
    assert "MemoryError" in found[2]
