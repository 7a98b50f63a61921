"""Two towers that bring an image and its caption together: the judge of whether an image shows what it was asked to.

Pattern: the image tower is the small network of `classifier`, its last layer linear to `width`; the text tower is one
linear layer on the embedding of the caption. Both ends are brought to length 1, and their products, sharpened by a
temperature that is learned, are the logits of "which of the batch's captions is this image's" and the other way around
(InfoNCE: van den Oord et al. 2018; symmetric, as in CLIP: Radford et al. 2021, section 2.3).

The batch holds captions of which one fits several images, an emoji in several drawings: equal embeddings are no
negatives of each other and are left out of the sum.

While it trains, images are mirrored at random and moved by up to a tenth of their side, on white, and both towers drop
numbers before their last layer: of a few thousand pairs it would otherwise know each by heart.

Trade-offs: a judge of one dataset, as small as that needs; which images it can tell apart its audit on held-out pairs
says (`tasks.matching`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, to_signed
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.models.classifier import MIN_SIDE, WIDTHS, _convs

SHARPEST = 100.0  # of the temperature's inverse, as in CLIP
SHIFT = 0.1  # of a side, by which images are moved


class Matcher(nn.Module):
    """Image and caption into one space; judges generators that are told captions as `matcher:<dataset>`."""

    reference: ClassVar[str] = "Radford et al. 2021, Learning Transferable Visual Models, arXiv:2103.00020"

    class Config(BaseModel, extra="forbid", frozen=True):
        """How deep, and how wide the common space is."""

        convs: int = Field(default=1, ge=1, le=4, description="convolutions a level, three levels")
        width: int = Field(default=128, ge=2, le=4096, description="numbers of the common space")
        dropout: float = Field(default=0.3, ge=0, lt=1, description="before the last layer of both towers")
        augment: bool = Field(default=True, description="mirrored and moved images while training")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        if not spec.condition_dim:
            raise InputError(
                "matcher learns which caption an image has, and here are no captions; use it on a dataset that has "
                "them, openmoji-captions for example, with --task matching"
            )
        if min(spec.height, spec.width) < MIN_SIDE:
            raise InputError(
                f"matcher needs images of at least {MIN_SIDE}×{MIN_SIDE} pixels but these are "
                f"{spec.height}×{spec.width}; resize the dataset"
            )
        self.config = config
        self.spec = spec
        self.levels = nn.ModuleList(
            nn.Sequential(*_convs(before, after, config.convs))
            for before, after in itertools.pairwise((spec.channels, *WIDTHS))
        )
        self.head = nn.Linear(WIDTHS[-1], config.width)
        self.text = nn.Linear(spec.condition_dim, config.width)
        self.sharpness = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.side: Tensor  # of the images that it learns from, which its weights say
        self.register_buffer("side", torch.tensor([spec.height, spec.width]))

    def seen(self, x: Tensor) -> Tensor:
        """Float images in [-1, 1], N×C×H×W, to rows of length 1, float32 (N, width)."""
        for number, level in enumerate(self.levels):
            x = level(F.avg_pool2d(x, 2) if number else x)
        return F.normalize(self.head(self._dropped(x.mean(dim=(2, 3)))).float(), dim=1)

    def read(self, conditions: Tensor) -> Tensor:
        """Embeddings of captions, float32 (N, condition_dim), to rows of length 1, float32 (N, width)."""
        return F.normalize(self.text(self._dropped(conditions)).float(), dim=1)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: both towers."""
        return {"matcher": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """InfoNCE both ways, in nats; the share of images whose caption is the nearest of the batch goes into the
        curves."""
        if batch.condition is None:
            raise InputError("matcher has no loss on images without captions")
        x = moved(batch.x) if self.config.augment and self.training else batch.x
        logits = self.sharpness.exp().clamp(max=SHARPEST) * self.seen(x) @ self.read(batch.condition).T
        same = torch.cdist(batch.condition, batch.condition) < 1e-4
        twins = same & ~torch.eye(len(x), dtype=torch.bool, device=x.device)
        logits = logits.masked_fill(twins, -torch.inf)
        own = torch.arange(len(x), device=x.device)
        nats = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        return nats, {"matched": (logits.detach().argmax(1) == own).float().mean()}

    # TextMatcher

    def image_codes(self, images: Tensor) -> Tensor:
        """uint8 RGB N×3×H×W to rows of length 1, float32 (N, width)."""
        return self.seen(to_signed(check_images(images).to(self.head.weight.device), self.spec.channels))

    def caption_codes(self, conditions: Tensor) -> Tensor:
        """As `read`, of embeddings on any device."""
        return self.read(conditions.to(self.head.weight.device))


def moved(x: Tensor) -> Tensor:
    """Images N×C×H×W in [-1, 1], each mirrored or not and moved on white, from torch's global generator."""
    n, _, height, width = x.shape
    mirrored = torch.where((torch.rand(n, device=x.device) < 0.5)[:, None, None, None], x.flip(3), x)
    most = [max(1, round(SHIFT * side)) for side in (height, width)]
    wide = F.pad(mirrored, (most[1], most[1], most[0], most[0]), value=1.0)
    down, right = (torch.randint(0, 2 * step + 1, (n, 1), device=x.device) for step in most)
    rows = down + torch.arange(height, device=x.device)
    columns = right + torch.arange(width, device=x.device)
    each = torch.arange(n, device=x.device)[:, None, None]
    return wide.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
