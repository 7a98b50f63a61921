"""SNGAN (Miyato et al. 2018): every weight of the discriminator is divided by its largest singular value.

One step of power iteration in each pass keeps the estimate of that value fresh (algorithm 1); torch's own
`spectral_norm` does it. Convolution kernels count as matrices of (outputs, inputs·kernel), as in the paper.
The loss is the hinge (equations 16 and 17), the networks are the paper's standard CNN (table 3): a 3×3 and a
halving 4×4 convolution a level. Slopes are 0.1.

`projection=true` makes it label-conditional: the discriminator adds <V·y, φ(x)> to its score (Miyato & Koyama
2018, equation 3), the generator's batch norms have gains and biases by class (Dumoulin et al. 2017).

The power iteration also moves in the generator's turns, as every pass of the discriminator moves it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import (
    Adversarial,
    check_classes,
    critic_generator,
    halvings,
    hinge_discriminator,
)
from benchbench.models.gan.dcgan import DCGAN, ConvGenerator, channels_by_level, fill_up, smallest_maps

SLOPE = 0.1


class SNGAN(Adversarial):
    """GAN with spectral norm and hinge loss; `projection=true` makes it label-conditional."""

    reference: ClassVar[str] = (
        "Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, arXiv:1802.05957"
    )

    class Config(DCGAN.Config, frozen=True):
        """DCGAN's, and whether labels count."""

        latent: int = Field(default=128, ge=1, description="size of the noise an image is made from")
        projection: bool = Field(default=False, description="condition on labels by projection")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        if config.projection:
            check_classes(spec, "sngan with projection=true")
        n_classes = spec.n_classes if config.projection else 0
        channels = channels_by_level(config.width, halvings(spec) + 1)
        generator = ConvGenerator(
            config.latent,
            smallest_maps(spec),
            channels[::-1],
            nn.Conv2d(config.width, spec.channels, kernel_size=3, padding=1),
            partial(ClassBatchNorm2d, n_classes=n_classes) if n_classes else nn.BatchNorm2d,
        )
        discriminator = SNDiscriminator(spec, channels, n_classes)
        super().__init__(config, spec, generator, discriminator, conditional=config.projection)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Equation 16."""
        return hinge_discriminator(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Equation 17."""
        return critic_generator(fake)


class ClassBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose gain and bias belong to a class; maps N×C×H×W and labels (N,) in, the same shape out."""

    def __init__(self, num_features: int, n_classes: int) -> None:
        super().__init__(num_features, affine=False)
        self.gain = nn.Embedding(n_classes, num_features)
        self.shift = nn.Embedding(n_classes, num_features)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        gain, shift = self.gain(labels)[..., None, None], self.shift(labels)[..., None, None]
        normed: Tensor = super().forward(x) * gain + shift
        return normed


class SNDiscriminator(nn.Module):
    """Images N×C×H×W, and labels where there are classes, to scores (N,)."""

    def __init__(self, spec: ImageSpec, channels: list[int], n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [fill_up(spec)]
        before = spec.channels
        for width in channels[:-1]:
            layers += [
                nn.Conv2d(before, width, kernel_size=3, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(width, width, kernel_size=4, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
            ]
            before = width
        layers += [
            nn.Conv2d(before, channels[-1], kernel_size=3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
        ]
        self.features = nn.Sequential(*layers)
        n_features = channels[-1] * math.prod(smallest_maps(spec))
        self.head = nn.Linear(n_features, 1)
        self.classes = nn.Embedding(n_classes, n_features) if n_classes else None
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(module)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.features(x)
        scores: Tensor = self.head(features).squeeze(1)
        if self.classes is not None:
            scores = scores + (self.classes(labels) * features).sum(1)
        return scores
