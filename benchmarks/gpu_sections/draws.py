"""The same random numbers on every device: models draw where their tensors are, and generators differ by device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

CPU = torch.device("cpu")
# What torch says of itself: such an operation reads a generator.
RANDOM = torch.Tag.nondeterministic_seeded


class DrawnOnCPU(TorchDispatchMode):
    """Inside, whatever draws random numbers draws them from the processor's generator and moves them to its device."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if RANDOM not in func.tags:
            return func(*args, **given)
        device = _device_of(args, given)
        if func is torch.ops.aten.native_dropout.default:
            return _dropout(args[0], args[1])
        if func is torch.ops.aten.dropout.default:
            return _dropout(args[0], args[1])[0] if args[2] else args[0]
        if "device" in given:
            given["device"] = CPU
        given.pop("pin_memory", None)
        drawn = func(*tree_map(_to_cpu, tuple(args)), **tree_map(_to_cpu, given))
        if func._schema.is_mutable:  # it fills the tensor that it was given
            return args[0].copy_(drawn)
        return tree_map(lambda part: part.to(device) if isinstance(part, Tensor) else part, drawn)


def _to_cpu(part: Any) -> Any:
    return part.to(CPU) if isinstance(part, Tensor) else part


def _device_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    return next(_devices([*args, *kwargs.values()]), CPU)


def _devices(parts: Sequence[Any]) -> Iterator[torch.device]:
    for part in parts:
        if isinstance(part, Tensor):
            yield part.device


def _dropout(x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Fused on some devices and not on others: here one way for all."""
    kept = torch.rand(x.shape) >= p
    mask = kept.to(x.device)
    return x * mask / (1 - p), mask
