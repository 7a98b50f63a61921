"""Inception-v3 without its weights says what to fetch; tests/parity holds what it computes to others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchbench.core.errors import MetricFailed
from benchbench.core.registry import EXTRACTORS
from benchbench.features.networks.inception_v3 import (
    WEIGHTS,
    InceptionV3,
    InceptionV3Clean,
    InceptionV3Spatial,
    InceptionV3Torch,
)


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(WEIGHTS.env, raising=False)


@pytest.mark.parametrize("judge", [InceptionV3, InceptionV3Clean, InceptionV3Torch, InceptionV3Spatial])
def test_absent_weights(judge: type[InceptionV3]) -> None:
    """One sentence with the file's name, the command that gets it and the variable; the status is "unavailable"."""
    assert EXTRACTORS.get(judge.name) is judge
    with pytest.raises(MetricFailed, match="run benchbench fetch inception_v3,") as caught:
        judge()
    assert caught.value.status == "unavailable"
    assert "weights-inception-2015-12-05-6726825d.pth" in caught.value.reason
    assert "BENCHBENCH_INCEPTION_WEIGHTS" in caught.value.reason


def test_foreign_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state dict of some other network is refused in a sentence, not in torch's list of 580 keys."""
    torch.save({"w": torch.ones(1)}, tmp_path / "other.pth")
    monkeypatch.setenv(WEIGHTS.env, str(tmp_path / "other.pth"))
    with pytest.raises(MetricFailed, match="another network's") as caught:
        InceptionV3()
    assert len(caught.value.reason) < 300


def test_protocols_have_names_of_their_own() -> None:
    """Three resizes, three names: their distances never share a column."""
    judges = (InceptionV3, InceptionV3Clean, InceptionV3Torch)
    assert len({judge.name for judge in judges}) == len({judge.resize for judge in judges}) == 3
