"""Records that keep their images one by one, written without a model."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from studies import Make, noise, png, write_folder

from benchbench.core.hashing import digest
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows


@pytest.fixture
def keep(make_row: Callable[..., Row], tmp_path: Path) -> Make:
    """Write a record below `runs` that keeps images of noise, `samples.npz` or, with names, `outputs.zip`."""

    def write(
        model: str,
        n: int = 12,
        *,
        seed: int = 0,
        variant: str = "",
        dataset: str = "digits",
        task: str = "generation",
        side: int = 8,
        labels: Sequence[int] | None = None,
        names: Sequence[str] = (),
        **facts: object,
    ) -> Path:
        key = digest([model, variant, seed, dataset, task])[:16]
        row = make_row(model=model, variant=variant, seed=seed, cell=key, dataset=dataset, task=task)
        beside = make_row(
            model=model, variant=variant, seed=seed, cell=key, dataset=dataset, task="reconstruction"
        )
        images = noise(int(key[:6], 16), n, side)
        with Store(tmp_path / "runs").write(dataset, model, key, RunFacts(seed=seed, **facts)) as folder:  # type: ignore[arg-type]
            write_rows(folder / "metrics.csv", [beside, row])
            if names:
                with zipfile.ZipFile(folder / "outputs.zip", "w") as archive:
                    for name, own in zip(names, images, strict=True):
                        archive.writestr(name, png(own))
            elif n:
                arrays = {"images": images} | ({} if labels is None else {"labels": np.array(labels)})
                np.savez(folder / "samples.npz", **arrays)  # type: ignore[arg-type]
        return tmp_path / "runs" / dataset / model / key

    return write


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder of 12 real images."""
    return write_folder(tmp_path / "real", noise(99, 12))
