"""Pruning by magnitude: the smallest weights, or the smallest filters, go.

Single weights become zeros that torch multiplies by: no product of torch is faster for them at such shares, and that
for 2:4 is of linear layers alone, in 16 bits on some GPUs. So what these variants show is the quality that is left, and
the size of a file that is compressed; their rates are those of the model as it was. Filters are left out of the
product, and their maps are what zeros would have made them.
"""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import called, replace

Convolution = nn.Conv2d | nn.ConvTranspose2d
KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
KEPT, OF = 2, 4  # of a pattern that tensor cores know


class Pruned(Technique):
    """The smallest weights of each layer that answers are zero: that share of them, or 2 of every 4 in a row (2:4).
    Computed with the zeros in place, so no faster."""

    name: ClassVar[str] = "pruned"
    takes: ClassVar[str] = "the share of weights that become zero, or 2:4"
    example: ClassVar[str] = "0.5"
    reference: ClassVar[str] = (
        "Han et al. 2015, Learning both Weights and Connections for Efficient Neural Networks, arXiv:1506.02626; "
        "Mishra et al. 2021, Accelerating Sparse Deep Neural Networks, arXiv:2104.08378 (2:4)"
    )
    place: ClassVar[int] = 20

    def __init__(self, value: str = "") -> None:
        super().__init__(value)
        self.share = None if value == f"{KEPT}:{OF}" else share_of(self.name, value, f", or {KEPT}:{OF}")

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`."""
        for weight in weights_of(self.name, model, show):
            smallest = (
                semi_structured(weight) if self.share is None else smallest_of(weight.abs(), self.share)
            )
            weight[smallest] = 0


class PrunedChannels(Technique):
    """That share of the filters of each convolution that answers, those of the smallest sum of magnitudes, is left out
    of the product; what they made is what their bias says."""

    name: ClassVar[str] = "pruned-channels"
    takes: ClassVar[str] = "the share of filters that go"
    example: ClassVar[str] = "0.5"
    reference: ClassVar[str] = (
        "Li et al. 2017, Pruning Filters for Efficient ConvNets, arXiv:1608.08710, section 3.1"
    )
    place: ClassVar[int] = 20
    excludes: ClassVar[frozenset[str]] = frozenset({"pruned"})

    def __init__(self, value: str = "") -> None:
        super().__init__(value)
        self.share = share_of(self.name, value)

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`. A layer of a few filters, such as the one that makes three colours, keeps them, and so
        does one whose filters do not see the same maps."""
        layers = called(model, show, (nn.Conv2d, nn.ConvTranspose2d))
        wide = {name: layer for name, layer in layers.items() if _prunes(layer)}
        if not wide:
            raise InputError(
                f"{self.name} is for convolutions of more than {MOST_COLOURS} filters in one group, and none is seen "
                "in this model's answer; choose another variant"
            )
        for name, layer in wide.items():
            gone = smallest_of(rows_of(layer).abs().flatten(1).sum(1), self.share)
            if 0 < int(gone.sum()) < len(gone):
                replace(model, name, Fewer(layer, gone))


class Fewer(nn.Module):
    """A convolution without some of its filters: as many maps as before, equal to those of filters of zeros.

    Args:
        layer: Conv2d or ConvTranspose2d of one group.
        gone: bool (filters,), which; neither none nor all.
    """

    kept: Tensor
    still: Tensor

    def __init__(self, layer: nn.Module, gone: Tensor) -> None:
        super().__init__()
        assert isinstance(layer, Convolution)
        self.register_buffer("kept", (~gone).nonzero().flatten())
        bias = layer.weight.new_zeros(len(gone)) if layer.bias is None else layer.bias.detach()
        self.register_buffer("still", torch.where(gone, bias, 0))  # what the maps of the others are
        self.inner = copy.deepcopy(layer)
        self.inner.out_channels = len(self.kept)
        along = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        for name, at in (("weight", along), ("bias", 0)):
            if (whole := getattr(layer, name)) is not None:
                less = whole.detach().index_select(at, self.kept).clone()
                setattr(self.inner, name, nn.Parameter(less, requires_grad=False))

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        """As the layer's: N×C×H×W to N×filters×H'×W'."""
        made: Tensor = self.inner(x, *rest)
        plain = made.is_contiguous()
        whole = self.still.to(made.dtype).view(1, -1, 1, 1).expand(len(made), -1, *made.shape[2:])
        whole = whole.clone(memory_format=torch.contiguous_format if plain else torch.channels_last)
        return whole.index_copy_(1, self.kept, made)

    @property
    def weight(self) -> Tensor:
        """Models ask a weight where they are."""
        weight: Tensor = self.inner.weight
        return weight


MOST_COLOURS = 4  # filters of a layer that makes an image


def _prunes(layer: nn.Module) -> bool:
    assert isinstance(layer, Convolution)
    return layer.groups == 1 and layer.out_channels > MOST_COLOURS


def share_of(name: str, value: str, otherwise: str = "") -> float:
    """The share behind the name of a variant; `InputError` for what is none."""
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise InputError(f"{name}={value}: give a share above 0 and below 1, such as {name}=0.5{otherwise}")
    return share


def weights_of(name: str, model: nn.Module, show: Show) -> list[Tensor]:
    """The weights of the convolutions and linear layers that an answer calls, each once, with what one output sums over
    behind the first dimension; `InputError` where there are none."""
    weights = {id(layer.weight): rows_of(layer) for layer in called(model, show, KINDS).values()}
    if not weights:
        raise InputError(
            f"{name} is for convolutions and linear layers, and none is seen in this model's answer; choose another "
            "variant"
        )
    return list(weights.values())


def rows_of(layer: nn.Module) -> Tensor:
    """The weights of a layer, a view of them with what one output sums over behind the first dimension."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight


def smallest_of(size: Tensor, share: float) -> Tensor:
    """Which of the entries are the round(share · n) smallest ones, bool of the same shape; of equal ones the first."""
    chosen = torch.zeros(size.numel(), dtype=torch.bool, device=size.device)
    chosen[size.flatten().argsort(stable=True)[: round(share * size.numel())]] = True
    return chosen.view(size.shape)


def semi_structured(weight: Tensor) -> Tensor:
    """Which weights are among the 2 smallest of 4 neighbours in a row of the weight as a matrix, bool of the same
    shape; a rest of fewer than 4 stays."""
    rows = weight.abs().flatten(1)
    whole = rows.shape[1] // OF * OF
    groups = rows[:, :whole].unflatten(1, (-1, OF))
    chosen = torch.zeros_like(rows, dtype=torch.bool)
    order = groups.argsort(dim=2, stable=True)[..., : OF - KEPT]
    chosen[:, :whole] = torch.zeros_like(groups, dtype=torch.bool).scatter_(2, order, True).flatten(1)
    return chosen.view(weight.shape)
