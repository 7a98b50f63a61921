"""Face swap with one shared encoder and two decoders, the "original" model of deepfakes/faceswap (2017).

Each identity's pictures are warped at random, go through the encoder that both identities share, and are straightened
and restored by that identity's own decoder; the loss is the mean absolute error, both identities summed. No picture of
one is ever compared with a picture of the other. A swap is the encoder followed by the other decoder: it works as far
as the code holds what the identities share, figure and pose, and not which of the two it shows. There is no paper by
the original's author; Perov et al. 2020 describe the same design as the "DF" structure of DeepFaceLab.

What keeps identity out of the code is its narrowness. The original's is a dense layer, learned from thousands of faces
cropped alike; from a few hundred different figures a dense layer loses the figure before it loses the identity. So the
code is a map here, and other things keep identity out of it:

- instance norms in the encoder take mean and scale away from every channel of every picture;
- in training, Gaussian noise is added to the normalised code. A channel with noise carries at most
  ½ log2(1 + 1 / noise²) bits a value, and what a decoder knows without being told is the first not worth sending;
- where identities differ in how light they are, a random tone curve on the input, and not on the target, in training
  makes lightness say nothing of the picture (off by default; the original has none).

From the original: 5×5 convolutions of stride 2 down, 3×3 ones and pixel shuffle up, LeakyReLU of slope 0.1. Outputs
are not squashed but clamped in use: under L1 a saturating output gets stuck at the white that most pixels have.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.warp import random_warp
from benchbench.models.translation.translator import TwoWay, both_domains, mirrored

SLOPE = 0.1  # of the rectifiers below zero


class FaceSwap(TwoWay):
    """Face swap: one shared encoder, two decoders, warped inputs."""

    reference: ClassVar[str] = (
        "deepfakes/faceswap 2017; described as the DF structure in Perov et al. 2020, DeepFaceLab, arXiv:2005.05535"
    )
    paired = False

    class Config(BaseModel, extra="forbid", frozen=True):
        """Each level halves the sides and doubles the channels."""

        width: int = Field(default=32, ge=1, description="channels of the first level")
        depth: int = Field(default=2, ge=1, le=6, description="halvings")
        code: int = Field(default=16, ge=1, description="channels of the code")
        noise: float = Field(
            default=0.25, ge=0, description="standard deviation on the code in training; its values have 1"
        )
        tone: float = Field(
            default=0.0,
            ge=0,
            description="training inputs get gamma curves of exp(-tone) to exp(tone); 0 = off",
        )
        warp: float = Field(
            default=0.005, ge=0, description="standard deviation of the warp's control points, of a side"
        )
        flip: bool = Field(default=True, description="mirror training images at random")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        channels = [config.width * 2**level for level in range(config.depth)]
        if max(spec.height, spec.width) <= 2**config.depth:
            raise InputError(
                f"depth={config.depth} leaves one place of {spec.width}×{spec.height} images, which a norm over places "
                "turns into nothing; use a smaller depth"
            )
        self.encoder = _encoder(spec, channels, config.code)
        self.decoders = nn.ModuleDict({identity: _decoder(spec, channels, config.code) for identity in "AB"})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """What the other identity's decoder makes of the code, clamped; nothing is drawn."""
        return self.decoded(self.encoder(x), direction[-1]).clamp(-1, 1)

    def decoded(self, code: Tensor, identity: str) -> Tensor:
        """A code as the decoder of "A" or "B" shows it, float32 N×channels×H×W, unbounded."""
        shown: Tensor = self.decoders[identity](code)[..., : self.spec.height, : self.spec.width]
        return shown.float()

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the encoder and both decoders."""
        return {"faceswap": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of both identities' mean absolute errors, in units of [-1, 1]."""
        a, b = both_domains(batch)
        mae_a, mae_b = self.restoration_error(a, "A"), self.restoration_error(b, "B")
        return mae_a + mae_b, {"mae_a": mae_a.detach(), "mae_b": mae_b.detach()}

    def restoration_error(self, x: Tensor, identity: str) -> Tensor:
        """Mean absolute error of an identity's pictures, restored by its own decoder, against themselves."""
        if self.config.flip:
            (x,) = mirrored(x)
        code = self.encoder(random_tone(random_warp(x, self.config.warp), self.config.tone))
        code = code + self.config.noise * torch.randn_like(code)
        return F.l1_loss(self.decoded(code, identity), x)


def random_tone(x: Tensor, strength: float) -> Tensor:
    """Each image of `x`, in [-1, 1], through its own curve v ↦ v^γ on [0, 1], log γ uniform on ±strength: black and
    white stay, and of a colour the ratios of its channels' logarithms."""
    if not strength:
        return x
    log_gamma = strength * (2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1)
    return 2 * ((x + 1) / 2).clamp(0, 1) ** log_gamma.exp() - 1


def _encoder(spec: ImageSpec, channels: Sequence[int], code: int) -> nn.Sequential:
    """Images to codes, N×code×h×w with sides divided by 2^levels, rounded up; each channel of each picture has mean 0
    and variance 1."""
    factor = 2 ** len(channels)
    layers: list[nn.Module] = [nn.ReplicationPad2d((0, -spec.width % factor, 0, -spec.height % factor))]
    for before, after in itertools.pairwise([spec.channels, *channels]):
        layers += [
            nn.Conv2d(before, after, kernel_size=5, stride=2, padding=2),
            nn.InstanceNorm2d(after),
            nn.LeakyReLU(SLOPE),
        ]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], code, kernel_size=1), nn.InstanceNorm2d(code))


def _decoder(spec: ImageSpec, channels: Sequence[int], code: int) -> nn.Sequential:
    """Codes to images, the padding of `_encoder` still on them."""
    layers: list[nn.Module] = [nn.Conv2d(code, channels[-1], kernel_size=3, padding=1), nn.LeakyReLU(SLOPE)]
    for before, after in itertools.pairwise([*reversed(channels), channels[0]]):
        layers += [
            nn.Conv2d(before, 4 * after, kernel_size=3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.PixelShuffle(2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(channels[0], spec.channels, kernel_size=5, padding=2))
