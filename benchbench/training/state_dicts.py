"""Weights as others saved them, and the one state dict among them that is meant.

A checkpoint is a mapping with state dicts somewhere in it ("state_dict", "generator", "ema", …), and wrappers put
their own names before those of a model ("module." of DistributedDataParallel, "_orig_mod." of torch.compile). Every
state dict of the file is held against the model, its names without wrappers and without what all of them begin with. If
one fits, it is taken and a note says which; if several fit and differ, the average of weights among them is meant, and
where there is none, or more than one, nobody but the user knows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchbench.core.arrays import dtype_text
from benchbench.core.errors import InputError, listed
from benchbench.core.weights_file import FLOATS, lossless

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Parts of names that belong to what a model was wrapped in."""

COUNTERS = frozenset({"n_averaged"})
"""Names that such a wrapper adds (torch.optim.swa_utils.AveragedModel)."""

AVERAGE = re.compile(r"(^|[._])(ema|swa|avg|averaged?)([._]|$)", re.IGNORECASE)
"""How the place of an average of weights is called: "g_ema", "params_ema", "ema.generator"."""

DEPTH = 5  # mappings in mappings; files nest two or three
SHOWN = 5  # names that a sentence lists


class Fitting(NamedTuple):
    """The weights that are meant, by the model's own names.

    where: their place in the file ("checkpoint.generator"); "" where they are all of it. problems: why they do not fit,
    nothing if they do. notes: what was done to make them fit. advice: what could be meant, where they do not.
    """

    tensors: dict[str, Tensor]
    where: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    advice: str = ""


def fitting(model: nn.Module, content: Any, path: Path) -> Fitting:
    """Of what a file holds, the weights of `model`, or those that come nearest with what is wrong with them.

    Raises `InputError` where the file holds no state dict, or several that fit and differ, none of them an average.
    """
    own = model.state_dict()
    held = [_held(own, where, tensors) for where, tensors in _state_dicts(content)]
    if not held:
        raise InputError(f"the weights {path} hold no state dict of tensors; save model.state_dict() alone")
    fits = [one for one in held if not one.problems]
    if not fits:
        return min(held, key=lambda one: len(one.problems))
    names = [one.where for one in fits]
    if not _alike(fits):
        averages = [one for one in fits if AVERAGE.search(one.where)]
        if averages and _alike(averages):
            others = [name for name in names if not AVERAGE.search(name)]
            return averages[0]._replace(notes=(f"{_listed(others)} would fit as well", *averages[0].notes))
        raise InputError(
            f"the weights {path} hold several that fit: {_listed(names)}; save the one that is meant alone, as in "
            f"torch.save(torch.load({path.name!r}){_index(names[-1])}, 'weights.pt')"
        )
    return fits[0]


def _state_dicts(content: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every non-empty mapping of names to nothing but tensors, by its place."""
    waiting, seen = [("", content, 0)], set()
    while waiting:
        where, found, depth = waiting.pop(0)
        if isinstance(found, nn.Module):
            found = found.state_dict()
        if not isinstance(found, Mapping) or id(found) in seen or not found:
            continue
        seen.add(id(found))
        if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()):
            yield where, dict(found)
        elif depth < DEPTH:
            waiting += [
                (f"{where}.{name}" if where else name, inner, depth + 1)
                for name, inner in found.items()
                if isinstance(name, str)
            ]


def _held(own: Mapping[str, Any], where: str, tensors: Mapping[str, Tensor]) -> Fitting:
    """One state dict against the model's own."""
    renamed, dropped = _renamed(own, tensors)
    problems = [f"{key} is missing" for key in own if key not in renamed]
    problems += [f"{key} is unknown" for key in renamed if key not in own]
    rounded = set()
    for key, mine in own.items():
        if (value := renamed.get(key)) is None:
            continue
        if not isinstance(mine, Tensor):
            problems.append(f"{key} is a tensor but must be a {type(mine).__name__}")
        elif value.is_nested or value.shape != mine.shape:
            problems.append(f"{key} is {_shape(value)} but must be {_shape(mine)}")
        elif reason := lossless(value, mine):
            problems.append(f"{key} {reason}")
        elif value.dtype in FLOATS and value.element_size() > mine.element_size():
            rounded.add(f"{dtype_text(value)} weights are rounded to {dtype_text(mine)}")
    notes = [f"taken from {where!r} in it"] if where else []
    notes += [f"names are read without {dropped}"] if dropped else []
    return Fitting(
        renamed,
        where,
        tuple(problems),
        (*notes, *sorted(rounded)),
        _advice(own, where, tensors) if problems else "",
    )


def _renamed(own: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The tensors by those names that come nearest to the model's, and what was taken from the names for it."""
    if own.keys() == tensors.keys():
        return dict(tensors), ""
    mine = {_bare(name): name for name in own}
    bare = {_bare(name): value for name, value in tensors.items() if name not in COUNTERS or name in own}
    if len(mine) < len(own) or len(bare) < len(tensors.keys() - (COUNTERS - own.keys())):
        return dict(tensors), ""  # two names became one
    prefix = _common_prefix(mine, bare)
    renamed = {mine.get(short := name.removeprefix(prefix), short): value for name, value in bare.items()}
    if len(own.keys() ^ renamed.keys()) >= len(own.keys() ^ tensors.keys()):
        return dict(tensors), ""
    wrappers = {part for name in {*tensors} - {*own} for part in name.split(".") if part in WRAPPERS}
    left = [*sorted(f"{part!r}" for part in wrappers), *([f"{prefix!r}"] if prefix else [])]
    return renamed, " and ".join(left) or "what their wrapper added"


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _common_prefix(own: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """What all names begin with, "net.", if the model has them without it; "" where there is no such thing."""
    if not own or not names or own.keys() & names.keys():
        return ""
    first = next(iter(own))
    for name in names:
        if name.endswith(f".{first}") and all(other.startswith(name.removesuffix(first)) for other in names):
            return name.removesuffix(first)
    return ""


def _advice(own: Mapping[str, Any], where: str, tensors: Mapping[str, Tensor]) -> str:
    """Which parts of the file would fit by their names: networks side by side in one state dict."""
    if not own:
        return ""
    bare = {_bare(name) for name in tensors}
    first, *others = (_bare(name) for name in own)
    prefixes = [name.removesuffix(first) for name in sorted(bare) if name.endswith(f".{first}")]
    parts = [prefix for prefix in prefixes if all(f"{prefix}{name}" in bare for name in others)]
    if not parts:
        return ""
    return f"what begins with {_listed(parts)} has the names of the model: save that alone, without the beginning"


def _listed(names: list[str]) -> str:
    return listed([*map(repr, names)], SHOWN)


def _index(where: str) -> str:
    return "".join(f"[{part!r}]" for part in where.split("."))


def _alike(found: Sequence[Fitting]) -> bool:
    """Whether they are the same tensors."""
    return all(_equal(found[0].tensors, other.tensors) for other in found[1:])


def _equal(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(value, others[name]) for name, value in some.items())


def _shape(tensor: Tensor) -> str:
    if tensor.is_nested:
        return "nested"
    return "x".join(map(str, tensor.shape)) or "a scalar"


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """sha256 (hex) of named tensors: their names, types, shapes and values, on whatever device they are."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        whole.update(f"{name} {dtype_text(value)} {list(value.shape)}\n".encode())
        whole.update(value.flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return whole.hexdigest()
