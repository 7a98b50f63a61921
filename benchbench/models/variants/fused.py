"""Batch norms folded into the layers before them.

Which norm stands behind which layer is read off the memory: the layer's output is the norm's input, or a view of it.
What is found so is folded, and the answers before and after are compared, so that a layer whose output somebody else
reads too is refused and not broken.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.models.variants.technique import Show, Technique
from benchbench.models.variants.watching import answers, apart, hooked, replace

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
CLOSE = (
    1e-4  # relative; what is folded is multiplied in float64 and rounded once, so nothing right is so far off
)


class Fused(Technique):
    """Batch norms of the answer multiplied into the layer before each: fewer layers, the same numbers to rounding."""

    name: ClassVar[str] = "fused"
    reference: ClassVar[str] = (
        "Jacob et al. 2018, Quantization and Training of Neural Networks, arXiv:1712.05877, section 3.2"
    )
    place: ClassVar[int] = 10

    def apply(self, model: nn.Module, show: Show, device: torch.device) -> None:
        """As `Technique.apply`."""
        pairs = foldable(model, show)
        if not pairs:
            raise InputError(
                "fused folds batch norms into the layers before them, and this model's answer has none behind a "
                "convolution or a linear layer; choose another variant"
            )
        before = answers(model, show)
        for layer, norm in pairs:
            fold(model.get_submodule(layer), model.get_submodule(norm))
            replace(model, norm, nn.Identity())
        if not apart(before, answers(model, show)) < CLOSE:
            raise InputError(
                "fused: something else reads what this model's batch norms are given, so they cannot be folded away; "
                "choose another variant"
            )


def foldable(model: nn.Module, show: Show) -> list[tuple[str, str]]:
    """Layers with the batch norms that alone follow them, by name.

    Args:
        model: In eval mode.
        show: Has it answer.

    Returns:
        (layer, norm); each layer and each norm at most once, and only where every call of one goes to the other.
    """
    made: dict[int, str] = {}
    held: list[Tensor] = []  # so that no memory is given out twice meanwhile
    before: dict[str, set[str | None]] = {}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if type(module) in LAYERS and isinstance(output, Tensor):
            held.append(output)
            made[output.untyped_storage().data_ptr()] = name
        elif type(module) in NORMS and module.track_running_stats:
            seen = (
                inputs[0].untyped_storage().data_ptr() if inputs and isinstance(inputs[0], Tensor) else None
            )
            before.setdefault(name, set()).add(None if seen is None else made.get(seen))
            if isinstance(output, Tensor):
                held.append(output)

    with hooked(model, note):
        show(model)
    found = {norm: next(iter(layers)) for norm, layers in before.items() if len(layers) == 1}
    owners = list(found.values())
    return [(layer, norm) for norm, layer in found.items() if layer is not None and owners.count(layer) == 1]


@torch.no_grad()
def fold(layer: nn.Module, norm: nn.Module) -> None:
    """Multiply an evaluated batch norm into the layer before it, in float64, rounded once.

    Args:
        layer: A convolution or a linear layer; one without a bias gets one. Of a linear layer whose outputs are laid
            out as maps, each channel has as many outputs in a row as the maps have places.
        norm: Its batch norm: (y − μ) γ / √(σ² + ε) + β (Ioffe & Szegedy 2015, algorithm 1).
    """
    assert isinstance(layer, LAYERS) and isinstance(norm, NORMS)  # noqa: PT018
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    scale = gamma / (variance + norm.eps).sqrt()
    shift = beta - mean * scale
    if isinstance(layer, nn.Linear):
        places = layer.out_features // len(scale)
        scale, shift = scale.repeat_interleave(places), shift.repeat_interleave(places)
    own = torch.zeros_like(scale) if layer.bias is None else layer.bias.double()
    along = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    shape = [1] * layer.weight.ndim
    shape[along] = -1
    groups = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 1
    # A transposed convolution of several groups has out/groups filters for each group of inputs.
    factors = (
        scale.view(groups, -1).repeat_interleave(layer.weight.shape[0] // groups, 0) if groups > 1 else None
    )
    whole = scale.view(shape) if factors is None else factors[..., None, None]
    layer.weight.copy_((layer.weight.double() * whole).to(layer.weight.dtype))
    layer.bias = nn.Parameter((own * scale + shift).to(layer.weight.dtype), requires_grad=False)
