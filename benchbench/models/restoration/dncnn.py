"""DnCNN: a stack of convolutions that predicts the noise (Zhang, Zuo, Chen, Meng & Zhang 2017).

Pattern: a convolution with ReLU, convolutions with batch norm and ReLU, a last convolution; the output is the noise,
which is taken away (section III-B, equation 1). `DnCNN` learns what it is asked to undo (DnCNN-S: 17 layers),
`DnCNNB` Gaussian noise of every strength up to 55 (DnCNN-B: 20 layers), `DnCNN3` such noise, enlargement by 2, 3 and 4
and JPEG of qualities 5 to 99 with one network (DnCNN-3, section III-E).

Trade-offs: Adam with a falling learning rate in place of gradient descent with momentum; enlarged images come to
`DnCNN3` by bicubic interpolation, as in the paper.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.jpeg import jpeg
from benchbench.data.degrade.resize import imresize
from benchbench.models.restoration.restorer import RANGE, LearnedRestorer, RestorerConfig
from benchbench.models.restoration.srcnn import enlarged

STRONGEST = 55
"""The largest standard deviation of the noise that blind models learn, in grey levels."""

QUALITIES = (5, 99)
SCALES = (2, 3, 4)


class DnCNN(LearnedRestorer):
    """A stack of convolutions that predicts the noise, for the degradation it is asked to undo."""

    reference: ClassVar[str] = (
        "Zhang, Zuo, Chen, Meng & Zhang 2017, Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image "
        "Denoising, arXiv:1608.03981"
    )
    patch: ClassVar[int] = 48
    undoes: ClassVar[tuple[str, ...]] = ("denoise", "deblock", "super-resolution")

    class Config(RestorerConfig, frozen=True):
        """DnCNN-S."""

        depth: int = Field(default=17, ge=3, le=100, description="convolutions")
        width: int = Field(default=64, ge=1, le=1024, description="filters of each but the last")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.radius = config.depth
        layers: list[nn.Module] = [
            nn.Conv2d(self.channels, config.width, 3, padding=1),
            nn.ReLU(inplace=True),
        ]
        for _ in range(config.depth - 2):
            layers += [
                nn.Conv2d(config.width, config.width, 3, padding=1, bias=False),
                nn.BatchNorm2d(config.width, eps=1e-4),
                nn.ReLU(inplace=True),
            ]
        layers.append(nn.Conv2d(config.width, self.channels, 3, padding=1))
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.normal_(layers[-1].weight, std=1e-3)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers)

    def prepared(self, planes: Tensor) -> Tensor:
        """Planes brought to the size of what is made of them."""
        scale = self.degradation.scale
        return enlarged(planes, scale) if scale > 1 else planes

    def forward(self, x: Tensor) -> Tensor:
        """Planes in [0, 1] without what is predicted to be noise."""
        noise: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return x - noise


class DnCNNB(DnCNN):
    """DnCNN for Gaussian noise of any strength up to 55."""

    undoes: ClassVar[tuple[str, ...]] = ("denoise",)
    blind: ClassVar[bool] = True

    class Config(DnCNN.Config, frozen=True):
        """DnCNN-B."""

        depth: int = Field(default=20, ge=3, le=100, description="convolutions")

    def degraded(self, clean: Tensor) -> Tensor:
        """Noise of another strength for each patch."""
        return noisy(clean)


class DnCNN3(DnCNNB):
    """DnCNN for noise, enlargement and JPEG with one network."""

    undoes: ClassVar[tuple[str, ...]] = ("denoise", "deblock", "super-resolution")

    def degraded(self, clean: Tensor) -> Tensor:
        """Each patch with noise, enlarged or out of a JPEG file, by chance and as often."""
        ways = (noisy, _blurred, _blocked)
        drawn = torch.randint(len(ways), (len(clean),)).tolist()
        return torch.cat([ways[way](plane[None]) for way, plane in zip(drawn, clean, strict=True)])


def noisy(clean: Tensor) -> Tensor:
    """Planes with Gaussian noise, of each another strength, uniform on 0..55 grey levels."""
    strengths = torch.rand(len(clean), 1, 1, 1, device=clean.device) * (STRONGEST / RANGE)
    return clean + strengths * torch.randn_like(clean)


def _blurred(clean: Tensor) -> Tensor:
    """A plane made smaller by 2, 3 or 4 and larger again, both bicubic."""
    scale = SCALES[int(torch.randint(len(SCALES), ()))]
    height, width = clean.shape[2:]
    small = imresize(clean * RANGE, -(-height // scale), -(-width // scale)).round().clamp(0, RANGE)
    return imresize(small / RANGE, height, width)


def _blocked(clean: Tensor) -> Tensor:
    """A plane out of a JPEG file of a quality from 5 to 99."""
    quality = int(torch.randint(QUALITIES[0], QUALITIES[1] + 1, ()))
    levels = (clean * RANGE).round().clamp(0, RANGE).to(torch.uint8).expand(-1, 3, -1, -1)
    return jpeg(levels, quality)[:, : clean.shape[1]].to(clean) / RANGE
