"""Shared by all tests: one torch thread a worker, and no test ever writes into the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported: xdist runs one worker a core, and threads of several workers fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["BENCHBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, if this machine has one; tests that need it skip where it is absent."""
    for candidate in (os.environ.get("BENCHBENCH_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no real data at hand (set BENCHBENCH_DATA)")
