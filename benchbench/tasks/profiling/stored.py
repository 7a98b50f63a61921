"""Which tensors an answer needs, and how many bytes they take."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.models.variants.int8 import EightBit
from benchbench.models.variants.technique import Show
from benchbench.models.variants.watching import hooked


def stored_bytes(model: nn.Module, show: Show) -> int:
    """Parameters and buffers of the model itself and of every module that an answer calls, each once.

    Args:
        model: In eval mode.
        show: Has it answer.

    Returns:
        Bytes, as they lie in memory; zeros of a pruned layer count.
    """
    modules = _taking_part(model, show)
    packed = sum(module.nbytes for module in modules if isinstance(module, EightBit))
    return sum(tensor.nbytes for tensor in _own(modules).values()) + packed


def let_go(model: nn.Module, show: Show) -> int:
    """Empty the parameters and buffers that no answer needs, such as a discriminator's.

    Args:
        model: In eval mode; it answers as before, and is good for nothing else.
        show: Has it answer.

    Returns:
        The bytes that were given back.
    """
    kept, freed = _own(_taking_part(model, show)), 0
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.data_ptr() not in kept:
            freed += tensor.nbytes
            tensor.data = tensor.data.new_empty(0)
    return freed


def _taking_part(model: nn.Module, show: Show) -> list[nn.Module]:
    modules: dict[int, nn.Module] = {id(model): model}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # A compiled network calls none of its modules by name: all of them are taken.
        inside = module.modules() if "forward" in vars(module) else (module,)
        modules.update((id(own), own) for own in inside)

    with torch.no_grad(), hooked(model, note):
        show(model)
    return list(modules.values())


def _own(modules: list[nn.Module]) -> dict[int, Tensor]:
    """The tensors by where they lie; what an 8-bit layer holds inside is counted with its packed weights."""
    inside = {id(own) for module in modules if isinstance(module, EightBit) for own in module.modules()}
    found = {}
    for module in modules:
        if id(module) not in inside:
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                found[tensor.data_ptr()] = tensor
    return found
