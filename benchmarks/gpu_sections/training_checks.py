"""Training on the device: mixed precision with two players and clipping, and a resume that equals no interruption."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchbench.core.progress import SILENT, Progress
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train
from gpu_sections.child import Bench
from gpu_sections.recipes import prepared
from gpu_sections.tools import device_of, needs_cuda

CLOSE = 0.05  # of the float32 loss: 8 bits a number, over a few steps of two players


class InterruptedTrainingError(Exception):
    """The power went out."""


class Interrupt:
    """A `Progress` that raises once so many steps are done."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Interrupt]:
        """What the loop asks for."""
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        """A step is done, and its checkpoint written if it was due."""
        self.left -= n
        if self.left <= 0:
            raise InterruptedTrainingError

    def note(self, text: str) -> None:
        """Nobody reads it."""


def training(bench: Bench) -> None:
    """dcgan as its recipe for digits has it; the numbers are of the losses' last averages and of all weights."""
    device = device_of(bench)
    for precision in ("bf16", "fp16"):
        with bench.item(f"{precision}, two players, clipped"):
            needs_cuda(device)
            mixed(bench, precision, device)
    for precision in ("fp32", "fp16"):
        with bench.item(f"resume, {precision}"):
            if precision == "fp16":
                needs_cuda(device)
            resumed(bench, precision, device)


def mixed(bench: Bench, precision: str, device: torch.device) -> None:
    """The loss of each player after a few steps beside that of float32, with a limit below every gradient's norm."""
    settings = {"steps": 4, "clip_norm": 0.05}
    exact = go(settings, device)[0].curves[-1]
    rows = go({**settings, "precision": precision}, device)[0].curves[-1]
    for player in ("discriminator", "generator"):
        loss, norm = rows[f"loss_{player}"], rows.get(f"grad_norm_{player}", math.nan)
        gap = abs(loss - exact[f"loss_{player}"]) / abs(exact[f"loss_{player}"])
        note = f"gradient norm {norm:.3g} before clipping, {exact[f'grad_norm_{player}']:.3g} in float32"
        bench.check(f"{precision}, clipped: loss of {player}", gap, CLOSE, note)


def resumed(bench: Bench, precision: str, device: torch.device) -> None:
    """Killed in the middle and gone on with, against never killed: every weight, bit for bit."""
    steps = 4 if bench.small else 20
    settings = {"steps": steps, "precision": precision, "diffaugment": "color,translation,cutout"}
    whole = go(settings, device)[1]
    with tempfile.TemporaryDirectory() as folder:
        often = {**settings, "checkpoint_every": steps // 2}
        try:
            go(often, device, Path(folder), Interrupt(steps // 2))
        except InterruptedTrainingError:
            size = (Path(folder) / "checkpoint.pt").stat().st_size
        _, parts = go(often, device, Path(folder))
    gap = max(float((whole[key].double() - parts[key].double()).abs().max()) for key in whole)
    note = f"{steps} steps, interrupted after {steps // 2}; checkpoint of {size / 1e6:.1f} MB"
    bench.check(f"resume, {precision}: largest difference of a weight", gap, 0.0, note)


def go(
    settings: Mapping[str, Any],
    device: torch.device,
    workdir: Path | None = None,
    progress: Progress = SILENT,
) -> tuple[TrainingResult, dict[str, Tensor]]:
    """Train dcgan with `settings` over its recipe; what it reported and its weights on the processor."""
    made = prepared("dcgan", "digits", 256)
    changed = {**made.training.model_dump(exclude={"steps", "epochs"}), **settings}
    config = type(made.training)(**changed)
    result = train(
        made.model,
        TrainingData(made.images, made.labels, made.images[:16]),
        config,
        seed=0,
        device=device,
        checkpoints=Checkpoints(workdir, {"of": "benchmarks/gpu.py"}) if workdir else None,
        progress=progress,
    )
    return result, {key: value.cpu() for key, value in made.model.state_dict().items()}
