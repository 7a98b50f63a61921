"""Which layers take part in an answer, and what they hand to each other, seen while a model answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.models.variants.technique import Show

MOST_KEPT = 4  # answers of the outermost modules that are compared

Hook = Callable[[str, nn.Module, tuple[Any, ...], Any], None]


@contextmanager
def hooked(model: nn.Module, after: Hook) -> Iterator[None]:
    """`after(name, module, inputs, output)` behind every call of a module within the model."""
    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: after(name, module, inputs, output)
        )
        for name, module in model.named_modules()
        if name
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def called(model: nn.Module, show: Show, kinds: tuple[type[nn.Module], ...]) -> dict[str, nn.Module]:
    """The modules of exactly these classes that an answer calls.

    Args:
        model: In eval mode.
        show: Has it answer.
        kinds: The classes; one derived from them, which may do anything, is none.

    Returns:
        The modules by name, in the order of their first call.
    """
    found: dict[str, nn.Module] = {}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if type(module) in kinds:
            found.setdefault(name, module)

    with hooked(model, note):
        show(model)
    return found


def outermost(model: nn.Module, show: Show) -> dict[str, nn.Module]:
    """The modules with weights that an answer calls and no other module calls, by name."""
    found: dict[str, nn.Module] = {}
    depth = 0

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal depth
        if not depth:
            found.setdefault(names[id(module)], module)
        depth += 1

    def end(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal depth
        depth -= 1

    own = {
        name: module
        for name, module in model.named_modules()
        if name and any(True for _ in module.parameters())
    }
    names = {id(module): name for name, module in own.items()}
    hooks = [module.register_forward_pre_hook(begin) for module in own.values()]
    hooks += [module.register_forward_hook(end, always_call=True) for module in own.values()]
    try:
        show(model)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def answers(model: nn.Module, show: Show) -> list[Tensor]:
    """What the outermost modules say in an answer, before anything is rounded: the first few tensors."""
    parts = outermost(model, show).keys()
    kept: list[Tensor] = []

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if name in parts and isinstance(output, Tensor) and len(kept) < MOST_KEPT:
            kept.append(output.detach().clone())

    with hooked(model, note):
        show(model)
    return kept


def apart(before: list[Tensor], after: list[Tensor]) -> float:
    """The largest difference between two lists of tensors, relative to the largest number of its tensor; infinite where
    they are not of the same shapes."""
    if [own.shape for own in before] != [own.shape for own in after]:
        return float("inf")
    worst = 0.0
    for a, b in zip(before, after, strict=True):
        size = a.double().abs().max().clamp_min(torch.finfo(torch.float32).tiny)
        worst = max(worst, float((a.double() - b.double()).abs().max() / size))
    return worst


def replace(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put another module in the place of one.

    Args:
        model: Around both.
        name: Of the module that goes, as `called` has it.
        module: The one that comes.
    """
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)
