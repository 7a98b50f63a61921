"""U-Net (Ronneberger et al. 2015) in the form of Isola et al. 2017, section 3.2.1 and appendix 6.1.1.

`depth` strided 4×4 convolutions down with LeakyReLU of slope 0.2, as many transposed ones up with ReLU, and every map
on the way down handed across to the way up, so that what input and output share, the lines of a drawing, need not
pass the bottleneck. Channels double with each level, up to 8 times the first. There is no norm at the first level
(as in the paper) and none at the innermost, where a map may be a single pixel.

Any size: sides that 2^depth does not divide are filled up on the right and below with the border's
colours, and the output is cropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.models.gan.dcgan import SLOPE, channels_by_level
from benchbench.models.translation.translator import conv_weights

Norm = Literal["batch", "instance"]
NORMS: dict[Norm, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


class UNet(nn.Module):
    """Maps N×in_channels×H×W to N×out_channels×H×W; in [-1, 1] with `tanh`, else unbounded.

    width: channels of the first level. depth: halvings. norm: "batch" has running statistics for evaluation,
    "instance" looks at each image alone in training too. dropout: probability in the innermost levels on the way up
    (at most three, never in the last), in training only.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        depth: int = 4,
        *,
        norm: Norm = "batch",
        dropout: float = 0.0,
        tanh: bool = True,
    ) -> None:
        super().__init__()
        self.factor = 2**depth
        channels = channels_by_level(width, depth)
        make_norm = NORMS[norm]
        self.down = nn.ModuleList()
        for level, (before, after) in enumerate(zip([in_channels, *channels], channels, strict=False)):
            # No bias before a norm, which takes any constant away.
            normed = 0 < level < depth - 1
            layers: list[nn.Module] = [nn.LeakyReLU(SLOPE)] if level else []
            layers.append(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=not normed))
            self.down.append(nn.Sequential(*layers, *([make_norm(after)] if normed else [])))
        self.up = nn.ModuleList()  # the innermost first
        for level in range(depth - 1, -1, -1):
            before = channels[level] * (
                1 if level == depth - 1 else 2
            )  # all but the innermost get a skip too
            after = channels[level - 1] if level else out_channels
            layers = [
                nn.ReLU(),
                nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=not level),
            ]
            if level:
                layers.append(make_norm(after))
                if dropout and level >= depth - 3:
                    layers.append(nn.Dropout(dropout))
            elif tanh:
                layers.append(nn.Tanh())
            self.up.append(nn.Sequential(*layers))
        conv_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))[..., : x.shape[2], : x.shape[3]]

    def encode(self, x: Tensor) -> list[Tensor]:
        """The maps of every level before their rectifiers, largest first, of the filled-up input: level k has sides
        ceil(H / 2^depth)·2^(depth - 1 - k), and so for W."""
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % self.factor, 0, -height % self.factor), mode="replicate")
        maps = []
        for level in self.down:
            x = level(x)
            maps.append(x)
        return maps

    def decode(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps as `encode` gives them to the output, not yet cropped."""
        *skips, x = maps
        for number, level in enumerate(self.up):
            if number:
                x = torch.cat([skips[-number], x], dim=1)
            x = level(x)
        return x
