"""From a name and hyper-parameters to a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, get_args
from warnings import catch_warnings, simplefilter

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from benchbench.core.bounds import MOST_SETTING
from benchbench.core.errors import InputError, out_of_memory, unknown_name
from benchbench.core.machine import free_memory
from benchbench.core.protocols import Choosy, ImageSpec, Sampled
from benchbench.core.registry import MODELS
from benchbench.core.validation import Fault, disguised, first_fault, shown

MOST_PARTS = 10_000  # layers of a model; each is a Python object or more
LARGE = 1_000  # a setting above which a model may be too large

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def validated(
    config_class: type[ConfigT], values: Mapping[str, Any], what: str, most: int = MOST_SETTING
) -> ConfigT:
    """`config_class(**values)`; an unknown key or a bad value is an `InputError` of one sentence.

    what: the kind of setting for the message, for example "hyper-parameter of vae". most: the largest whole number.
    """
    for key in values:
        if key not in config_class.model_fields:
            raise unknown_name(what, key, config_class.model_fields)
    values = {
        name: None if _says_none(config_class, name, value) else value for name, value in values.items()
    }
    try:
        config = config_class(**values)
    except ValidationError as error:
        raise _refused(first_fault(error), what) from error
    if (fault := disguised(values, config, most)) is not None:
        raise _refused(fault, what)
    return config


def _says_none(config_class: type[BaseModel], name: str, value: Any) -> bool:
    """Whether a word stands for None, which neither a command line nor TOML can write, where None is possible and the
    word would be nothing else."""
    kinds = get_args(config_class.model_fields[name].annotation)
    return isinstance(value, str) and value.lower() == "none" and type(None) in kinds and str not in kinds


def _refused(fault: Fault, what: str) -> InputError:
    subject = f"{what} {fault.where}={shown(fault.given)}" if fault.where else what
    return InputError(f"{subject}: {fault.reason}")


def configure(name: str, overrides: Mapping[str, Any]) -> BaseModel:
    """The config of the model `name` with `overrides` over its defaults; `InputError` names what is wrong."""
    config_class: type[BaseModel] = MODELS.get(name).Config
    return validated(config_class, overrides, f"hyper-parameter of {name}")


class NoSampling(BaseModel, extra="forbid", frozen=True):
    """Of a model that draws in one way only."""


def configure_sampling(name: str, overrides: Mapping[str, Any]) -> BaseModel:
    """How the model `name` draws, `overrides` over its defaults; `InputError` names what is wrong."""
    return validated(sampling_class(name), overrides, f"sampling setting of {name}")


def sampling_class(name: str) -> type[BaseModel]:
    """The settings that only drawing depends on, of the model `name` (`core.protocols.Sampled`)."""
    found: type[BaseModel] = getattr(MODELS.get(name), "Sampling", NoSampling)
    return found


def build_model(
    name: str, overrides: Mapping[str, Any], spec: ImageSpec, sampling: Mapping[str, Any] | None = None
) -> nn.Module:
    """The untrained model `name` for images as `spec` says, drawing as `sampling` says.

    Initial weights come from torch's global generator: `torch.manual_seed` before this call fixes them.
    Raises `InputError` for an unknown name, an unknown or impossible setting, images it cannot do, one whose weights
    do not fit into memory, or one that cannot draw so.
    """
    configure_sampling(name, sampling or {})  # refused before anything is built
    config = configure(name, overrides)
    what = f"the model {name} with {_settings(overrides)} for {spec.width}×{spec.height} pixels"
    if any(isinstance(size, int) and abs(size) > LARGE for size in config.model_dump().values()):
        # Once without values, for to fill what does not fit takes minutes and the memory of other programs.
        with suppress(NotImplementedError), _within_memory(what), torch.device("meta"), catch_warnings():
            simplefilter("ignore")  # on weights that are loaded into nothing
            MODELS.get(name)(config, spec)
    with _within_memory(what):
        model: nn.Module = MODELS.get(name)(config, spec)
    draw_as(model, name, sampling or {})
    return model


def draw_as(model: nn.Module, name: str, sampling: Mapping[str, Any]) -> None:
    """Have a model draw as settings over its defaults say; `InputError` for an impossible one, or where it cannot.

    name: that of the model.
    """
    drawn = configure_sampling(name, sampling)
    if isinstance(model, Sampled):
        model.sampling = drawn
    if isinstance(model, Choosy):
        model.check_sampling()


def _settings(overrides: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={shown(value)}" for key, value in overrides.items()) or "its own settings"


@contextmanager
def _within_memory(what: str) -> Iterator[None]:
    """`InputError` for a model whose weights do not fit into the free memory, or with more parts than anybody counts.

    A system hands out more memory than it has and ends whoever uses it; so parameters are added up as they are made,
    which is before they are filled.
    """
    free, taken, parts = free_memory(), 0, 0

    def grown(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal taken
        taken += 0 if tensor is None else tensor.nbytes
        if taken > free:
            raise InputError(
                f"{what} needs more than {taken / 2**30:,.1f} GiB of memory for its weights, and {free / 2**30:,.1f} "
                "GiB are free; choose smaller ones"
            )

    def added(module: nn.Module, name: str, part: nn.Module | None) -> None:
        nonlocal parts
        parts += 1
        if parts > MOST_PARTS:
            raise InputError(f"{what} has more than {MOST_PARTS:,} layers; choose smaller ones")

    hooks = [
        register_module_parameter_registration_hook(grown),
        register_module_buffer_registration_hook(grown),
        register_module_module_registration_hook(added),
    ]
    try:
        yield
    except (MemoryError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        text = str(error).lower()
        if out_of_memory(error) is None and "overflow" not in text and "exceed" not in text:
            raise
        raise InputError(
            f"{what} needs more memory for its weights than there is ({free / 2**30:,.1f} GiB are free); choose "
            "smaller ones"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
