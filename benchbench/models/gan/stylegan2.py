"""StyleGAN2 (Karras et al. 2020): styles instead of latents, convolutions that are modulated, lazy regularisation.

The networks are in `style_generator` and `style_discriminator`, what they share in `equalized`; here is the game:

- the non-saturating loss (Goodfellow et al. 2014);
- R1 (Mescheder et al. 2018, equation 9) every 16 steps, of what the discriminator sees;
- the path length (equation 4) every 8 steps: what an image moves by a step of its style shall be the same everywhere,
  and in all directions; its weight is the paper's ln 2 / (r² (ln r - ln 2)) for maps of r pixels (appendix B);
- style mixing, truncation towards the mean style (`sampling.psi`, `sampling.cutoff`; Karras et al. 2019);
- the generator's weights are averaged by a half-life (`training.ema`);
- `ada=true`: adaptive augmentation (`ada`), after whatever `training.diffaugment` does; use one of them.

`conditional=true` makes it class-conditional as Karras et al. 2020b do for CIFAR-10. Their settings for that dataset
besides: `mapping_layers=2 mixing=0 path_length=0 r1=0.01`.

Where this departs: channels are `width` at the size of the image and double with each halving, up to 512 (32 at
1024×1024 is the paper's); the number of halvings follows the size of the images as in `dcgan`, so that the smallest
maps are about 4×4. Other sizes than powers of two are cropped from larger ones on the right and below, and filled up
there with mid-grey for the discriminator: 28×28 is made as 32×32. The path length takes whole batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.bounds import MOST_LATENT
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.gan.ada import STEPS, AdaptiveAugmentation
from benchbench.models.gan.adversarial import Adversarial, AdversarialConfig, check_classes
from benchbench.models.gan.style_discriminator import StyleDiscriminator
from benchbench.models.gan.style_generator import Mapping, StyleGenerator
from benchbench.models.nn.given import classes_asked_for

LENGTH_DECAY = 0.99  # of the running mean of path lengths
R1_EVERY, PATH_EVERY = 16, 8


class StyleGAN2(Adversarial):
    """Style-based GAN with modulated convolutions and lazy regularisation; `ada=true` for few images."""

    reference: ClassVar[str] = (
        "Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, arXiv:1912.04958"
    )

    class Config(AdversarialConfig, frozen=True):
        """The paper's values."""

        latent: int = Field(default=512, ge=1, le=MOST_LATENT, description="size of the noise z")
        style: int = Field(default=512, ge=1, description="size of a style w")
        mapping_layers: int = Field(default=8, ge=1, le=32, description="layers from z to w")
        width: int = Field(
            default=32, ge=1, description="channels of the largest maps; doubled with each halving, up to 512"
        )
        mixing: float = Field(
            default=0.9, ge=0, le=1, description="share of generated images in training that have two styles"
        )
        r1: float = Field(default=10.0, ge=0, description="weight γ of R1; 0 = none")
        path_length: float = Field(
            default=1.0, ge=0, description="weight of the path length, times the paper's; 0 = none"
        )
        conditional: bool = Field(default=False, description="condition on labels")
        ada: bool = Field(default=False, description="adaptive augmentation of what the discriminator sees")
        ada_target: float = Field(
            default=0.6, ge=-1, le=1, description="mean sign of real scores that the augmentation keeps to"
        )
        ada_images: float = Field(
            default=500_000,
            gt=0,
            description="images after which the augmentation could have gone from 0 to 1",
        )

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """Truncation in w (Karras et al. 2019, appendix B)."""

        psi: float = Field(
            default=1.0,
            ge=-1,
            le=1,
            description="styles are at this share of the way from their mean; 1 = off",
        )
        cutoff: int | None = Field(
            default=None, ge=0, description="of how many layers, from the smallest maps on; none = all"
        )

    config: Config
    sampling = Sampling()
    generator: StyleGenerator
    mean_length: Tensor

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        if config.conditional:
            check_classes(spec, "stylegan2 with conditional=true")
        n_classes = spec.n_classes if config.conditional else 0
        mapping = Mapping(config.latent, config.style, config.mapping_layers, n_classes)
        generator = StyleGenerator(spec, mapping, (config.style, config.width), config.mixing)
        discriminator = StyleDiscriminator(spec, config.width, n_classes, config.style)
        super().__init__(config, spec, generator, discriminator, conditional=config.conditional)
        self.ada = AdaptiveAugmentation(config.ada_target, config.ada_images) if config.ada else None
        self.adjusted: int | None = None  # the step in which the augmentation was changed last
        self.register_buffer("mean_length", torch.zeros(()), persistent=False)

    def phases(self) -> Sequence[Phase]:
        """Those of any GAN and, lazily, the two regularisations (section 3.1), on batches that were seen already."""
        lazy = [
            (self.config.r1, Phase("discriminator", "r1", every=R1_EVERY, fresh_batch=False)),
            (self.config.path_length, Phase("generator", "path_length", every=PATH_EVERY, fresh_batch=False)),
        ]
        return (*super().phases(), *(phase for weight, phase in lazy if weight))

    def averaged(self) -> Sequence[nn.Module]:
        """The generator."""
        return [self.generator]

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """As in any GAN, on images augmented with the probability that is right now; its curves are `ada_p` and
        `ada_r`, the mean sign of real scores."""
        if (ada := self.ada) is None:
            return super().loss(phase, batch)
        main = phase == Phase("discriminator")
        if main and batch.part == 0 and batch.step % STEPS == 0 and batch.step != self.adjusted:
            ada.adjust()
            self.adjusted = (
                batch.step
            )  # the second turn of a step has seen one batch, and not those of four steps
        augment = batch.augment
        loss, logs = super().loss(phase, replace(batch, augment=lambda x: ada(augment(x))))
        if main:
            logs |= {"ada_p": ada.p.clone(), "ada_r": ada.overfitting}
        return loss, logs

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The non-saturating one; the augmentation learns how sure the discriminator is."""
        if self.ada is not None:
            self.ada.observe(real)
        return super().discriminator_loss(real, fake)

    def regularization(self, phase: Phase, batch: Batch) -> Tensor:
        """Gradients of gradients in float32, also under autocast."""
        with torch.autocast(batch.x.device.type, enabled=False):
            return self._r1(batch) if phase.name == "r1" else self._path_length(batch)

    def _r1(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            real = batch.augment(batch.x)
        real = real.detach().requires_grad_()  # without augmentation it is the batch itself
        labels = batch.labels if self.conditional else None
        (slope,) = torch.autograd.grad(self.score(real, labels).sum(), real, create_graph=True)
        return self.config.r1 / 2 * slope.square().sum((1, 2, 3)).mean()

    def _path_length(self, batch: Batch) -> Tensor:
        labels = batch.labels if self.conditional else None
        w = self.generator.mapping(
            torch.randn(len(batch.x), self.config.latent, device=batch.x.device), labels
        )
        images = self.generator.synthesis(w[:, None].expand(-1, self.generator.n_styles, -1))
        (slope,) = torch.autograd.grad((images * torch.randn_like(images)).sum(), w, create_graph=True)
        lengths = slope.square().sum(1).sqrt()
        self.mean_length.lerp_(lengths.detach().mean(), 1 - LENGTH_DECAY)
        weight = self.config.path_length * path_weight(min(images.shape[2:]))
        deviation: Tensor = (lengths - self.mean_length).square().mean()
        return weight * deviation

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images. `rng` gives the labels, where they count and are open, then z, then the noise of all
        layers."""
        network, device = self.generator, self.generator.w_mean.device
        asked = classes_asked_for(labels, self.spec.n_classes, rng, device) if self.conditional else None
        w = network.mapping(rng.normal(self.config.latent).to(device), asked)
        pixels = [height * width for height, width in network.sides]
        drawn = rng.normal(sum(pixels)).to(device).split(pixels, dim=1)
        noise = [one.view(n, 1, *side) for one, side in zip(drawn, network.sides, strict=True)]
        images = network.synthesis(self.truncated(w), noise)
        return quantize(images[..., : self.spec.height, : self.spec.width].float())

    def truncated(self, w: Tensor) -> Tensor:
        """Styles (N, size) to those of each layer (N, n_styles, size), w̄ + ψ (w - w̄) in the first `cutoff`."""
        psi, cutoff = self.sampling.psi, self.sampling.cutoff
        near = self.generator.w_mean.lerp(w, psi)
        n_styles = self.generator.n_styles
        share = n_styles if cutoff is None else min(cutoff, n_styles)
        return torch.stack([near] * share + [w] * (n_styles - share), dim=1)


def path_weight(side: int) -> float:
    """γ_pl of equation 4 for images of `side` pixels (appendix B).

    >>> round(path_weight(1024) * 1024**2, 3)
    0.111
    """
    return math.log(2) / (side**2 * (math.log(side) - math.log(2)))
