"""The discriminator of StyleGAN2: residual, with the deviation within small groups of images as one more map (Karras
et al. 2020, figure 7c; Karras et al. 2018, section 3)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.protocols import ImageSpec
from benchbench.models.gan.adversarial import halvings
from benchbench.models.gan.dcgan import fill_up, smallest_maps
from benchbench.models.gan.equalized import EqualConv2d, EqualLinear, rectified
from benchbench.models.gan.style_generator import channels_from_the_image

GROUP = 4  # images whose deviation is measured together


def with_deviation(x: Tensor) -> Tensor:
    """Maps N×C×H×W and one more: the standard deviation over a group of images, averaged over all channels and
    positions, the same number everywhere (Karras et al. 2018, section 3).

    A group has as many images as divide the batch, up to 4: those whose numbers leave the same rest by N / group. The
    deviation of a group of one is 0, that under the root 1e-8 more.
    """
    group = next(size for size in range(GROUP, 0, -1) if len(x) % size == 0)
    groups = x.view(group, -1, *x.shape[1:]).float()
    variance = (groups - groups.mean(0)).square().mean(0)
    deviation = (variance + 1e-8).sqrt().mean((1, 2, 3)).to(x.dtype)
    return torch.cat([x, deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])], dim=1)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions, the second to half the sides, and a 1×1 one past them; the sum is divided by √2."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = EqualConv2d(before, before, 3)
        self.second = EqualConv2d(before, after, 3, down=True)
        self.skip = EqualConv2d(before, after, 1, bias=False, down=True)

    def forward(self, x: Tensor) -> Tensor:
        made = rectified(self.second(rectified(self.first(x))))
        summed: Tensor = (made + self.skip(x)) / math.sqrt(2)
        return summed


class StyleDiscriminator(nn.Module):
    """Images N×C×H×W, and labels where there are classes, to scores (N,).

    With classes the score is <v / ‖v‖, D′(x)>, v a learned vector of the class and D′ the last layer (Karras et al.
    2020b, appendix, on class-conditional CIFAR-10, after Miyato & Koyama 2018).
    """

    def __init__(self, spec: ImageSpec, width: int, n_classes: int, size: int) -> None:
        """size: of the vector of a class."""
        super().__init__()
        channels = channels_from_the_image(width, halvings(spec))
        last = channels[-1]
        self.fill = fill_up(spec)
        self.from_image = EqualConv2d(spec.channels, channels[0], 1)
        self.blocks = nn.Sequential(*(ResidualBlock(*pair) for pair in itertools.pairwise(channels)))
        self.last = EqualConv2d(last + 1, last, 3)
        self.hidden = EqualLinear(last * math.prod(smallest_maps(spec)), last)
        self.head = EqualLinear(last, size if n_classes else 1)
        self.classes = nn.Embedding(n_classes, size) if n_classes else None

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        x = self.blocks(rectified(self.from_image(self.fill(x))))
        x = rectified(self.last(with_deviation(x)))
        made: Tensor = self.head(rectified(self.hidden(x.flatten(1))))
        if self.classes is None:
            return made.squeeze(1)
        return (F.normalize(self.classes(labels), dim=1) * made).sum(1)
