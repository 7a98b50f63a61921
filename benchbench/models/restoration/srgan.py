"""SRGAN: EDSR's generator against a discriminator, for sharpness at the cost of PSNR (Ledig et al. 2017).

Pattern: the generator learns the content loss alone for the first `pretrain` steps (SRResNet, section 3.2), in which
the discriminator stands still; then both move in every step, and the generator's loss is content plus `adversarial`
times -log D (equations 3 and 6). The discriminator tells sharp patches from made ones: 3×3 convolutions with LeakyReLU
and batch norm, halved sides and doubled widths (figure 4).

Trade-offs: the content loss is the mean squared error (the paper's SRGAN-MSE row), not the distance in the maps of a
VGG, whose weights are not ours to ship; the generator is EDSR's, without batch norm; the discriminator is narrower and
ends in a mean over positions, so that it fits patches of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.models.gan.adversarial import nonsaturating_discriminator, nonsaturating_generator
from benchbench.models.restoration.edsr import EDSR


class SRGAN(EDSR):
    """EDSR's generator against a discriminator: sharper, at the cost of PSNR."""

    reference: ClassVar[str] = (
        "Ledig et al. 2017, Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network, "
        "arXiv:1609.04802"
    )

    class Config(EDSR.Config, frozen=True):
        """A generator as EDSR's, and the game."""

        adversarial: float = Field(
            default=1e-3, ge=0, allow_inf_nan=False, description="weight of the adversarial loss"
        )
        pretrain: int = Field(default=3000, ge=0, le=1_000_000, description="steps of the content loss alone")
        critic_width: int = Field(
            default=32, ge=1, le=1024, description="filters of the discriminator's first layer"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.adversarial, self.pretrain = config.adversarial, config.pretrain
        self.discriminator = Discriminator(self.channels, config.critic_width)

    def players(self) -> Mapping[str, nn.Module]:
        """The discriminator moves first, then the generator."""
        generator = nn.ModuleList([self.head, self.body, self.tail])
        return {"discriminator": self.discriminator, "generator": generator}

    def distance(self, made: Tensor, clean: Tensor) -> Tensor:
        """The content loss: the mean squared error (equation 4)."""
        return F.mse_loss(made, clean)

    def turns(self, step: int) -> Sequence[str]:
        """Who learns in a step: by stages, so not by phases, which are in every step."""
        return ("generator",) if step < self.pretrain else ("discriminator", "generator")

    def loss(self, phase: Phase | str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What a player minimises. phase: of it, or its name."""
        clean = self.planes(batch.x)
        made = self(self.degraded(clean)).float()
        if (phase if isinstance(phase, str) else phase.player) == "discriminator":
            return nonsaturating_discriminator(
                self.discriminator(clean), self.discriminator(made.detach())
            ), {}
        content = self.distance(made, clean)
        logs = {"psnr": -10 * content.detach().log10()}
        if batch.step < self.pretrain:
            return content, logs
        game = nonsaturating_generator(self.discriminator(made))
        return content + self.adversarial * game, logs | {"adversarial": game.detach()}


class Discriminator(nn.Module):
    """Planes in [0, 1], N×C×H×W, to logits (N,), higher for what is taken for sharp."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
        for before, after, stride in ((1, 1, 2), (1, 2, 1), (2, 2, 2), (2, 4, 1), (4, 4, 2)):
            layers += [
                nn.Conv2d(before * width, after * width, 3, stride=stride, padding=1),
                nn.BatchNorm2d(after * width),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(4 * width, 8 * width), nn.LeakyReLU(0.2), nn.Linear(8 * width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        scores: Tensor = self.head(self.layers(2 * x - 1).mean((2, 3)))
        return scores[:, 0]
