"""What style transfer minimises: distance to a content and to a style in the maps of a frozen network.

    L = content_weight · mean (F(x) − F(c))² + style_weight · mean over layers ‖G(x) − G(s)‖² + tv_weight · TV(x)

with F the content map and G the Gram matrices of an image x, a content c and a style s: Johnson et al. 2016, eqs. 2
to 4, and up to constants Gatys et al. 2016, equations 1 to 7, whose layers have equal weights too. TV keeps the image
smooth where the maps do not care (Johnson et al. 2016, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import check_images, to_signed
from benchbench.core.protocols import ImageSpec
from benchbench.features.networks.perceptual import Perceptual, gram, gram_distance, load_perceptual
from benchbench.models.translation.translator import signed_images


class PerceptualConfig(BaseModel, extra="forbid", frozen=True):
    """What models with this loss share."""

    network: Literal["efficientnet_lite0", "vgg16", "vgg19"] = Field(
        default="efficientnet_lite0",
        description="whose maps are compared; the weights of a VGG must be fetched",
    )
    content_weight: float = Field(default=1.0, ge=0, description="of the content")
    style_weight: float = Field(default=30.0, gt=0, description="of the style")
    tv_weight: float = Field(default=10.0, ge=0, description="of the total variation; 0 = off")


class StyledByPictures(nn.Module):
    """Base of our stylizers: keeps the style pictures and computes the loss.

    styles: uint8 RGB K×3×H×W, a buffer, part of the weights where the model has any. `InputError` for data without
    styles, images below 32 pixels and a network whose weights are not at hand.
    """

    config: PerceptualConfig
    styles: Tensor

    def __init__(self, config: PerceptualConfig, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        if not spec.n_classes:
            raise InputError(
                f"{type(self).__name__} shows contents in the style of pictures and this dataset has none; "
                "try --dataset photographs"
            )
        shape = (spec.n_classes, 3, spec.height, spec.width)
        self.register_buffer("styles", torch.zeros(shape, dtype=torch.uint8))
        self.perceptual(torch.device("cpu")).check_size(spec.height, spec.width)

    def show_styles(self, styles: Tensor) -> None:
        """Keep `styles`; `InputError` for another number or size than the model was built for."""
        check_images(styles, "style pictures")
        if styles.shape != self.styles.shape:
            have, want = ("×".join(map(str, tensor.shape)) for tensor in (styles, self.styles))
            raise InputError(f"this model was built for style pictures {want} but these are {have}")
        self.styles.copy_(styles)

    def content(self, contents: Tensor) -> Tensor:
        """uint8 RGB of the size the model was built for to float32 on its device."""
        return signed_images(contents, self.spec, self.styles.device, "contents")

    def checked(self, style: int) -> int:
        """`style` if there is such a picture."""
        if not 0 <= style < len(self.styles):
            raise InputError(
                f"there is no style {style}; this model was shown {len(self.styles)}, counted from 0"
            )
        return style

    def perceptual(self, device: torch.device) -> Perceptual:
        """The frozen network; never a part of this module, whose weights it would swell."""
        try:
            return load_perceptual(self.config.network, device)
        except MetricFailed as failure:
            raise InputError(
                f"{failure.reason}; or leave network at efficientnet_lite0, which is installed"
            ) from failure

    def grams(self, style: int) -> list[Tensor]:
        """The Gram matrices of a style picture, each 1×C×C."""
        picture = to_signed(self.styles[style : style + 1])
        with torch.no_grad():
            return [gram(maps) for maps in self.perceptual(self.styles.device)(picture).style]

    def loss_parts(self, x: Tensor, content: Tensor, grams: Sequence[Tensor]) -> dict[str, Tensor]:
        """`content`, `style` and `total_variation` of the images x, float32 in [-1, 1], each a mean over them.
        content: the content map that is wanted."""
        maps = self.perceptual(x.device)(x)
        return {
            "content": F.mse_loss(maps.content, content),
            "style": gram_distance(maps.style, grams).mean(),
            "total_variation": total_variation(x),
        }

    def weighted(self, parts: dict[str, Tensor], ramp: float = 1.0) -> Tensor:
        """The loss L, with `ramp` times its style weight."""
        own = self.config
        return (
            own.content_weight * parts["content"]
            + ramp * own.style_weight * parts["style"]
            + own.tv_weight * parts["total_variation"]
        )


def total_variation(x: Tensor) -> Tensor:
    """Mean squared difference of neighbours, down plus across: N×C×H×W to a scalar."""
    return x.diff(dim=2).square().mean() + x.diff(dim=3).square().mean()
