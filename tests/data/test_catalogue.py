"""Datasets by name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from benchbench.core.errors import InputError
from benchbench.core.progress import Progress
from benchbench.core.registry import DATASETS
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests


def test_every_registered_source_describes_itself() -> None:
    """What lists show, what papers must cite, under what terms."""
    items = DATASETS.items()
    assert {"digits", "openmoji", "mnist", "cifar10"} <= {name for name, _ in items}
    for name, source in items:
        assert (source.__doc__ or "").splitlines()[0].endswith("."), name
        assert source.reference, name
        assert source.licence, name


@pytest.mark.parametrize("spec", ["digit", "folders:/tmp", "", "cifar"])
def test_unknown_names(spec: str) -> None:
    """The known names and both ways to bring one's own images."""
    with pytest.raises(InputError, match=r"unknown dataset .*digits.*folder:PATH.*parquet:PATH"):
        load_dataset(spec)


@pytest.mark.parametrize("spec", ["folder:", "parquet:"])
def test_missing_path(spec: str) -> None:
    """Not the current directory by accident."""
    with pytest.raises(InputError, match="lacks the path"):
        load_dataset(spec)


@pytest.mark.parametrize("size", [0, -3, 5000])
def test_impossible_sizes(size: int) -> None:
    """Refused before anything is read."""
    with pytest.raises(InputError, match=f"size {size} is not a side in pixels"):
        load_dataset("digits", size=size)


class Blobs:
    """Four grey squares."""

    reference: ClassVar[str] = "none"
    licence: ClassVar[str] = "CC0"

    def load(self, size: int | None, progress: Progress) -> Dataset:
        """As the catalogue's docstring shows."""
        side = size or 8
        images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 3, side, side), np.uint8)
        return assemble(
            "blobs", [Decoded(images, pixel_digests(images), {})], [None], source={"kind": "made"}
        )


def test_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class from another package, through the entry-point group, in the way the docstring promises."""
    module = ModuleType("blobs_plugin")
    module.Blobs = Blobs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "blobs_plugin", module)
    entry = EntryPoint(name="blobs", value="blobs_plugin:Blobs", group="benchbench.datasets")
    monkeypatch.setattr("benchbench.core.registry.entry_points", lambda group: [entry])
    dataset = load_dataset("blobs", size=5)
    assert dataset.train.images.shape == (2, 3, 5, 5)
    assert dataset.classes == ()
    assert dataset.train.labels is None
