"""A two-player toy and a progress that stops a run where a test wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.protocols import Batch


class ToyGAN(nn.Module):
    """Two discriminator turns, then one of the generator; dropout and batch statistics make it touchy."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 192), nn.Tanh()
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(192, 16), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(16, 1)
        )

    def players(self) -> Mapping[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def turns(self, step: int) -> Sequence[str]:
        return ("discriminator", "discriminator", "generator")

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        made = self.generator(torch.randn(len(batch.x), 4, device=batch.x.device))
        if player == "generator":
            return nn.functional.softplus(-self.discriminator(made)).mean(), {}
        real, fake = self.discriminator(batch.x), self.discriminator(made)
        loss = (nn.functional.softplus(-real) + nn.functional.softplus(fake)).mean()
        return loss, {"real": real.detach().mean()}


class KilledError(Exception):
    """The power went out."""


class KillAt:
    """A `Progress` that raises `KilledError` once `step` more steps are done; keeps what it was told."""

    def __init__(self, step: int | None = None) -> None:
        self.left = step
        self.notes: list[str] = []

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[KillAt]:
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        if self.left is not None:
            self.left -= n
            if self.left <= 0:
                raise KilledError

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def toys() -> Any:
    """The toy classes, by attribute."""

    class Toys:
        GAN = ToyGAN
        KillAt = KillAt
        Killed = KilledError

    return Toys
