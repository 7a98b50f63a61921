"""Control rows: generators whose place on any honest leaderboard is known before it is measured.

`real` is the best a metric can expect, `memorizer` is perfect in quality and useless, `collapsed` has lost
its diversity, `noise` knows nothing. A metric that ranks them wrongly is broken. They have no weights:
`fit` keeps a reference to the images of one split, and `sample` picks from it by `rng` alone, so image i is
the same whatever the batches.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng, permutation


class _Control(nn.Module):
    """`pool`: the images to hand out, uint8 RGB N×3×H×W; a buffer so that it moves with the module, not
    persistent because these are not weights."""

    reference: ClassVar[str] = "control row, no paper"
    pool: Tensor

    class Config(BaseModel, extra="forbid", frozen=True):
        """No hyper-parameters."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.register_buffer("pool", torch.empty(0, 3, spec.height, spec.width, dtype=torch.uint8), False)

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Keep the training images."""
        self.pool = train

    def _pick(self, indices: Tensor) -> Tensor:
        return self.pool[indices.to(self.pool.device)]


class Real(_Control):
    """Held-out images without replacement: what a perfect model would score."""

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Keep the held-out images."""
        self.pool = held_out

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Image i is held-out image permutation(seed)[i]; `InputError` when i goes beyond the last one."""
        have = len(_fitted(self))
        if max(rng.indices, default=-1) >= have:
            raise InputError(f"real has {have} held-out images; ask for --samples {have} or fewer")
        return self._pick(torch.from_numpy(permutation(rng.seed, have)[rng.indices]))


class Memorizer(_Control):
    """Training images, drawn with replacement: perfect quality, nothing learned."""

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Image i is a training image that rng draws for it."""
        return self._pick(rng.integers(len(_fitted(self))))


class Collapsed(_Control):
    """A few training images over and over: a generator after total mode collapse."""

    class Config(_Control.Config, frozen=True):
        """How collapsed."""

        modes: int = Field(default=5, ge=1, description="number of different images")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.modes = config.modes

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Each image is one of `modes` training images, which the seed chooses."""
        have, modes = len(_fitted(self)), self.modes
        if modes > have:
            raise InputError(
                f"collapsed has modes={modes} but there are only {have} training images; lower modes"
            )
        return self._pick(torch.from_numpy(permutation(rng.seed, have)[:modes])[rng.integers(modes).cpu()])


class Noise(_Control):
    """Uniform pixels: what knowing nothing scores."""

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Every value independent and uniform on 0..255; R = G = B where the data is grey."""
        pixels = rng.integers(256, self.spec.channels, self.spec.height, self.spec.width).to(torch.uint8)
        return pixels.expand(-1, 3, -1, -1).contiguous()


class Degraded(nn.Module):
    """Degraded images as they are: what every restorer must be better than."""

    reference: ClassVar[str] = "control row, no paper"

    class Config(BaseModel, extra="forbid", frozen=True):
        """No hyper-parameters."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config

    def restore(self, degraded: Tensor) -> Tensor:
        """The same images."""
        return degraded


def _fitted(control: _Control) -> Tensor:
    if len(control.pool) == 0:
        name = type(control).__name__.lower()
        raise InputError(f"{name} has no images to hand out; call fit with at least one image")
    return control.pool
