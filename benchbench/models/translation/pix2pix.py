"""pix2pix (Isola et al. 2017): a U-Net trained on pairs, judged by a discriminator that sees the input too.

Equation 4: arg min_G max_D of the conditional adversarial loss plus λ ‖target - G(input)‖₁, λ = 100, mean over pixels.
The adversarial loss is the cross-entropy on a PatchGAN's logits with the generator's part in its non-saturating form,
and the discriminator's is divided by 2 (section 3.3). The discriminator judges (input, output) concatenated, real or
generated; DiffAugment acts on that concatenation, so that what moves an output moves its input.

Differences from the paper:

- Dropout, the paper's only noise, is on in training alone. The paper keeps it when testing and finds "only minor
  stochasticity" (section 3.1); a deterministic model is easier to compare.
- Batch norms of the generator use their running statistics when testing, where the paper uses those of the test batch:
  an image must not depend on who is beside it.
- Training pairs are mirrored and not jittered: random crops of an enlarged icon of 32 pixels would blur its lines.
- The generator moves first and the discriminator judges what it has made, in place of making it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.gan.adversarial import nonsaturating_discriminator, nonsaturating_generator
from benchbench.models.nn.patchgan import PatchGAN
from benchbench.models.nn.unet import Norm, UNet
from benchbench.models.translation.translator import ImageToImage, OneWayConfig, both_domains, mirrored


class Triple(NamedTuple):
    """What one turn is about: the input, the target, and what was made of the input."""

    condition: Tensor
    target: Tensor
    made: Tensor


class Pix2Pix(ImageToImage):
    """Conditional GAN with L1 on pairs: the paired reference for the same data.

    n_hints: channels of the network's input beside the source image; `condition` fills them.
    """

    reference: ClassVar[str] = (
        "Isola, Zhu, Zhou & Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks, "
        "arXiv:1611.07004"
    )
    paired = True

    class Config(OneWayConfig, frozen=True):
        """The paper's weights; fewer levels than its 8, which are for 256×256 pixels."""

        width: int = Field(default=64, ge=1, description="channels of the U-Net's first level")
        depth: int = Field(default=5, ge=1, le=8, description="halvings of the U-Net")
        norm: Norm = Field(default="batch", description="norm of both networks; batch or instance")
        dropout: float = Field(
            default=0.5, ge=0, lt=1, description="on the U-Net's inner way up, in training"
        )
        disc_width: int = Field(default=64, ge=1, description="channels of the discriminator's first layer")
        disc_layers: int = Field(default=3, ge=1, description="halving layers of it; 3 see 70×70")
        lambda_l1: float = Field(default=100.0, ge=0, description="weight of the L1 loss")
        flip: bool = Field(default=True, description="mirror training pairs at random")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec, n_hints: int = 0) -> None:
        super().__init__(config, spec)
        c, given = spec.channels, spec.channels + n_hints
        self.generator = UNet(given, c, config.width, config.depth, norm=config.norm, dropout=config.dropout)
        self.discriminator = PatchGAN(spec, given + c, config.disc_width, config.disc_layers, config.norm)
        self._made: tuple[tuple[int, int], Triple] | None = None  # by the generator, of that step and part

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """The generator's image; nothing is drawn."""
        return self.generate(x)

    def generate(self, condition: Tensor) -> Tensor:
        """The network's input to float32 images N×channels×H×W in [-1, 1]."""
        made: Tensor = self.generator(condition)
        return made.float()

    def condition(self, source: Tensor, target: Tensor) -> Tensor:
        """The network's input in training."""
        return source

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """Two, each with its own optimiser."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The player's side of equation 4; curves `d_real` and `d_fake` are mean logits."""
        if phase.player == "generator":
            triple = self.make(batch)
            self._made = (batch.step, batch.part), Triple(*(part.detach() for part in triple))
            adversarial = nonsaturating_generator(self.score(triple.condition, triple.made, batch))
            l1 = F.l1_loss(triple.made, triple.target)
            return adversarial + self.config.lambda_l1 * l1, {
                "adversarial": adversarial.detach(),
                "l1": l1.detach(),
            }
        kept, self._made = self._made, None
        with torch.no_grad():
            triple = kept[1] if kept is not None and kept[0] == (batch.step, batch.part) else self.make(batch)
        on_fake = self.score(triple.condition, triple.made, batch)
        on_real = self.score(triple.condition, triple.target, batch)
        return nonsaturating_discriminator(on_real, on_fake) / 2, {
            "d_real": on_real.mean().detach(),
            "d_fake": on_fake.mean().detach(),
        }

    def make(self, batch: Batch) -> Triple:
        """The batch's pairs, mirrored at random, and what the generator makes of them."""
        source, target = self.ordered(*both_domains(batch))
        if self.config.flip:
            source, target = mirrored(source, target)
        condition = self.condition(source, target)
        return Triple(condition, target, self.generate(condition))

    def score(self, condition: Tensor, images: Tensor, batch: Batch) -> Tensor:
        """The discriminator's logits, float32 N×1×h×w."""
        scores: Tensor = self.discriminator(batch.augment(torch.cat([condition, images], dim=1)))
        return scores
