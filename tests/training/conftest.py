"""A two-player toy, somebody who looks at it, and a progress that stops a run where a test wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchbench.core.protocols import Batch


class ToyGAN(nn.Module):
    """Turns of the discriminator, then one of the generator; dropout, batch statistics and the vectors of
    spectral norms make it touchy. Remembers who saw what, and the weights before each turn if asked to."""

    def __init__(self, n_dis: int = 2, spectral: bool = False, remember: bool = False) -> None:
        super().__init__()
        wrap = spectral_norm if spectral else lambda layer: layer
        self.n_dis = n_dis
        self.generator = nn.Sequential(
            wrap(nn.Linear(4, 16)), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 192), nn.Tanh()
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), wrap(nn.Linear(192, 16)), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(16, 1)
        )
        self.remember = remember
        self.seen: list[tuple[int, str, Tensor, Tensor | None]] = []
        self.before: list[dict[str, Tensor]] = []

    def players(self) -> Mapping[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def turns(self, step: int) -> Sequence[str]:
        return ("discriminator",) * self.n_dis + ("generator",)

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        if self.remember:
            self.seen.append((batch.step, player, batch.x, batch.labels))
            self.before.append({name: p.detach().clone() for name, p in self.named_parameters()})
        made = self.generator(torch.randn(len(batch.x), 4, device=batch.x.device)).view(-1, 3, 8, 8)
        if player == "generator":
            return nn.functional.softplus(-self.discriminator(batch.augment(made))).mean(), {}
        real, fake = self.discriminator(batch.augment(batch.x)), self.discriminator(batch.augment(made))
        loss = (nn.functional.softplus(-real) + nn.functional.softplus(fake)).mean()
        return loss, {"real": real.detach().mean()}

    def standing_pass(self, n: int) -> None:
        self.generator(torch.randn(n, 4, device=next(self.parameters()).device))


class Watcher:
    """A `Monitor` that measures the mean pixel of samples on noise of its own, moves torch's generator on
    purpose, and says what it was told to say by the number of the look."""

    def __init__(self, **says: Sequence[float]) -> None:
        self.says = says
        self.steps: list[int] = []
        self.weights: list[dict[str, Tensor]] = []

    def panel(self, model: nn.Module, step: int) -> dict[str, float]:
        assert not model.training
        look = len(self.steps)
        self.steps.append(step)
        self.weights.append({key: value.clone() for key, value in model.state_dict().items()})
        torch.randn(7)
        numbers = {name: values[look] for name, values in self.says.items()}
        if isinstance(model, ToyGAN):
            noise = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
            numbers = {"monitor_distance": float(model.generator(noise).square().mean())} | numbers
        return numbers


class KilledError(Exception):
    """The power went out."""


class KillAt:
    """A `Progress` that raises `KilledError` once `step` more steps are done; keeps what it was told."""

    def __init__(self, step: int | None = None) -> None:
        self.left = step
        self.notes: list[str] = []
        self.numbers: list[dict[str, float]] = []

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[KillAt]:
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        self.numbers.append(numbers)
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
        Watcher = Watcher
        KillAt = KillAt
        Killed = KilledError

    return Toys
