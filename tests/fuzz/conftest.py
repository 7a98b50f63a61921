"""Fuzz tests run twice: with a share of the damaged files among the fast tests, with all of them among the slow."""

from __future__ import annotations

import harness
import pytest


@pytest.fixture(
    params=[pytest.param(20, id="share"), pytest.param(1, id="all", marks=pytest.mark.slow)],
)
def every(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads every so-many-th of the damaged files."""
    monkeypatch.setattr(harness, "EVERY", request.param)
