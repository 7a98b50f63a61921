"""CycleGAN (Zhu, Park, Isola & Efros 2017): two generators that undo each other, without pairs.

Each direction has a generator (`resnet_generator`) and a PatchGAN that judges what it makes against real images of the
target domain. Per direction, with the weights of section 4 and appendix 7.1:

- least-squares adversarial loss (the discriminator's is divided by 2);
- λ ‖F(G(a)) - a‖₁, mean over pixels, λ = 10 (equation 2);
- 0.5 λ ‖G(b) - b‖₁ for images that are of the target domain already (section 5.2, "identity"). The paper uses it where
  colours must not change; 0 turns it off.

The discriminators see generated images through a pool of 50 (section 4). The paper's learning rate, constant for half
of the training and then linear to 0, is `schedule = "constant_then_linear"` of the training.

Choices of ours: both generators are one player and so are both discriminators, as in the authors' code. A generator
turns its source images and the target images of the identity loss in one pass, which instance norm makes the same as
two. The discriminators' turn judges the images that the generators' turn of the same step has made, in place of making
them again. Images are mirrored at random, as the authors' code does (`flip`).

What to watch: a generator may hide what the way back needs where no eye sees it (Chu et al. 2017), so a low cycle
error alone says little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.image_pool import ImagePool
from benchbench.models.nn.patchgan import PatchGAN
from benchbench.models.nn.resnet_generator import ResnetGenerator
from benchbench.models.translation.translator import (
    BOTH,
    TwoWay,
    both_domains,
    least_squares,
    mirrored,
    opposite,
)


class CycleGAN(TwoWay):
    """Unpaired translation in both directions, held together by the way there and back.

    generators, discriminators, pools: by direction; `discriminators["AtoB"]` judges images of domain B.
    """

    reference: ClassVar[str] = (
        "Zhu, Park, Isola & Efros 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial "
        "Networks, arXiv:1703.10593"
    )
    paired = False

    class Config(BaseModel, extra="forbid", frozen=True):
        """The paper's, for images of 128×128 pixels."""

        width: int = Field(default=64, ge=1, description="channels of a generator at full size")
        blocks: int = Field(default=6, ge=0, description="residual blocks of a generator")
        disc_width: int = Field(default=64, ge=1, description="channels of a discriminator's first layer")
        disc_layers: int = Field(
            default=3, ge=1, description="halving layers of a discriminator; 3 see 70×70"
        )
        lambda_cycle: float = Field(default=10.0, ge=0, description="weight of the cycle loss")
        lambda_identity: float = Field(
            default=0.5, ge=0, description="weight of the identity loss, in units of lambda_cycle; 0 = off"
        )
        pool: int = Field(
            default=50, ge=0, description="old images a discriminator is shown between new ones; 0 = off"
        )
        flip: bool = Field(default=True, description="mirror training images at random")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        c = spec.channels
        self.generators = nn.ModuleDict(
            {way: ResnetGenerator(c, c, config.width, config.blocks) for way in BOTH}
        )
        self.discriminators = nn.ModuleDict(
            {way: PatchGAN(spec, c, config.disc_width, config.disc_layers, "instance") for way in BOTH}
        )
        self.pools = nn.ModuleDict(
            {way: ImagePool(config.pool, (c, spec.height, spec.width)) for way in BOTH}
        )
        # By the generators, of that step and part of its batch.
        self._made: tuple[tuple[int, int], dict[Direction, Tensor]] | None = None

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """The generator's image; nothing is drawn."""
        return self.generate(x, direction)

    def generate(self, x: Tensor, direction: Direction) -> Tensor:
        """Float images of one domain to float32 images of the other, in [-1, 1]."""
        made: Tensor = self.generators[direction](x)
        return made.float()

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """Both generators in one optimiser, both discriminators in another."""
        return {"generators": self.generators, "discriminators": self.discriminators}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums over both directions; every curve ends with its direction."""
        a, b = both_domains(batch)
        if self.config.flip:
            (a,), (b,) = mirrored(a), mirrored(b)
        real: dict[Direction, Tensor] = {"AtoB": a, "BtoA": b}
        if phase.player == "generators":
            terms = self.generator_terms(real, batch)
            return torch.stack([weight * value for weight, value in terms.values()]).sum(), {
                name: value.detach() for name, (_, value) in terms.items()
            }
        return self.discriminator_loss(real, batch)

    def generator_terms(
        self, real: Mapping[Direction, Tensor], batch: Batch
    ) -> dict[str, tuple[float, Tensor]]:
        """(weight, value) of each loss, by the name of its curve; `real` holds each direction's source images."""
        config = self.config
        made, terms = {}, {}
        for way in BOTH:
            # An identity loss without weight is not computed at all.
            targets = real[opposite(way)][: None if config.lambda_identity else 0]
            made[way], same = self.generate(torch.cat([real[way], targets]), way).split(
                [len(real[way]), len(targets)]
            )
            if config.lambda_identity:
                weight = config.lambda_cycle * config.lambda_identity
                terms[f"identity_{way}"] = (weight, F.l1_loss(same, targets))
        for way in BOTH:
            scores = self.discriminators[way](batch.augment(made[way]))
            terms[f"adversarial_{way}"] = (1.0, least_squares(scores, 1))
            back = self.generate(made[way], opposite(way))
            terms[f"cycle_{way}"] = (config.lambda_cycle, F.l1_loss(back, real[way]))
        self._made = (batch.step, batch.part), {way: images.detach() for way, images in made.items()}
        return terms

    def discriminator_loss(
        self, real: Mapping[Direction, Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """½ ((D(real) - 1)² + D(made)²), the made images through the pool; `d_real`, `d_fake` are mean scores."""
        made = self.made_images(real, (batch.step, batch.part))
        losses, logs = [], dict[str, Tensor]()
        for way in BOTH:
            fake = self.discriminators[way](batch.augment(self.pools[way](made[way])))
            true = self.discriminators[way](batch.augment(real[opposite(way)]))
            losses.append((least_squares(true, 1) + least_squares(fake, 0)) / 2)
            logs |= {f"d_real_{way}": true.mean().detach(), f"d_fake_{way}": fake.mean().detach()}
        return torch.stack(losses).sum(), logs

    def made_images(self, real: Mapping[Direction, Tensor], at: tuple[int, int]) -> dict[Direction, Tensor]:
        """What the generators have made at this step and part, once; new images of `real` where there is none."""
        kept, self._made = self._made, None
        if kept is not None and kept[0] == at:
            return kept[1]
        with torch.no_grad():
            return {way: self.generate(real[way], way) for way in BOTH}
