"""Feed-forward style transfer (Johnson, Alahi, Fei-Fei 2016): one network a style, trained on many contents.

The networks are the `resnet_generator`, the descendant of the paper's by Zhu et al. 2017: instance norm (Ulyanov et al.
2016), and 7×7 in place of 9×9 kernels at both ends. They see the same batches and are independent of each other: each
is a player with an optimiser and a gradient norm of its own, so a style is learned as if it were alone. Style pictures
are a buffer among the weights: loaded weights know what they were trained for.

A network that sees the whole style weight from its first step makes a texture and never learns to show the content, at
least in the few hundred steps of a CPU: the weight rises linearly from 0 (the paper's is constant, over 40,000 steps).

Trade-off: milliseconds an image, but as many networks as styles, and a style that was not trained is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.perceptual_loss import PerceptualConfig, StyledByPictures
from benchbench.models.nn.resnet_generator import ResnetGenerator


class FastStyle(StyledByPictures):
    """Feed-forward style transfer: one small residual network for each style."""

    reference: ClassVar[str] = "Johnson, Alahi & Fei-Fei 2016, Perceptual Losses for Real-Time Style Transfer"

    class Config(PerceptualConfig):
        """The paper's networks have width 32 and 5 blocks."""

        width: int = Field(
            default=32, ge=4, description="channels at full size, four times as many at a quarter"
        )
        blocks: int = Field(default=5, ge=1, description="residual blocks at a quarter of the sides")
        style_weight: float = Field(default=4.0, gt=0, description="of the style")
        tv_weight: float = Field(default=3.0, ge=0, description="of the total variation; 0 = off")
        style_warmup: float = Field(
            default=0.5, ge=0, le=1, description="part of the training over which style_weight rises from 0"
        )

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.networks = nn.ModuleList(
            ResnetGenerator(spec.channels, spec.channels, config.width, config.blocks)
            for _ in range(spec.n_classes)
        )

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As every module's; `InputError` where the weights were trained for other style pictures than it was shown."""
        theirs = state_dict.get("styles")
        if self.styles.any() and theirs is not None and not torch.equal(self.styles.cpu(), theirs.cpu()):
            raise InputError(
                "these weights were trained for other style pictures than those of the dataset; "
                "use the dataset and --size they were trained on, or leave --weights out to train"
            )
        return super().load_state_dict(state_dict, *args, **kwargs)

    def stylize(self, contents: Tensor, style: int, rng: ImageRng) -> Tensor:
        """One pass through the network of that style; draws nothing."""
        return quantize(self.networks[self.checked(style)](self.content(contents)))

    def players(self) -> Mapping[str, nn.Module]:
        """One network a style."""
        return {f"style{k}": network for k, network in enumerate(self.networks)}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """L of the batch in the player's style; logs its parts."""
        style = int(phase.player.removeprefix("style"))
        x = batch.x.expand(-1, self.spec.channels, -1, -1)  # grey contents, coloured styles
        with torch.no_grad():
            target = self.perceptual(x.device)(x).content
        parts = self.loss_parts(self.networks[style](x).float(), target, self.grams(style))
        warmup = self.config.style_warmup * batch.total_steps
        ramp = min(1.0, batch.step / warmup) if warmup else 1.0
        return self.weighted(parts, ramp), {name: part.detach() for name, part in parts.items()}
