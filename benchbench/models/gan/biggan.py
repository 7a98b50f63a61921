"""BigGAN (Brock, Donahue & Simonyan 2019): a class-conditional GAN that gains by size, and trades variety for
fidelity.

What it is made of (sections 2 and 3, appendix B):

- residual networks with self-attention (Zhang et al. 2018) and spectral norm (Miyato et al. 2018) in both players;
- one embedding of the class for all of the generator; beside it each block sees its own piece of the latent. Gains,
  around 1, and biases, around 0, of the block's batch norms are linear in the two. The first piece alone makes the
  smallest maps: so the parameters are as many as table 1 says;
- a projection discriminator (Miyato & Koyama 2018) and the hinge loss, two of its turns to one of the generator's;
- orthogonal initial weights, and the regularisation of equation 3, which pushes the filters of the generator apart
  and says nothing of their norms;
- truncation: latents beyond a threshold are drawn again, a setting of sampling (`sampling.truncation`);
- the generator's weights are averaged (`training.ema_decay`), its batch norms measured anew
  (`training.standing_statistics`).

Where this departs: the number of blocks follows the size of the images as in `dcgan` (the short side comes down to
about 4), channels double with each halving up to 16 times, so that at 128×128 both networks are those of table 4; a
latent that the pieces do not divide gives its first pieces one number more; queries and keys of the attention see all
positions, without pooling. No BigGAN-deep. Other sizes than powers of two are cropped from larger ones and filled up
with mid-grey.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from benchbench.core.bounds import MOST_LATENT
from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.gan.adversarial import (
    Adversarial,
    AdversarialConfig,
    check_classes,
    critic_generator,
    halvings,
    hinge_discriminator,
)
from benchbench.models.gan.dcgan import fill_up, smallest_maps
from benchbench.models.gan.self_attention import SelfAttention
from benchbench.models.nn.given import classes_asked_for

WIDEST = 16  # times the first width, table 4


class BigGAN(Adversarial):
    """Class-conditional residual GAN with split latents, self-attention and truncation."""

    reference: ClassVar[str] = (
        "Brock, Donahue & Simonyan 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis, "
        "arXiv:1809.11096"
    )

    class Config(AdversarialConfig, frozen=True):
        """The paper's values at 128×128."""

        latent: int = Field(
            default=120, ge=1, le=MOST_LATENT, description="size of the noise, split over the blocks"
        )
        n_dis: int = Field(
            default=2, ge=1, description="discriminator turns before each turn of the generator"
        )
        width: int = Field(
            default=96, ge=1, description="channels of the largest maps (ch); doubled with each halving"
        )
        embedding: int = Field(
            default=128, ge=1, le=MOST_LATENT, description="numbers that stand for a class in the generator"
        )
        attention: int = Field(
            default=1, ge=0, le=16, description="self-attention at maps so often halved; 0 = none"
        )
        orthogonal: float = Field(
            default=1e-4, ge=0, description="weight β of the orthogonal regularisation of the generator"
        )

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How images are drawn."""

        truncation: float | None = Field(
            default=None, ge=0.01, description="latents of a larger magnitude are drawn again; none = off"
        )

    config: Config
    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        check_classes(spec, "biggan")
        if config.attention > halvings(spec):
            raise InputError(
                f"attention={config.attention} asks for maps halved so often, but {spec.height}x{spec.width} pixels "
                f"are halved {halvings(spec)} times; lower it"
            )
        generator, discriminator = BigGANGenerator(config, spec), BigGANDiscriminator(config, spec)
        _orthogonal_and_normalized(generator, besides=[generator.embedding])
        _orthogonal_and_normalized(discriminator)
        super().__init__(config, spec, generator, discriminator, conditional=True)

    def averaged(self) -> Sequence[nn.Module]:
        """The generator alone (appendix C)."""
        return [self.generator]

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Miyato et al. 2018, equation 16."""
        return hinge_discriminator(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Miyato et al. 2018, equation 17, and β times equation 3 of the paper."""
        loss = critic_generator(fake)
        if self.config.orthogonal:
            penalty = sum(
                (off_diagonal(weight) for weight in filters(self.generator)), torch.zeros_like(loss)
            )
            loss = loss + self.config.orthogonal * penalty
        return loss

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images, from the truncated normal where `sampling.truncation` says so. Labels that are not
        given are drawn uniformly and before the latents."""
        device = next(self.generator.parameters()).device
        asked = classes_asked_for(labels, self.spec.n_classes, rng, device)
        z = truncated_normal(rng, self.config.latent, self.sampling.truncation)
        return quantize(self.generate(z.to(device), asked))


def off_diagonal(weight: Tensor) -> Tensor:
    """‖WᵀW ⊙ (1 - I)‖²_F with the filters as the columns of W: the squared inner products of all pairs of different
    filters (equation 3 without its β). weight: (outputs, …); a filter is what makes one output."""
    rows = weight.flatten(1)
    with torch.autocast(weight.device.type, enabled=False):  # a small difference of large numbers
        gram = rows @ rows.T
        return gram.square().sum() - gram.diagonal().square().sum()


def filters(network: nn.Module) -> Iterator[Tensor]:
    """The weights under spectral norm, as the optimiser moves them."""
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            yield module.get_parameter("parametrizations.weight.original")


def _orthogonal_and_normalized(network: nn.Module, besides: Sequence[nn.Module] = ()) -> None:
    """Orthogonal weights (appendix B); spectral norm on all of them but `besides`: a table in which rows are looked
    up."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            if module not in besides:
                spectral_norm(module)


class ConditionalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose gain, around 1, and bias, around 0, are linear in a condition (N, condition); maps N×C×H×W."""

    def __init__(self, num_features: int, condition: int) -> None:
        super().__init__(num_features, affine=False)
        self.gain = nn.Linear(condition, num_features, bias=False)
        self.shift = nn.Linear(condition, num_features, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:  # type: ignore[override]
        gain, shift = 1 + self.gain(condition)[..., None, None], self.shift(condition)[..., None, None]
        normed: Tensor = super().forward(x) * gain + shift
        return normed


class UpBlock(nn.Module):
    """Figure 15b: twice the sides, `before` to `after` channels."""

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(width, condition) for width in (before, after))
        self.first, self.second = (
            nn.Conv2d(before, after, 3, padding=1),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.skip = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        made = F.interpolate(F.relu(self.norms[0](x, condition)), scale_factor=2)
        made = self.second(F.relu(self.norms[1](self.first(made), condition)))
        summed: Tensor = made + F.interpolate(
            self.skip(x), scale_factor=2
        )  # 1×1: the order is of no consequence
        return summed


class DownBlock(nn.Module):
    """Figure 15c: `before` to `after` channels, half the sides if `down`. `first` of all it takes pixels, whose
    darker half no rectifier shall lose."""

    def __init__(self, before: int, after: int, down: bool = True, first: bool = False) -> None:
        super().__init__()
        self.pool: nn.Module = nn.AvgPool2d(2) if down else nn.Identity()
        self.enter: nn.Module = nn.Identity() if first else nn.ReLU()
        self.first, self.second = (
            nn.Conv2d(before, after, 3, padding=1),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.skip: nn.Module = nn.Conv2d(before, after, 1) if down or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        made = self.second(F.relu(self.first(self.enter(x))))
        summed: Tensor = self.pool(made) + self.skip(self.pool(x))
        return summed


def channels_from_the_image(width: int, levels: int) -> list[int]:
    """`width` at the largest maps, doubled with each halving up to 16 times."""
    return [width * min(2**level, WIDEST) for level in range(levels)]


class BigGANGenerator(nn.Module):
    """Latents (N, latent) and labels (N,) to images in [-1, 1]."""

    def __init__(self, config: BigGAN.Config, spec: ImageSpec) -> None:
        super().__init__()
        levels = halvings(spec)
        channels = channels_from_the_image(config.width, levels)[::-1]
        self.start = (channels[0], *smallest_maps(spec))
        self.embedding = nn.Embedding(spec.n_classes, config.embedding)
        first, *pieces = (len(piece) for piece in torch.arange(config.latent).tensor_split(levels + 1))
        self.project = nn.Linear(first, math.prod(self.start))
        widths = itertools.pairwise([channels[0], *channels])
        self.blocks = nn.ModuleList(
            UpBlock(*pair, size + config.embedding) for pair, size in zip(widths, pieces, strict=True)
        )
        self.attended = levels - config.attention  # the block whose input is attended to
        self.attention = SelfAttention([channels[0], *channels][self.attended]) if config.attention else None
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_image = nn.Conv2d(channels[-1], spec.channels, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        shared = self.embedding(labels)
        first, *pieces = z.tensor_split(len(self.blocks) + 1, dim=1)
        x = self.project(first).unflatten(1, self.start)
        for number, (block, piece) in enumerate(zip(self.blocks, pieces, strict=True)):
            if self.attention is not None and number == self.attended:
                x = self.attention(x)
            x = block(x, torch.cat([piece, shared], dim=1))
        images: Tensor = self.to_image(F.relu(self.norm(x))).tanh()
        return images


class BigGANDiscriminator(nn.Module):
    """Images N×C×H×W and labels (N,) to scores (N,): w·φ(x) + <V y, φ(x)>, φ the sum over positions."""

    def __init__(self, config: BigGAN.Config, spec: ImageSpec) -> None:
        super().__init__()
        channels = channels_from_the_image(config.width, halvings(spec))
        widths = itertools.pairwise([spec.channels, *channels])
        layers: list[nn.Module] = [
            DownBlock(before, after, first=number == 0) for number, (before, after) in enumerate(widths)
        ]
        if config.attention:
            layers.insert(config.attention, SelfAttention(channels[config.attention - 1]))
        last = channels[-1]
        self.layers = nn.Sequential(fill_up(spec), *layers, DownBlock(last, last, down=False), nn.ReLU())
        self.head = nn.Linear(last, 1)
        self.classes = nn.Embedding(spec.n_classes, last)

    def features(self, x: Tensor) -> Tensor:
        """φ(x), (N, channels)."""
        maps: Tensor = self.layers(x)
        return maps.sum((2, 3))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        features = self.features(x)
        scores: Tensor = self.head(features).squeeze(1) + (self.classes(labels) * features).sum(1)
        return scores


def truncated_normal(rng: ImageRng, size: int, threshold: float | None) -> Tensor:
    """Standard normals, float32 (N, size); those of a magnitude above `threshold` are drawn again until none is
    (Brock et al. 2019, section 3.1). None draws once.

    An image's numbers come from its own generator, so it is of no consequence how often its neighbours draw again.
    """
    z = rng.normal(size)
    while threshold is not None and bool((outside := z.abs() > threshold).any()):
        z = torch.where(outside, rng.normal(size), z)
    return z
