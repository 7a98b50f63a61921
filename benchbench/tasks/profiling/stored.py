"""How many bytes the weights take that an answer needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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
    modules: dict[int, nn.Module] = {id(model): model}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # A compiled network calls none of its modules by name: all of them are taken.
        inside = module.modules() if "forward" in vars(module) else (module,)
        modules.update((id(own), own) for own in inside)

    with torch.no_grad(), hooked(model, note):
        show(model)
    inside = {
        id(own) for module in modules.values() if isinstance(module, EightBit) for own in module.modules()
    }
    tensors = {}
    for module in modules.values():
        if id(module) not in inside:
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                tensors[tensor.data_ptr()] = tensor.nbytes
    packed = sum(module.nbytes for module in modules.values() if isinstance(module, EightBit))
    return sum(tensors.values()) + packed
