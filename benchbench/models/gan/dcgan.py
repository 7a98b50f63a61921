"""DCGAN (Radford, Metz & Chintala 2016), and the convolutional networks that other families build on.

The paper's guidelines (section 3): strided convolutions instead of pooling, batch norm in both networks but
neither at the generator's output nor at the discriminator's input, ReLU and tanh in the generator, LeakyReLU
with slope 0.2 in the discriminator, weights from N(0, 0.02²) (section 4).

Any size from 8×8 up: the generator starts at the sides divided by 2^k, rounded up, and its images are
cropped; the discriminator fills up with zeros, mid-grey, on the right and below. The number k of levels
brings the short side to about 4. Kernels are 4×4, which the stride divides, so they overlap evenly
(Odena et al. 2016); the paper's are 5×5. At 32×32 there is one level less than in the paper's 64×64 network.

In long runs its quality rises and then falls: look at the curves before choosing a length.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import Adversarial, AdversarialConfig, halvings

SLOPE = 0.2  # of the discriminator's rectifiers below zero
WIDEST = 8  # times the first width; the paper's four levels reach it, more levels add no channels


def channels_by_level(width: int, levels: int) -> list[int]:
    """`width` channels at the largest maps, twice as many at each level below, up to 8 times."""
    return [width * min(2**level, WIDEST) for level in range(levels)]


def smallest_maps(spec: ImageSpec) -> tuple[int, int]:
    """Height and width after all halvings, rounded up."""
    factor = 2 ** halvings(spec)
    return -(-spec.height // factor), -(-spec.width // factor)


def fill_up(spec: ImageSpec) -> nn.ZeroPad2d:
    """Zeros on the right and below, so that every halving comes out even."""
    factor = 2 ** halvings(spec)
    return nn.ZeroPad2d((0, -spec.width % factor, 0, -spec.height % factor))


class ConvGenerator(nn.Module):
    """Latents (N, latent) to images in [-1, 1]: a projection to the smallest maps, then doublings.

    channels: of the smallest maps, then after each doubling. to_image: from maps of `channels[-1]` to colours.
    norm: makes the norm of so many channels; it is called with the labels where there are any.
    """

    def __init__(
        self,
        latent: int,
        start: tuple[int, int],
        channels: list[int],
        to_image: nn.Module,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.start = (channels[0], *start)
        # No biases: the norm that follows takes any constant away.
        self.project = nn.Linear(latent, channels[0] * start[0] * start[1], bias=False)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=False)
            for before, after in itertools.pairwise(channels)
        )
        self.norms = nn.ModuleList(norm(width) for width in channels)
        self.to_image = to_image

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.project(z).unflatten(1, self.start)
        for norm, after in zip(self.norms, [*self.doublings, self.to_image], strict=True):
            x = after(F.relu(norm(x) if labels is None else norm(x, labels)))
        images: Tensor = x.tanh()
        return images


class ConvDiscriminator(nn.Module):
    """Images N×C×H×W to logits of being real, (N,): halvings, then one linear layer over all positions."""

    def __init__(self, spec: ImageSpec, n_inputs: int, width: int, normalized: bool) -> None:
        super().__init__()
        channels = channels_by_level(width, halvings(spec))
        layers: list[nn.Module] = [fill_up(spec)]
        for number, (before, after) in enumerate(itertools.pairwise([n_inputs, *channels])):
            normed = normalized and number > 0
            layers.append(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=not normed))
            if normed:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels[-1] * math.prod(smallest_maps(spec)), 1), nn.Flatten(0)
        )

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores


def dcgan_generator(spec: ImageSpec, latent: int, width: int) -> ConvGenerator:
    """The paper's: the last doubling makes the image, so the smallest maps have the most channels."""
    channels = channels_by_level(width, halvings(spec))[::-1]
    to_image = nn.ConvTranspose2d(channels[-1], spec.channels, kernel_size=4, stride=2, padding=1)
    return ConvGenerator(latent, smallest_maps(spec), channels, to_image)


def dcgan_weights(network: nn.Module) -> None:
    """Weights from N(0, 0.02²), gains of norms from N(1, 0.02²), no biases (section 4 and the authors' code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1, 0.02)


class DCGAN(Adversarial):
    """Convolutional generative adversarial network with batch norm, non-saturating loss."""

    reference: ClassVar[str] = (
        "Radford, Metz & Chintala 2016, Unsupervised Representation Learning with Deep Convolutional Generative "
        "Adversarial Networks, arXiv:1511.06434"
    )

    class Config(AdversarialConfig, frozen=True):
        """The same width for both players."""

        latent: int = Field(default=100, ge=1, description="size of the noise an image is made from")
        width: int = Field(
            default=64, ge=1, description="channels of the largest maps; doubled with each halving"
        )

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(
            config,
            spec,
            dcgan_generator(spec, config.latent, config.width),
            ConvDiscriminator(spec, spec.channels, config.width, normalized=True),
        )
        dcgan_weights(self)
