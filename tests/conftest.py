"""Shared by all tests: one torch thread a worker, and no test ever writes into the user's cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows

# Before torch is imported: xdist runs one worker a core, and threads of several workers fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One for all workers: what a network says of a dataset is computed once."""
    of_worker = tmp_path_factory.getbasetemp()
    root = of_worker.parent if "PYTEST_XDIST_WORKER" in os.environ else of_worker
    os.environ["BENCHBENCH_CACHE"] = str(root / "cache")


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that only this test uses."""
    folder = tmp_path_factory.mktemp("own_cache")
    monkeypatch.setenv("BENCHBENCH_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def _short_speeds() -> Iterator[None]:
    """Rates of one repeat each in place of fifty and half a second of them, in every run of every test: none asks how
    fast this machine is. Where nothing that was collected imports torch, nothing is timed."""
    with pytest.MonkeyPatch.context() as patch:
        if (speed := sys.modules.get("benchbench.tasks.speed")) is not None:
            for name, less in (("LATENCY_REPEATS", 1), ("REPEATS", 1), ("SHORTEST", 0.0)):
                patch.setattr(speed, name, less)
        yield


@pytest.fixture
def small_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates of restoration are of an image of 16×16: for tests that do not ask how fast anything is."""
    monkeypatch.setattr("benchbench.tasks.restoration.restoration.SPEED_SIDE", 16)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, if this machine has one; tests that need it skip where it is absent."""
    for candidate in (os.environ.get("BENCHBENCH_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("no real data at hand (set BENCHBENCH_DATA)")


OK = Row(
    cell="00112233aabbccdd",
    model="vae",
    variant="",
    dataset="digits",
    task="generation",
    direction="",
    seed=0,
    metric="fd_efficientnet_lite0",
    aspect="quality",
    value=12.5,
    low=11.0,
    high=14.0,
    interval="95% bootstrap",
    unit="",
    higher_is_better=False,
    n_images=1000,
    n_reference=1437,
    extractor="efficientnet_lite0",
    resize="bicubic-antialias-128",
    precision="float32",
    status="ok",
    reason=None,
    metric_version=1,
)


@pytest.fixture(scope="session")
def make_row() -> Callable[..., Row]:
    """A plain row with the given fields changed; `value=None` makes it a failed one."""

    def make(**changes: Any) -> Row:
        if changes.get("value", 0) is None:
            nothing = {"low": None, "high": None, "interval": None}
            changes = {"status": "failed", "reason": "too few images"} | nothing | changes
        return replace(OK, **changes)

    return make


@pytest.fixture(scope="session")
def land() -> Callable[..., Path]:
    """Write a cell that holds `rows` into the store at `root`; returns its folder."""

    def write(root: Path, rows: list[Row], run: dict[str, Any] | None = None) -> Path:
        first, store = rows[0], Store(root)
        with store.write(first.dataset, first.model, first.cell, RunFacts(**(run or {}))) as folder:
            write_rows(folder / "metrics.csv", rows)
        return store.cell_dir(first.dataset, first.model, first.cell)

    return write
