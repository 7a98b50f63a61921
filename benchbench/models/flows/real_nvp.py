"""Real NVP (Dinh, Sohl-Dickstein & Bengio 2017): a flow of masked affine couplings, whose density is exact.

An image of levels 0..255 gets uniform noise on [0, 1), is scaled to x in [0, 1), and goes through
logit(α + (1 - 2α)·x) to where pixels have no ends (section 4.1). There the flow maps it to a standard normal vector,
one scale after the other (section 3.6): three couplings on checkerboards, three on halves of the channels of squeezed
pixels, then half of what there is becomes part of the vector. The last scale has four couplings on checkerboards. A
batch norm follows each coupling.

Pixels are squeezed in two orders. Couplings on channels split them otherwise than checkerboards did (the paper's "not
redundant with the previous checkerboard masking"): for one channel into rows. What becomes part of the vector is a
checkerboard (`squeeze`), so that as much is left everywhere.

By the change of variables the log-density is that of the vector plus the log-determinants of all steps, the logit and
the scaling included: it is that of levels on [0, 256)^D.

Likelihood `uniform`: that density at the image with one draw of noise, whose expectation is at least the -log
probability of the image under the model that rounds down (Theis et al. 2016, equation 3).

Departures: α is kept from both ends, so that a white pixel is no farther away than a black one (the paper's
α + (1 - α)·x tends to infinity there). Density on levels beyond 0..255 is lost to them, as with any α, and clipped when
images are drawn. The networks of couplings have weight norm and no batch norm of their own, and no L2 penalty. Batch
norms take the statistics of the batch while training, where the paper's average over recent batches (appendix E).

Sizes: a scale more halves both sides, which must be even. As many as leave sides of 4 or more is the default: four for
32×32, three for 28×28, which ends at 7×7, two for 8×8, and one, without squeezing, where a side is odd.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, LikelihoodEstimate, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.flows.coupling import (
    Coupling,
    FlowNorm,
    Steps,
    by_channel,
    checkerboard,
    squeeze,
    unsqueeze,
)
from benchbench.models.nn.given import check_own_size

LEVELS = 256
SMALLEST = 4  # side of the last scale
UNIFORM = LikelihoodEstimate("uniform", "exact", "uniform", {"noise_samples": 1})


class RealNVP(nn.Module):
    """Real NVP: affine couplings on checkerboards and channels, with an exact likelihood."""

    reference: ClassVar[str] = "Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803"

    class Config(BaseModel, extra="forbid", frozen=True):
        """The paper has 4 blocks for images of 32×32; for CIFAR-10 64 channels, 8 blocks and 2 scales."""

        width: int = Field(
            default=32, ge=1, description="channels of the couplings' networks; twice as many a scale on"
        )
        blocks: int = Field(default=2, ge=1, le=100, description="residual blocks of each of these networks")
        scales: int = Field(
            default=0,
            ge=0,
            le=8,
            description="scales, each at half the side; 0 = as many as leave sides of 4",
        )
        alpha: float = Field(
            default=0.05, gt=0, lt=0.5, description="how far the logit keeps from both ends of the levels"
        )

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How images are drawn."""

        temperature: float = Field(
            default=1.0, ge=0, le=10, description="standard deviation of the normal vector"
        )

    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        scales = _scales(config.scales, spec.height, spec.width)
        channels, height, width = spec.channels, spec.height, spec.width
        self.shapes: list[tuple[int, int, int]] = []  # of the part of the vector that each scale gives
        checkers, halves = [], []
        for scale in range(scales):
            last, features = scale == scales - 1, config.width * 2**scale
            masks = [checkerboard(channels, height, width, k % 2) for k in range(4 if last else 3)]
            checkers.append(_couplings(masks, features, config.blocks))
            if last:
                self.shapes.append((channels, height, width))
                break
            channels, height, width = 4 * channels, height // 2, width // 2
            masks = [by_channel(channels, height, width, k % 2) for k in range(3)]
            halves.append(_couplings(masks, 2 * features, config.blocks))
            channels //= 2
            self.shapes.append((channels, height, width))
        self.checkers, self.halves = nn.ModuleList(checkers), nn.ModuleList(halves)

    # Inside: float levels on [0, 256), and y = logit of them on the whole line, both N×C×H×W.

    def log_density(self, levels: Tensor) -> Tensor:
        """Log-density of float levels on [0, 256)^D, N×C×H×W; nats, (N,)."""
        margin, share = 1 - 2 * self.config.alpha, self.shares(levels)
        slope = math.log(margin / LEVELS) - share.log() - (-share).log1p()
        vector, stretched = self.to_normal(torch.logit(share))
        normal = -0.5 * (vector.square() + math.log(2 * math.pi)).sum(1)
        return normal + stretched + slope.flatten(1).sum(1)

    def shares(self, levels: Tensor) -> Tensor:
        """Float levels on [0, 256) as what the logit is taken of: between α and 1 - α."""
        return self.config.alpha + (1 - 2 * self.config.alpha) * levels / LEVELS

    def images_of(self, vector: Tensor) -> Tensor:
        """uint8 RGB images of normal vectors (N, D): the levels that they lie in."""
        share = torch.sigmoid(self.from_normal(vector))
        x = (share - self.config.alpha) / (1 - 2 * self.config.alpha)
        return quantize((LEVELS * x).floor().clamp(0, LEVELS - 1) / 127.5 - 1)

    def levels(self, images: Tensor) -> Tensor:
        """uint8 RGB of the model's own size to levels as floats of its kind, N×C×H×W."""
        check_own_size(images, self.spec)
        return images[:, : self.spec.channels].to(self._device, next(self.parameters()).dtype)

    def to_normal(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """y to the standard normal vector, (N, D), and log |det| of the Jacobian there, (N,)."""
        parts, total = [], y.new_zeros(len(y))
        for checker, half in zip(self.checkers, self.halves, strict=False):
            y, stretched = checker(y)
            total = total + stretched
            y, stretched = half(F.pixel_unshuffle(y, 2))
            total = total + stretched
            out, y = squeeze(F.pixel_shuffle(y, 2)).chunk(2, dim=1)
            parts.append(out.flatten(1))
        y, stretched = self.checkers[-1](y)
        return torch.cat([*parts, y.flatten(1)], dim=1), total + stretched

    def from_normal(self, vector: Tensor) -> Tensor:
        """The inverse of `to_normal`."""
        sizes = [math.prod(shape) for shape in self.shapes]
        *parts, y = (
            part.unflatten(1, shape)
            for part, shape in zip(vector.split(sizes, dim=1), self.shapes, strict=True)
        )
        y = _inverse(self.checkers[-1], y)
        for i in reversed(range(len(self.halves))):
            y = unsqueeze(torch.cat([parts[i], y], dim=1))
            y = F.pixel_shuffle(_inverse(self.halves[i], F.pixel_unshuffle(y, 2)), 2)
            y = _inverse(self.checkers[i], y)
        return y

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole flow."""
        return {"flow": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Bits a dimension of the batch with fresh noise on it, mean over its images."""
        levels = ((batch.x + 1) * 127.5).round()
        bits = self._bits(-self.log_density(levels + torch.rand_like(levels))).mean()
        return bits, {"bits_per_dim": bits.detach()}

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """Bits a dimension of held-out images."""
        rng = ImageRng(0, range(len(images)), self._device)  # the same every epoch
        return {"held_out_bits_per_dim": float(self._bits(self.nats(images, "uniform", rng)).mean())}

    # Likelihood

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """The density under uniform noise."""
        return [UNIFORM]

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """-log of the density on [0, 256)^D at each image with noise from `rng`: float64 (N,), on the CPU."""
        if estimate != UNIFORM.name:
            raise InputError(f"real-nvp has no likelihood {estimate!r}; ask for {UNIFORM.name!r}")
        levels = self.levels(images)
        noise = rng.uniform(*levels.shape[1:]).to(levels)
        return -self.log_density(levels + noise).cpu().double()

    # Generator

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` images of normal vectors from `rng` times the temperature. Labels are ignored."""
        dims = sum(math.prod(shape) for shape in self.shapes)
        return self.images_of(self.sampling.temperature * rng.normal(dims).to(self._device))

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _bits(self, nats: Tensor) -> Tensor:
        return nats / (math.log(2) * self.spec.channels * self.spec.height * self.spec.width)


def _couplings(masks: Sequence[Tensor], width: int, blocks: int) -> Steps:
    return Steps(step for mask in masks for step in (Coupling(mask, width, blocks), FlowNorm(mask.shape[1])))


def _inverse(steps: nn.Module, y: Tensor) -> Tensor:
    assert isinstance(steps, Steps)
    return steps.inverse(y)


def _scales(asked: int, height: int, width: int) -> int:
    """How many scales images of this size have; `InputError` for more than their sides can be halved for."""
    possible, sides = 1, (height, width)
    while sides[0] % 2 == sides[1] % 2 == 0 and (asked > possible or min(sides) >= 2 * SMALLEST):
        possible, sides = possible + 1, (sides[0] // 2, sides[1] // 2)
    if asked > possible:
        raise InputError(
            f"real-nvp with scales={asked} halves both sides {asked - 1} times, and {width}x{height} can be halved "
            f"{possible - 1} times; choose scales={possible} or fewer, or another --size"
        )
    return asked or possible
