"""Pruning by magnitude: the smallest weights are zero.

Nothing is left out of memory or of a product: torch multiplies by these zeros. Unstructured zeros have no faster
product on any device at such shares, so what these variants show is the quality that is left, and the size of a file
that is compressed; their rates are those of the model as it was.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import called

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
    """That share of the filters of each convolution that answers, those of the smallest sum of magnitudes, is zero.
    Computed with the zeros in place, so no faster."""

    name: ClassVar[str] = "pruned-channels"
    takes: ClassVar[str] = "the share of filters that become zero"
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
        """As `Technique.apply`. A layer with fewer filters than would leave one out, such as the one that makes three
        colours, keeps them."""
        layers = called(model, show, (nn.Conv2d, nn.ConvTranspose2d))
        wide = [filters for filters in map(rows_of, layers.values()) if len(filters) > MOST_COLOURS]
        if not wide:
            raise InputError(
                f"{self.name} is for convolutions of more than {MOST_COLOURS} filters, and none is seen in this "
                "model's answer; choose another variant"
            )
        for filters in wide:
            filters[smallest_of(filters.abs().flatten(1).sum(1), self.share)] = 0


MOST_COLOURS = 4  # filters of a layer that makes an image


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
