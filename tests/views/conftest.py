"""Rows for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from benchbench.results.record import Row

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
            nothing = {"low": None, "high": None, "interval": None}
            changes = {"status": "failed", "reason": "too few images"} | nothing | changes
        return replace(OK, **changes)

    return make
