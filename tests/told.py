"""Runs and records that tests tell sinks of."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchbench.results.manifest import Artefact, Provenance, RecipeFacts, RunFacts, Training
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.sinks.sink import NOTHING, LoggedRun, Opened, Status
from benchbench.training.watch.curves import write_curves

KEY = "00112233aabbccdd"
CURVES: list[dict[str, float]] = [
    {"epoch": 0, "step": 5, "loss": 2.5, "lr": 0.1},
    {"epoch": 1, "step": 10, "loss": 1.25, "lr": 0.05, "monitor_distance": 7.0},
    {"epoch": 2, "step": 15, "loss": float("nan"), "lr": 0.0},
]


def a_run(folder: Path, **changes: Any) -> LoggedRun:
    """A run whose sinks may write below `folder`."""
    told: dict[str, Any] = {
        "key": KEY,
        "name": "vae on digits, seed 0",
        "dataset": "digits",
        "place": f"digits/vae/{KEY}",
        "config": {"model": "vae", "hyper": {"width": 16, "betas": [0.5, 0.9]}, "training": {"lr": 0.1}},
        "folder": folder,
        "offline": True,
    }
    return LoggedRun(**{**told, **changes})


def a_picture(colour: tuple[int, int, int] = (255, 0, 0), size: tuple[int, int] = (6, 4)) -> bytes:
    """A PNG file of one colour."""
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, format="PNG")
    return content.getvalue()


class Remembers:
    """A sink that keeps what it is told. has: the step up to which it says that it has the curves. breaks: the method
    that raises."""

    def __init__(self, has: int = NOTHING, breaks: str = "") -> None:
        self.has, self.breaks = has, breaks
        self.told: list[tuple[Any, ...]] = []

    def _keep(self, what: str, *told: Any) -> None:
        self.told.append((what, *told))
        if what == self.breaks:
            raise OSError(28, "No space left on device")

    def open(self, run: LoggedRun) -> Opened:
        self._keep("open", run)
        return Opened(self.has, "memory")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._keep("scalars", step, dict(values))

    def image(self, step: int, name: str, png: bytes) -> None:
        self._keep("image", step, name, png)

    def numbers(self, step: int, rows: Sequence[Row]) -> None:
        self._keep("numbers", step, list(rows))

    def close(self, status: Status) -> None:
        self._keep("close", status)

    def steps(self, what: str = "scalars") -> list[int]:
        """Of all that it was told of a kind."""
        return [told[1] for told in self.told if told[0] == what]


def a_record(root: Path, rows: Sequence[Row], **facts: Any) -> Path:
    """A record with curves, a picture and weights, below `root`; its folder."""
    first, store = rows[0], Store(root)
    said: dict[str, Any] = {
        "name": None,
        "variant": "width=16",
        "seed": first.seed,
        "n_samples": 1000,
        "config": {"width": 16},
        "sampling": {"steps": 5},
        "recipe": RecipeFacts(model=first.model, hyper={"width": 16}, training={"lr": 0.1}),
        "training": Training(
            images_per_second=1.0, n_steps=15, seconds=1.0, stopped_early=False, peak_memory_mib=1.0
        ),
        "provenance": Provenance(benchbench="0.1.0", command="benchbench run --model vae --dataset digits"),
        "finished": "2026-01-02T03:04:05Z",
        "artefacts": [Artefact(file="samples.png", kind="samples", caption="samples")],
    }
    with store.write(first.dataset, first.model, first.cell, RunFacts(**{**said, **facts})) as folder:
        write_rows(folder / "metrics.csv", list(rows))
        write_curves(folder, CURVES)
        (folder / "samples.png").write_bytes(a_picture())
        (folder / "weights.safetensors").write_bytes(b"weights")
    return store.cell_dir(first.dataset, first.model, first.cell)
