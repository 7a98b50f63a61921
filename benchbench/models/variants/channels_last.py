"""Channels beside each other in memory."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import called

KINDS = (nn.Conv2d, nn.ConvTranspose2d)


class ChannelsLast(Technique):
    """Weights of convolutions with channels beside each other in memory (NHWC); maps follow them. Same numbers."""

    name: ClassVar[str] = "channels-last"
    reference: ClassVar[str] = "https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html"
    place: ClassVar[int] = 50

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`."""
        if not called(model, show, KINDS):
            raise InputError(
                "channels-last orders the weights of convolutions, and nothing in this model's answer is one; choose "
                "another variant"
            )
        model.to(memory_format=torch.channels_last)
