"""How a callable is to be called, from its signature: latents, labels or not; or a number of images; or our `rng`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.models.given.loaded import Takes, TakesLabels

NUMBERS = frozenset({"n", "num", "number", "count", "num_samples", "n_samples", "batch_size", "num_images"})
LABELS = frozenset({"labels", "label", "y", "c", "cls", "classes", "class_labels", "class_label", "target"})
TIMES = frozenset({"t", "timestep", "timesteps", "time", "sigma", "sigmas", "noise_level", "temb"})
LATENT = ("latent_dim", "latent_size", "latent", "z_dim", "dim_z", "nz", "noise_dim", "n_latent", "z_size")


class Argument(NamedTuple):
    """One of those that a call takes by its place."""

    name: str
    required: bool


class Called(NamedTuple):
    """How something is called. label: the name of the argument that labels are; "" for none."""

    takes: Takes
    labels: TakesLabels
    label: str = ""


def called(arguments: Sequence[Argument], title: str) -> Called:
    """What arguments mean, by their names and places.

    Args:
        arguments: Those of a generator, in their order.
        title: What sentences call it.

    Returns:
        What it takes, and whether labels.

    Raises:
        InputError: They are none of a generator.
    """
    names = [one.name for one in arguments]
    required = [one.name for one in arguments if one.required]
    if not arguments:
        raise InputError(f"{title} takes no arguments; a generator takes latents, or latents and labels")
    if times := [name for name in required[1:] if name in TIMES]:
        raise InputError(
            f"{title} takes {times[0]!r}, so it is one step of a sampler and no generator; write a function of "
            "(n, rng) that draws images with it"
        )
    takes: Takes = "number" if names[0] in NUMBERS else "latents"
    first = {names[0]}
    if "rng" in names:
        takes, first = "rng", {"rng", names[0]} if names[0] in NUMBERS else {"rng"}
    rest = [name for name in names if name not in first]
    left = [name for name in required if name not in first]
    label = next((name for name in rest if name in LABELS), left[0] if left else "")
    if others := [name for name in left if name != label]:
        raise InputError(
            f"{title} takes {len(required)} arguments and it is not known what {', '.join(others)} should be; it may "
            "take latents, or latents and labels"
        )
    return Called(takes, "no" if not label else "required" if label in left else "optional", label)


def arguments_of(call: Callable[..., Any]) -> list[Argument]:
    """Those that a callable takes by their place, of a module those of `forward`; a single one where nobody can say."""
    function = call
    if isinstance(call, nn.Module):
        function = getattr(call, "_orig_mod", call).forward  # of torch.compile, whose own takes anything
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return [Argument("z", True)]
    anything = [one for one in signature.parameters.values() if one.kind is one.VAR_POSITIONAL]
    found = [
        Argument(one.name, one.default is one.empty)
        for one in signature.parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        or (one.kind is one.KEYWORD_ONLY and (one.name in LABELS or one.default is one.empty))
    ]
    return found or ([Argument("z", True)] if anything else [])


def caller(call: Callable[..., Any], how: Called) -> Callable[[Any, Tensor | None], Any]:
    """The callable as `Loaded.call`: of what it takes, and labels or None."""
    arguments = arguments_of(call)
    by_name = _keyword_only(call)
    numbered = how.takes == "rng" and arguments[0].name in NUMBERS

    def made(first: Any, labels: Tensor | None) -> Any:
        values: dict[str, Any] = {arguments[0].name: first}
        if how.takes == "rng":
            values = ({arguments[0].name: len(first)} if numbered else {}) | {"rng": first}
        if how.label and (labels is not None or how.labels == "required"):
            values[how.label] = labels
        places: list[Any] = []
        names: dict[str, Any] = {}
        for argument in arguments:
            if argument.name not in values:
                continue
            # By place as long as nothing was left out before it: such arguments may have no usable name.
            if len(places) == arguments.index(argument) and argument.name not in by_name:
                places.append(values[argument.name])
            else:
                names[argument.name] = values[argument.name]
        return call(*places, **names)

    return made


def modules_of(call: Callable[..., Any]) -> nn.Module | None:
    """The modules that a callable computes with: itself, whose method it is, what it closes over or names."""
    if isinstance(call, nn.Module):
        return call
    if isinstance(call, functools.partial):
        return modules_of(call.func)
    held: list[Any] = [getattr(call, "__self__", None)]
    function = getattr(call, "__func__", call)
    if not inspect.isfunction(function):
        held += [*vars(call).values()] if hasattr(call, "__dict__") else []
        function = vars(type(call)).get("__call__")
    if inspect.isfunction(function):
        seen = inspect.getclosurevars(function)
        held += [*seen.nonlocals.values(), *seen.globals.values()]
    found = list(dict.fromkeys(one for one in held if isinstance(one, nn.Module)))
    return found[0] if len(found) == 1 else nn.ModuleList(found) if found else None


def latent_sizes(call: Callable[..., Any], net: nn.Module | None) -> list[int]:
    """What the length of a latent vector may be: an attribute that says so, else what the first layer takes, all of it
    or what an embedding of labels leaves."""
    for thing in (call, net):
        for name in LATENT:
            value = getattr(thing, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return [value]
    if net is None:
        return []
    sizes, embedded = [], 0
    for layer in net.modules():
        if isinstance(layer, nn.Embedding):
            embedded = embedded or layer.embedding_dim
        width = getattr(layer, "in_features", None) or getattr(layer, "in_channels", None)
        if isinstance(width, int):
            sizes = [width, *([width - embedded] if 0 < embedded < width else [])]
            break
    return sizes


def _keyword_only(call: Callable[..., Any]) -> set[str]:
    function = getattr(call, "_orig_mod", call).forward if isinstance(call, nn.Module) else call
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
