"""Rows and cells for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows

OK = Row(
    cell="00112233aabbccdd",
    model="vae",
    variant="",
    dataset="digits",
    task="generation",
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
            changes = {"status": "failed", "reason": "too few images", "low": None, "high": None} | changes
        return replace(OK, **changes)

    return make


@pytest.fixture(scope="session")
def land() -> Callable[..., Path]:
    """Write a cell that holds `rows` into the store at `root`; returns its folder."""

    def write(root: Path, rows: list[Row], run: dict[str, Any] | None = None) -> Path:
        first, store = rows[0], Store(root)
        with store.write(first.dataset, first.model, first.cell, run if run is not None else {}) as folder:
            write_rows(folder / "metrics.csv", rows)
        return store.cell_dir(first.dataset, first.model, first.cell)

    return write
