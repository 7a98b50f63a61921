"""The generator of StyleGAN2 (Karras et al. 2020, sections 2 to 4; Karras et al. 2019 where that builds on it).

A mapping network makes a style w of the latent z; each layer of the synthesis network is a convolution whose inputs
are scaled by an affine function of a style and whose outputs are scaled back to unit variance, to which noise is
added. Images are the sum of what each size of maps has to say, each made larger as it comes (figure 7b, "output
skips").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import halvings
from benchbench.models.gan.dcgan import smallest_maps
from benchbench.models.gan.equalized import EqualLinear, blurred, doubled, rectified

WIDEST = 512  # channels, in both players
MAPPING_RATE = 0.01  # learning rate multiplier of the mapping network
MEAN_DECAY = 0.995  # of the running mean of w, a batch
_TINY = 1e-8


def channels_from_the_image(width: int, levels: int) -> list[int]:
    """Of the maps at the image's size and after each of `levels` halvings: doubled each time, up to 512."""
    return [min(width * 2**level, max(width, WIDEST)) for level in range(levels + 1)]


def unit_mean_square(x: Tensor) -> Tensor:
    """Rows scaled to a mean square of 1 (Karras et al. 2018, section 4.2, over the numbers of a latent)."""
    return x * (x.square().mean(1, keepdim=True) + _TINY).rsqrt()


def crossed(styles: Tensor, others: Tensor, crossover: Tensor) -> Tensor:
    """Styles (N, layers, size) up to each image's `crossover`, int64 (N,), those of `others` from there on (Karras et
    al. 2019, section 3.1)."""
    ours = torch.arange(styles.shape[1], device=styles.device) < crossover[:, None]
    return torch.where(ours[..., None], styles, others)


class Mapping(nn.Module):
    """Latents (N, latent), and labels (N,) where there are classes, to styles (N, size).

    Where there are classes, a learned vector of the class of as many numbers stands beside the latent, each of the
    two normalised (Karras et al. 2020b, appendix, on class-conditional CIFAR-10).
    """

    def __init__(self, latent: int, size: int, layers: int, n_classes: int) -> None:
        super().__init__()
        self.latent = latent
        self.classes = nn.Embedding(n_classes, latent) if n_classes else None
        widths = [2 * latent if n_classes else latent, *[size] * layers]
        self.layers = nn.ModuleList(
            EqualLinear(before, after, multiplier=MAPPING_RATE)
            for before, after in itertools.pairwise(widths)
        )

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        x = unit_mean_square(z)
        if self.classes is not None:
            x = torch.cat([x, unit_mean_square(self.classes(labels))], dim=1)
        for layer in self.layers:
            x = rectified(layer(x))
        return x


class ModulatedConv2d(nn.Module):
    """A convolution without bias of maps N×inputs×H×W under styles (N, size): equations 1 and 3.

    Scaling inputs and outputs of one convolution is what scaling its weights image by image would be, since both are
    linear, and needs no weights of each image's own. demodulate: whether outputs are scaled back. doubles: whether
    the sides become twice as large.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, size: int, demodulate: bool = True, doubles: bool = False
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.scale = 1 / math.sqrt(inputs * side**2)
        self.demodulate, self.doubles = demodulate, doubles

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style, weight = self.affine(w), self.weight * self.scale
        x = x * style[..., None, None]
        if self.doubles:
            x = blurred(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), (1, 1), gain=4.0)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[2] // 2)
        if self.demodulate:
            squares = style.square() @ weight.square().sum((2, 3)).T
            x = x * (squares + _TINY).rsqrt()[..., None, None]
        return x


class StyledLayer(nn.Module):
    """A 3×3 modulated convolution, noise (N, 1, H, W) times one learned strength, bias, rectifier (figure 2c)."""

    def __init__(self, inputs: int, outputs: int, size: int, doubles: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, outputs, 3, size, doubles=doubles)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        return rectified(self.convolution(x, w) + self.strength * noise + self.bias[:, None, None])


class ToImage(nn.Module):
    """Maps to colours: modulated 1×1, not scaled back, and a bias."""

    def __init__(self, inputs: int, colours: int, size: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, colours, 1, size, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(colours))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        colours: Tensor = self.convolution(x, w) + self.bias[:, None, None]
        return colours


class StyleGenerator(nn.Module):
    """Latents (N, latent) to images of about [-1, 1], a little larger than asked where a side is no multiple.

    n_styles: how many styles an image has, one a layer. sides: of the noise that each layer takes.
    mixing: share of the images in training that change to another latent's style on the way.
    w_mean: where styles are on average, for truncation.
    """

    w_mean: Tensor

    def __init__(self, spec: ImageSpec, mapping: Mapping, sizes: tuple[int, int], mixing: float) -> None:
        """sizes: of a style, and how many channels the largest maps have."""
        super().__init__()
        size, width = sizes
        levels = halvings(spec)
        channels = channels_from_the_image(width, levels)[::-1]
        start = smallest_maps(spec)
        self.mapping, self.mixing = mapping, mixing
        self.constant = nn.Parameter(torch.randn(1, channels[0], *start))
        self.layers = nn.ModuleList([StyledLayer(channels[0], channels[0], size, doubles=False)])
        self.to_images = nn.ModuleList([ToImage(channels[0], spec.channels, size)])
        self.sides = [start]
        for level, (before, after) in enumerate(itertools.pairwise(channels), 1):
            self.layers.append(StyledLayer(before, after, size, doubles=True))
            self.layers.append(StyledLayer(after, after, size, doubles=False))
            self.to_images.append(ToImage(after, spec.channels, size))
            self.sides += [(start[0] << level, start[1] << level)] * 2
        self.n_styles = len(self.layers) + 1
        self.register_buffer("w_mean", torch.zeros(size))

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        w = self.mapping(z, labels)
        styles = w[:, None].expand(-1, self.n_styles, -1)
        if self.training:
            self.w_mean.lerp_(w.detach().float().mean(0), 1 - MEAN_DECAY)
            if self.mixing:
                styles = self._mixed(styles, labels)
        return self.synthesis(styles)

    def _mixed(self, styles: Tensor, labels: Tensor | None) -> Tensor:
        n, device = len(styles), styles.device
        others = self.mapping(torch.randn(n, self.mapping.latent, device=device), labels)
        crossover = torch.randint(1, self.n_styles, (n,), device=device)
        whole = torch.rand(n, device=device) >= self.mixing
        return crossed(styles, others[:, None], crossover.masked_fill(whole, self.n_styles))

    def synthesis(self, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Styles (N, n_styles, size) to images N×C×H×W; noise (N, 1, *sides) a layer, None draws from torch's global
        generator. Where the maps of a size are turned into colours, it is by the style of the layer that follows."""
        n = len(styles)
        if noise is None:
            noise = [torch.randn(n, 1, *side, device=styles.device) for side in self.sides]
        x, images = (
            self.constant.repeat(n, 1, 1, 1),
            None,
        )  # no view, which would count as learning without grad
        for number, (layer, added) in enumerate(zip(self.layers, noise, strict=True)):
            x = layer(x, styles[:, number], added)
            if number % 2 == 0:
                colours = self.to_images[number // 2](x, styles[:, number + 1])
                images = colours if images is None else doubled(images) + colours
        assert isinstance(images, Tensor)
        return images
