"""What all generative adversarial networks here share: two players, their losses, and samples.

Pattern: `Adversarial` owns the game of Goodfellow et al. 2014 (who moves when, what the discriminator sees,
how images are drawn) and a family hands it two networks. Where the families differ in what they minimise they
override `discriminator_loss`, `generator_loss` or `penalties`, or name lazy `phases` and write `regularization`; the
losses themselves are pure functions below. A network takes labels as its second argument, None in an unconditional
family.

Choices that hold for every family:

- A generated image is made in training mode for both players, so the running statistics of a generator's
  batch norms move in the discriminator's turns too; its weights do not.
- Generated images get the labels of the real images in the batch. So both kinds have the same mix of classes
  in every step, and that mix is the data's, or the balanced one where batches are class-balanced.
- Real and generated images pass the discriminator in two calls: a batch norm that saw them together would
  tell them apart for it.
- All randomness of a loss comes from torch's global generators, all that changes is a parameter or a buffer:
  the training loop saves both, so a resumed game goes on as if nothing had happened.

Scope: images of one size, latents from a standard normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng

MIN_SIDE = 8


def nonsaturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), nats, from logits, batch means (Goodfellow et al. 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating_generator(fake: Tensor) -> Tensor:
    """-log D(G(z)), nats, from logits, batch mean (Goodfellow et al. 2014, section 3, last paragraph)."""
    return F.softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))), batch means (Miyato et al. 2018, equation 16, negated)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) - D(x), batch means: minus the estimated distance (Gulrajani et al. 2017, equation 2, negated)."""
    return fake.mean() - real.mean()


def critic_generator(fake: Tensor) -> Tensor:
    """-D(G(z)), batch mean: the generator's side of both the hinge (Miyato et al. 2018, equation 17) and the
    Wasserstein game."""
    return -fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """(‖∇D(x̂)‖₂ - 1)², batch mean, at x̂ = ε·real + (1 - ε)·fake with one ε ~ U[0, 1] an image.

    Gulrajani et al. 2017, equation 3 without its λ. In float32 also under autocast: the square of a norm of
    thousands of small numbers, differentiated twice, is beyond half precision.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, fake = real.float(), fake.float()
        epsilon = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
        between = (epsilon * real + (1 - epsilon) * fake).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


class AdversarialConfig(BaseModel, extra="forbid", frozen=True):
    """What all families share."""

    latent: int = Field(default=128, ge=1, description="size of the noise an image is made from")
    n_dis: int = Field(default=1, ge=1, description="discriminator turns before each turn of the generator")


class Adversarial(nn.Module):
    """The game; `generator` and `discriminator` come from the family.

    generator: (latents N×latent, labels) to at least N×C×H×W in [-1, 1], cropped to H×W. discriminator: (images
    N×C×H×W, labels) to scores (N,), higher for what it takes for real. labels: int64 (N,), or None if not
    `conditional`.
    """

    reference: ClassVar[str] = "Goodfellow et al. 2014, Generative Adversarial Networks, arXiv:1406.2661"

    def __init__(
        self,
        config: AdversarialConfig,
        spec: ImageSpec,
        generator: nn.Module,
        discriminator: nn.Module,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.conditional = conditional
        self.generator = generator
        self.discriminator = discriminator

    # What families override.

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimises, from its scores (N,) of real and of generated images."""
        return nonsaturating_discriminator(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """What the generator minimises, from the discriminator's scores (N,) of its images."""
        return nonsaturating_generator(fake)

    def penalties(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Scalars added to the discriminator's loss, weighted, by the name of their curve.

        real, fake: what the discriminator sees, after augmentation; fake carries no gradient.
        """
        return {}

    def regularization(self, phase: Phase, batch: Batch) -> Tensor:
        """What is minimised in a phase of another name than "main", a weighted scalar."""
        raise NotImplementedError

    # Inside: float images in [-1, 1].

    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents (N, latent) to float32 N×C×H×W in [-1, 1]."""
        made: Tensor = self.generator(z, labels)
        return made[..., : self.spec.height, : self.spec.width].float()

    def score(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Images to the discriminator's scores, float32 (N,)."""
        scores: Tensor = self.discriminator(x, labels)
        return scores.float()

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """Two, each with its own optimiser."""
        return {"discriminator": self.discriminator, "generator": self.generator}

    def phases(self) -> Sequence[Phase]:
        """`n_dis` phases of the discriminator, then one of the generator (Goodfellow et al. 2014, algorithm 1).

        A family with lazy regularisations names them after these and writes `regularization`.
        """
        return (Phase("discriminator"),) * self.config.n_dis + (Phase("generator"),)

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The player's side of the game; curves `d_real` and `d_fake` are the mean scores the discriminator
        gave, and each of `penalties` has its own."""
        if phase.name != "main":
            return self.regularization(phase, batch), {}
        labels = batch.labels if self.conditional else None
        z = torch.randn(len(batch.x), self.config.latent, device=batch.x.device)
        if phase.player == "generator":
            return self.generator_loss(self.score(batch.augment(self.generate(z, labels)), labels)), {}
        with torch.no_grad():
            fake = batch.augment(self.generate(z, labels))
            real = batch.augment(batch.x)
        on_real, on_fake = self.score(real, labels), self.score(fake, labels)
        penalties = self.penalties(real, fake, labels)
        loss = self.discriminator_loss(on_real, on_fake) + sum(penalties.values())
        logs = {"d_real": on_real.mean(), "d_fake": on_fake.mean()} | penalties
        return loss, {name: value.detach() for name, value in logs.items()}

    # Standing

    def standing_pass(self, n: int) -> None:
        """Generate `n` images in training mode, labels uniform, so that batch norms see final weights."""
        device = next(self.generator.parameters()).device
        z = torch.randn(n, self.config.latent, device=device)
        labels = torch.randint(self.spec.n_classes, (n,), device=device) if self.conditional else None
        before = self.generator.training
        self.generator.train()
        with torch.no_grad():
            self.generate(z, labels)
        self.generator.train(before)

    # Generator

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images from z ~ N(0, I). A conditional family draws the labels that are not given,
        uniformly and before z, from `rng`; an unconditional one ignores them."""
        device = next(self.generator.parameters()).device
        if self.conditional:
            classes = self.spec.n_classes
            labels = (rng.integers(classes) if labels is None else labels).to(device)
            if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
                raise InputError(
                    f"the classes of this model are 0 to {classes - 1} but labels run from "
                    f"{int(labels.min())} to {int(labels.max())}"
                )
        else:
            labels = None
        return quantize(self.generate(rng.normal(self.config.latent).to(device), labels))


def check_side(spec: ImageSpec) -> None:
    """Refuse images too small for a convolutional network that halves them."""
    if min(spec.height, spec.width) < MIN_SIDE:
        raise InputError(
            f"a convolutional GAN needs images of at least {MIN_SIDE}x{MIN_SIDE} pixels but these are "
            f"{spec.height}x{spec.width}; resize the dataset"
        )


def check_classes(spec: ImageSpec, name: str) -> None:
    """Refuse data that gives a conditional family nothing to condition on."""
    if not spec.n_classes:
        raise InputError(
            f"{name} learns to make images of a class but this dataset has no labels; use one with labels, "
            "for example a folder with one subfolder a class"
        )


def halvings(spec: ImageSpec) -> int:
    """How often a network halves the images: until the short side is about 4, as Radford et al. 2016 do."""
    check_side(spec)
    return math.ceil(math.log2(min(spec.height, spec.width) / 4))
