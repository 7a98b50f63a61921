"""Cells for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows


@pytest.fixture(scope="session")
def land() -> Callable[..., Path]:
    """Write a cell that holds `rows` into the store at `root`; returns its folder."""

    def write(root: Path, rows: list[Row], run: dict[str, Any] | None = None) -> Path:
        first, store = rows[0], Store(root)
        with store.write(first.dataset, first.model, first.cell, RunFacts(**(run or {}))) as folder:
            write_rows(folder / "metrics.csv", rows)
        return store.cell_dir(first.dataset, first.model, first.cell)

    return write
