"""Depthwise separable convolutions (Howard et al. 2017)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import called, replace

Convolution = nn.Conv2d | nn.ConvTranspose2d


class Depthwise(Technique):
    """Each k×k convolution of what answers becomes one a channel and a 1×1 one across them; it is trained so, anew."""

    name: ClassVar[str] = "depthwise"
    reference: ClassVar[str] = (
        "Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, "
        "arXiv:1704.04861, section 3.1"
    )
    before_training: ClassVar[bool] = True

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`. A discriminator, which takes no part in an answer, stays what it is: the game is the
        same."""
        layers = called(model, show, (nn.Conv2d, nn.ConvTranspose2d))
        wide = {name: layer for name, layer in layers.items() if _separates(layer)}
        if not wide:
            raise InputError(
                "depthwise takes convolutions over several channels and pixels apart whose weights are their own (not "
                "masked, modulated or normed at each call), and this model's answer has none; choose another variant"
            )
        for name, layer in wide.items():
            replace(model, name, separable(layer).to(device))  # type: ignore[arg-type]


def _separates(layer: nn.Module) -> bool:
    assert isinstance(layer, Convolution)
    return layer.groups == 1 and layer.in_channels > 1 and max(layer.kernel_size) > 1


def separable(layer: Convolution) -> nn.Sequential:
    """A layer's depthwise and pointwise convolutions, freshly initialised as torch does.

    Args:
        layer: Conv2d or ConvTranspose2d of one group.

    Returns:
        Maps of the same shapes. A layer that starts at zero (the last one of a residual block) still does.
    """
    channels, shape = layer.in_channels, (layer.kernel_size, layer.stride, layer.padding)
    kernel, stride, padding = shape
    depth: nn.Module
    if isinstance(layer, nn.ConvTranspose2d):
        depth = nn.ConvTranspose2d(
            channels,
            channels,
            kernel,  # type: ignore[arg-type]
            stride,  # type: ignore[arg-type]
            padding,  # type: ignore[arg-type]
            output_padding=layer.output_padding,  # type: ignore[arg-type]
            groups=channels,
            bias=False,
            dilation=layer.dilation,  # type: ignore[arg-type]
        )
    else:
        depth = nn.Conv2d(
            channels,
            channels,
            kernel,  # type: ignore[arg-type]
            stride,  # type: ignore[arg-type]
            padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            groups=channels,
            bias=False,
            padding_mode=layer.padding_mode,
        )
    across = nn.Conv2d(channels, layer.out_channels, kernel_size=1, bias=layer.bias is not None)
    with torch.no_grad():
        if not layer.weight.any():
            across.weight.zero_()
        if across.bias is not None and layer.bias is not None:
            across.bias.copy_(layer.bias)
    return nn.Sequential(depth, across)
